import { MAX_BODY } from "../text.ts";
import { openCuts } from "./cuts.ts";

/** What a part must at least be able to carry besides hint and number. */
const LEAST_ROOM = 400;

export interface SplitOptions {
  readonly hint?: string;
  readonly numbered?: boolean;
}

/**
 * Bodies of at most 1,600 UTF-16 units (so of no more characters, however Twilio counts), in order. A text
 * that fits is returned as it is; one of whitespace alone gives no part. Between two
 * parts, and at the ends of a longer text, only whitespace is left out, so the parts, without numbers and hints, are the text cut at whitespace or between graphemes.
 *
 * @throws RangeError when the hint leaves less than 400 characters for the text.
 */
export function splitText(text: string, options: SplitOptions): readonly string[] {
  const size = text.trim().length;
  if (size === 0) return [];
  if (text.length <= MAX_BODY) return [text];
  if (size <= MAX_BODY) return cutUp(text, MAX_BODY, MAX_BODY);
  const tail = options.hint === undefined || options.hint === "" ? "" : `\n${options.hint}`;
  for (let digits = 1; ; digits++) {
    const mark = options.numbered === true ? 2 * digits + 2 : 0;
    const room = MAX_BODY - tail.length - mark;
    if (room < LEAST_ROOM) {
      throw new RangeError(
        `The hint of ${tail.length - 1} characters leaves ${Math.max(0, room)} of ${MAX_BODY} for the text; shorten it to at most ${MAX_BODY - LEAST_ROOM - mark - 1}.`,
      );
    }
    const parts = cutUp(text, room, MAX_BODY - mark);
    if (mark > 0 && String(parts.length).length > digits) continue;
    return parts.map((part, i) => {
      const number = mark > 0 ? `${i + 1}/${parts.length} ` : "";
      return number + part + (i < parts.length - 1 ? tail : "");
    });
  }
}

/** The last part carries no hint, so it may be as long as `lastRoom`. */
function cutUp(text: string, room: number, lastRoom: number): string[] {
  const cuts = openCuts(text);
  const parts: string[] = [];
  let from = cuts.skipSpace(0);
  while (text.length - from > lastRoom) {
    const cut = cuts.natural(from, from + room);
    parts.push(text.slice(from, cuts.trimEnd(from, cut)));
    from = cuts.skipSpace(cut);
  }
  parts.push(text.slice(from, cuts.trimEnd(from, text.length)));
  return parts.filter((part) => part !== "");
}
