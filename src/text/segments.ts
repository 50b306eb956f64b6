import { clusterEnd } from "./clusters.ts";
import { countSeptets, septetsOf } from "./gsm7.ts";

/** One message of a single segment, and each segment once a header must join several: septets, UTF-16 units. */
const GSM7 = { single: 160, joined: 153 };
const UCS2 = { single: 70, joined: 67 };

/** Segments as Twilio bills them; 0 for an empty text. One character outside GSM-7 makes all of it UCS-2. */
export function countSegments(text: string): number {
  if (text === "") return 0;
  const septets = countSeptets(text);
  if (septets === undefined) return text.length <= UCS2.single ? 1 : countUcs2(text);
  return septets <= GSM7.single ? 1 : countGsm7(text);
}

/** An escaped character is never divided between segments. */
function countGsm7(text: string): number {
  let segments = 1;
  let used = 0;
  for (let i = 0; i < text.length; i++) {
    const septets = septetsOf(text.charCodeAt(i));
    if (used + septets > GSM7.joined) {
      segments++;
      used = 0;
    }
    used += septets;
  }
  return segments;
}

/**
 * The first segment is filled as if it were alone; when a second turns out to be needed, what no longer fits
 * beside the header moves over, together with the cluster that did not fit, and is not weighed again. This
 * shows only with clusters of dozens of units, but then it is what the calculator says.
 */
function countUcs2(text: string): number {
  let segments = 1;
  let used = 0;
  let first: number[] | undefined = [];
  for (let at = 0; at < text.length; ) {
    const end = nextUnit(text, at);
    const size = end - at;
    at = end;
    if (first !== undefined) {
      if (used + size <= UCS2.single) {
        first.push(size);
        used += size;
        continue;
      }
      let moved = 0;
      while (used > UCS2.joined) {
        const last = first.pop() ?? used;
        used -= last;
        moved += last;
      }
      first = undefined;
      segments = 2;
      used = moved + size;
    } else if (used + size > UCS2.joined) {
      segments++;
      used = size;
    } else {
      used += size;
    }
  }
  return segments;
}

/** The end of the cluster at `at`; a line break of two characters counts as two. */
function nextUnit(text: string, at: number): number {
  if (text.charCodeAt(at) === 0x0d) return at + 1;
  return clusterEnd(text, at);
}
