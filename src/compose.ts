import type { ChannelSettings } from "./settings.ts";
import type { HeldReply } from "./store.ts";
import { MAX_BODY, type TextTools } from "./text.ts";

/** What a reply becomes: bodies to send now, and what waits for `MORE`. */
export interface Composed {
  readonly bodies: readonly string[];
  readonly held: readonly string[];
  /** Segments of the whole, where that is more than may go at once. */
  readonly tooMuch?: number;
}

/** Ends a part that has a successor. GSM-7, so that it never makes a text dearer. */
export const MORE_HINT = "[MORE?]";

/** Held parts are kept this long, ms. */
export const HELD_FOR = 24 * 3_600_000;

/**
 * Makes one agent's answer into texts: rendered, economised, cut, and by `overflow` either
 * held back for `MORE`, sent in parts, or cut off. Never more than `segmentsPerReply` segments at once.
 */
export function compose(
  markdown: string,
  reply: ChannelSettings["reply"],
  segmentsPerReply: number,
  text: TextTools,
): Composed {
  const plain = text.render(readable(markdown), reply.economy);
  if (plain.trim() === "") return { bodies: [], held: [] };
  const whole = text.split(plain, { segments: segmentsPerReply });
  if (whole.length === 1) return { bodies: whole, held: [] };
  const all = text.segments(plain);
  const tooMuch = all > segmentsPerReply ? { tooMuch: all } : {};
  switch (reply.overflow) {
    case "truncate":
      return {
        bodies: [text.truncate(plain, { segments: segmentsPerReply, characters: MAX_BODY })],
        held: [],
        ...tooMuch,
      };
    case "split":
      return { bodies: allWithin(plain, segmentsPerReply, text), held: [], ...tooMuch };
    case "more": {
      const atOnce: AtOnce = { messages: reply.maxMessages, segments: segmentsPerReply };
      const segments = Math.max(1, Math.floor(segmentsPerReply / reply.maxMessages));
      const { bodies, rest } = nextOf(text.split(plain, { hint: MORE_HINT, segments }), atOnce, text);
      return { bodies, held: rest, ...tooMuch };
    }
  }
}

/**
 * Nobody reads more of an answer by SMS, characters; it is some 650 segments. An agent that answers megabytes, as one
 * that repeats itself may, would hold up every other turn for as long as that is cut into parts.
 */
const MOST_READABLE = 100_000;

function readable(markdown: string): string {
  if (markdown.length <= MOST_READABLE) return markdown;
  return `${markdown.slice(0, MOST_READABLE).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** Of parts that are sent together only the last one asks whether there should be more. */
function hintedOnce(parts: readonly string[]): readonly string[] {
  return parts.map((part, index) =>
    index < parts.length - 1 && part.endsWith(`\n${MORE_HINT}`) ? part.slice(0, -MORE_HINT.length - 1) : part,
  );
}

/** Every part, marked `n/m`, as far as `limit` segments go; what does not fit is cut off with an ellipsis. */
function allWithin(plain: string, limit: number, text: TextTools): readonly string[] {
  const cost = (parts: readonly string[]) => parts.reduce((sum, part) => sum + text.segments(part), 0);
  for (let segments = limit; segments > 1; segments--) {
    const kept = text.truncate(plain, { segments, characters: plain.length });
    const parts = text.split(kept, { numbered: true, segments });
    if (cost(parts) <= limit) return parts;
  }
  return [text.truncate(plain, { segments: 1, characters: MAX_BODY })];
}

/** The most that one turn, or one `MORE`, may send. */
export interface AtOnce {
  readonly messages: number;
  readonly segments: number;
}

/**
 * The next parts of a held reply, and what then remains held. The limits are those of now; the reply may have been
 * cut under others.
 */
export function nextParts(
  held: HeldReply,
  atOnce: AtOnce,
  text: Pick<TextTools, "segments">,
): { readonly bodies: readonly string[]; readonly rest: HeldReply | undefined } {
  const { bodies, rest } = nextOf(held.parts, atOnce, text);
  return {
    bodies,
    rest: rest.length === 0 ? undefined : { ...held, parts: rest },
  };
}

/** As many of the parts as may go at once. One always goes, whatever it costs, or the others would never. */
function nextOf(
  parts: readonly string[],
  { messages, segments }: AtOnce,
  text: Pick<TextTools, "segments">,
): { readonly bodies: readonly string[]; readonly rest: readonly string[] } {
  let bodies = parts.slice(0, 1);
  for (let count = 2; count <= Math.min(messages, parts.length); count++) {
    const more = hintedOnce(parts.slice(0, count));
    if (more.reduce((sum, part) => sum + text.segments(part), 0) > segments) break;
    bodies = [...more];
  }
  return { bodies, rest: parts.slice(bodies.length) };
}
