import type { TurnMedia } from "./agent.ts";
import type { Carrier } from "./carrier.ts";
import type { Clock } from "./clock.ts";
import { isImageType, MAX_MEDIA, MAX_MEDIA_BYTES, sniffMedia } from "./media.ts";
import type { Media } from "./message.ts";

/** All pictures of one turn together, bytes: many turns run at once. */
const MAX_TOTAL = 4 * MAX_MEDIA_BYTES;
/** All fetching of one turn together, milliseconds. */
const MAX_TIME = 30_000;

interface WithMedia {
  readonly text: string;
  readonly media: readonly Media[];
}

/**
 * The texts of a turn with the bytes of their pictures, for an agent that sees. What says it is a sound, a video
 * or a card stays what it is, without bytes. A picture that cannot be had is left out, and the text says so:
 * the sender is told by the agent, and the turn goes on. Never rejects.
 */
export async function withPictures<Text extends WithMedia>(
  texts: readonly Text[],
  fetchMedia: Carrier["fetchMedia"],
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly (Omit<Text, "media"> & { readonly media: readonly TurnMedia[] })[]> {
  let [count, room] = [0, MAX_TOTAL];
  const abort = new AbortController();
  const cancel = clock.after(MAX_TIME, () => abort.abort());
  const within = AbortSignal.any([abort.signal, signal]);

  async function load(media: Media): Promise<TurnMedia | string> {
    count += 1;
    if (within.aborted) return "it took too long";
    if (count > MAX_MEDIA) return `there are more than ${MAX_MEDIA}`;
    if (room <= 0) return "they are too large together";
    const limit = Math.min(room, MAX_MEDIA_BYTES);
    const outcome = await fetchMedia(media.url, limit, within).catch(() => UNEXPECTED);
    if (outcome.kind === "failed") return outcome.reason;
    const { bytes } = outcome;
    room -= bytes.byteLength;
    const contentType = sniffMedia(bytes);
    if (contentType === undefined) return "it is no picture of a known kind";
    return { url: media.url, contentType, ...(isImageType(contentType) ? { data: bytes } : {}) };
  }

  const loaded = [];
  for (const text of texts) {
    const kept: TurnMedia[] = [];
    const notes: string[] = [];
    // One after the other, so that the room that is left is known.
    for (const media of text.media) {
      const got = mayBePicture(media) ? await load(media) : media;
      if (typeof got === "string") notes.push(`[A picture could not be loaded: ${got}.]`);
      else kept.push(got);
    }
    const words = [text.text, ...notes].filter((part) => part !== "").join("\n");
    loaded.push({ ...text, text: words, media: kept });
  }
  cancel();
  return loaded;
}

const UNEXPECTED = { kind: "failed", reason: "something went wrong" } as const;

/** By what the sender's phone says; its bytes decide later. */
function mayBePicture({ contentType }: Media): boolean {
  return /^\s*(image\/|application\/octet-stream)/i.test(contentType);
}
