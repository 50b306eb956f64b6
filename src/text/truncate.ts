import { openCuts } from "./cuts.ts";
import { isGsm7 } from "./gsm7.ts";
import { countSegments } from "./segments.ts";

/** UTF-16 units one segment can carry at most: GSM-7 text of a single segment. */
const UNITS_PER_SEGMENT = 160;

/**
 * The text, or its beginning up to a space within the limits, ending in `…`. That character is not in GSM-7
 * and would make the whole message UCS-2, so GSM-7 text ends in three dots. Empty when not even those fit.
 */
export function truncateText(
  text: string,
  limit: { readonly segments: number; readonly characters: number },
): string {
  if (text.length <= limit.characters && countSegments(text) <= limit.segments) return text;
  const end = Math.min(text.length, limit.characters, limit.segments * UNITS_PER_SEGMENT);
  const fits = (shortened: string) =>
    shortened.length <= limit.characters && countSegments(shortened) <= limit.segments;
  let low = 0;
  let high = Math.max(0, end);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (fits(withEllipsis(text.slice(0, middle)))) low = middle;
    else high = middle - 1;
  }
  const cuts = openCuts(text);
  for (let room = low; room > 0; ) {
    const cut = cuts.betweenWords(0, room);
    if (!cuts.isEdge(cut)) break;
    const shortened = withEllipsis(text.slice(0, cuts.trimEnd(0, cut)));
    if (fits(shortened)) return shortened;
    room = cut - 1;
  }
  return ["...", "…"].find(fits) ?? "";
}

function withEllipsis(text: string): string {
  return text + (isGsm7(text) ? "..." : "…");
}
