import type { ChannelSettings } from "./settings.ts";
import type { HeldReply } from "./store.ts";
import { MAX_BODY, type TextTools } from "./text.ts";

/** What a reply becomes: bodies to send now, and what waits for `MORE`. */
export interface Composed {
  readonly bodies: readonly string[];
  readonly held: readonly string[];
}

/** Ends a part that has a successor. GSM-7, so that it never makes a text dearer. */
export const MORE_HINT = "[MORE?]";

/** Held parts are kept this long, ms. */
export const HELD_FOR = 24 * 3_600_000;

/**
 * Makes one agent's answer into texts (SPEC section 8): rendered, economised, cut, and by `overflow` either
 * held back for `MORE`, sent in parts, or cut off. Never more than `segmentsPerReply` segments at once.
 */
export function compose(
  markdown: string,
  reply: ChannelSettings["reply"],
  segmentsPerReply: number,
  text: TextTools,
): Composed {
  const plain = text.render(markdown, reply.economy);
  if (plain.trim() === "") return { bodies: [], held: [] };
  const whole = text.split(plain, {});
  if (whole.length === 1 && text.segments(whole[0] ?? "") <= segmentsPerReply)
    return { bodies: whole, held: [] };
  switch (reply.overflow) {
    case "truncate":
      return {
        bodies: [text.truncate(plain, { segments: segmentsPerReply, characters: MAX_BODY })],
        held: [],
      };
    case "split": {
      const parts = text.split(plain, { numbered: true });
      return { bodies: withinSegments(parts, segmentsPerReply, text), held: [] };
    }
    case "more": {
      const parts = text.split(plain, { hint: MORE_HINT });
      return { bodies: parts.slice(0, reply.maxMessages), held: parts.slice(reply.maxMessages) };
    }
  }
}

/** The leading parts that together cost at most `limit` segments, the first one always. */
function withinSegments(parts: readonly string[], limit: number, text: TextTools): readonly string[] {
  let spent = 0;
  const kept: string[] = [];
  for (const part of parts) {
    spent += text.segments(part);
    if (kept.length > 0 && spent > limit) break;
    kept.push(part);
  }
  return kept;
}

/** The next parts of a held reply, and what then remains held. */
export function nextParts(
  held: HeldReply,
  maxMessages: number,
): { readonly bodies: readonly string[]; readonly rest: HeldReply | undefined } {
  const rest = held.parts.slice(maxMessages);
  return {
    bodies: held.parts.slice(0, maxMessages),
    rest: rest.length === 0 ? undefined : { id: held.id, parts: rest, expiresAt: held.expiresAt },
  };
}
