import { MAX_BODY } from "../text.ts";
import { type Cuts, openCuts } from "./cuts.ts";
import { countSegments } from "./segments.ts";

/** What a part must at least be able to carry besides hint and number. */
const LEAST_ROOM = 400;
/** However few segments a part may have, it carries so many characters, or there would be no end of parts. */
const LEAST_STEP = 20;

interface SplitOptions {
  readonly hint?: string;
  readonly numbered?: boolean;
  /** At most so many segments a part. */
  readonly segments?: number;
}

/**
 * Bodies of at most 1,600 UTF-16 units (so of no more characters, however Twilio counts), in order. A text
 * that fits is returned as it is; one of whitespace alone gives no part. Between two
 * parts, and at the ends of a longer text, only whitespace is left out, so the parts, without numbers and
 * hints, are the text cut at whitespace or between graphemes.
 *
 * @throws RangeError when the hint leaves less than 400 characters for the text.
 */
export function splitText(text: string, options: SplitOptions): readonly string[] {
  const size = text.trim().length;
  if (size === 0) return [];
  const segments = options.segments ?? Number.POSITIVE_INFINITY;
  const fits = (body: string) =>
    body.length <= MAX_BODY && (segments === Number.POSITIVE_INFINITY || countSegments(body) <= segments);
  if (fits(text)) return [text];
  const cuts = openCuts(text);
  const tail = options.hint === undefined || options.hint === "" ? "" : `\n${options.hint}`;
  const bare = text.slice(cuts.skipSpace(0), cuts.trimEnd(0, text.length));
  if (fits(bare)) return [bare];
  for (let digits = 1; ; digits++) {
    const mark = options.numbered === true ? `${"9".repeat(digits)}/${"9".repeat(digits)} ` : "";
    const room = MAX_BODY - tail.length - mark.length;
    if (room < LEAST_ROOM) {
      throw new RangeError(
        `The hint of ${tail.length - 1} characters leaves ${Math.max(0, room)} of ${MAX_BODY} for the text; ` +
          `shorten it to at most ${MAX_BODY - LEAST_ROOM - mark.length - 1}.`,
      );
    }
    const parts = cutUp(text, cuts, (body, last) => fits(mark + body + (last ? "" : tail)), room);
    if (mark !== "" && String(parts.length).length > digits) continue;
    return parts.map((part, i) => {
      const number = mark === "" ? "" : `${i + 1}/${parts.length} `;
      return number + part + (i < parts.length - 1 ? tail : "");
    });
  }
}

/** `fits` tells whether a part, with what goes around it, may be sent; the last one carries no hint. */
function cutUp(
  text: string,
  cuts: Cuts,
  fits: (body: string, last: boolean) => boolean,
  room: number,
): string[] {
  const parts: string[] = [];
  const end = cuts.trimEnd(0, text.length);
  let from = cuts.skipSpace(0);
  while (end - from > MAX_BODY || !fits(text.slice(from, end), true)) {
    const cut = cuts.natural(from, Math.min(end, from + longest(text, from, room, fits)));
    parts.push(text.slice(from, cuts.trimEnd(from, cut)));
    from = cuts.skipSpace(cut);
    if (from >= end) return parts.filter((part) => part !== "");
  }
  parts.push(text.slice(from, end));
  return parts.filter((part) => part !== "");
}

/** How many characters from `from` on fit; found by halving, since a longer part never has fewer segments. */
function longest(
  text: string,
  from: number,
  room: number,
  fits: (body: string, last: boolean) => boolean,
): number {
  if (fits(text.slice(from, from + room), false)) return room;
  let low = LEAST_STEP;
  let high = room;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (fits(text.slice(from, from + middle), false)) low = middle;
    else high = middle - 1;
  }
  return low;
}
