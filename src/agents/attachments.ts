import type { Media } from "../message.ts";

/** `image/jpeg`, or `2 × image/jpeg, audio/amr`: what came with a text, in words. Empty when nothing did. */
export function describeMedia(media: readonly Media[]): string {
  const counts = new Map<string, number>();
  for (const { contentType } of media) {
    const type = plainType(contentType);
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return [...counts].map(([type, count]) => (count === 1 ? type : `${count} × ${type}`)).join(", ");
}

/** The bare media type: its parameters are a stranger's words, and no place for them is needed. */
function plainType(contentType: string): string {
  const type = /^\s*([a-z]+\/[a-z0-9.+-]{1,80})\s*(;|$)/i.exec(contentType)?.[1];
  return type?.toLowerCase() ?? "a file of unknown type";
}
