import { type Economy, MAX_BODY } from "../text.ts";
import { withoutAccents } from "./accents.ts";
import { dropEmoji } from "./emoji.ts";
import { isGsm7 } from "./gsm7.ts";
import { type Layout, layOut, mapProse, mapVerbatim } from "./marks.ts";
import { countSegments } from "./segments.ts";
import { splitText } from "./split.ts";
import { plainCode, plainTypography } from "./typography.ts";

/** Layouts from the one that reads best to the one that costs least. */
const LAYOUTS: readonly Layout[] = ["roomy", "sections", "close"];

/**
 * Writes rendered text out as cheaply as `economy` allows. Of all permitted forms the cheapest is taken, and
 * of equally cheap ones the one that changes least, with the blank lines that cost nothing.
 */
export function economise(marked: string, economy: Economy): string {
  if (economy === false) return layOut(marked, "roomy");
  let best: { readonly form: string; readonly cost: number } | undefined;
  for (const form of formsOf(marked, economy)) {
    const text = layOut(form, "close");
    // An answer of nothing but emoji stays.
    if (text === "") continue;
    const cost = costOf(text);
    if (best === undefined || cost < best.cost) best = { form, cost };
  }
  if (best === undefined) return layOut(marked, "roomy");
  const { form, cost } = best;
  for (const layout of LAYOUTS) {
    const text = layOut(form, layout);
    if (costOf(text) <= cost) return text;
  }
  return layOut(form, "close");
}

/**
 * The permitted forms, preferred ones first. Plain typography is the rule; where something else keeps the
 * message in UCS-2 it wins nothing, so there only what looks the same is replaced.
 */
function formsOf(marked: string, economy: Economy): readonly string[] {
  const plain = mapProse(marked, (prose) => plainTypography(prose, "all"));
  const alike = mapProse(marked, (prose) => plainTypography(prose, "alike"));
  const code = mapVerbatim(plain, plainCode);
  const forms = [plain, code, dropEmoji(plain), dropEmoji(code)];
  if (economy === "max") {
    const bare = forms.map((form) => mapProse(form, withoutAccents));
    // Partly GSM-7 saves nothing: without all of it the accents are worth more than they cost.
    forms.push(...bare.filter((form) => isGsm7(layOut(form, "close"))));
  }
  // In UCS-2 `…` is cheaper than `...`, so the original is worth a try too.
  const others = [alike, dropEmoji(alike), marked, dropEmoji(marked)];
  const preferred = isGsm7(layOut(plain, "close"))
    ? [...forms, ...others]
    : [...others.slice(0, 2), ...forms, ...others];
  return [...new Set(preferred)];
}

/** Segments of all the bodies the text is sent in. */
function costOf(text: string): number {
  if (text.length <= MAX_BODY) return countSegments(text);
  return splitText(text, {}).reduce((sum, part) => sum + countSegments(part), 0);
}
