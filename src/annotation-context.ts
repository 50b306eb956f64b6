import { Kind } from "./annotation-kinds.ts";
import type { Label } from "./annotation-labels.ts";
import type { Candidate } from "./annotation-marks.ts";
import type { Reading } from "./annotation-reading.ts";

/** How far a label speaks for a number, in words that are not themselves `is`, `number` and the like. */
const FAR = 14;
/** How far a noun is the direct label of a number. */
export const NEAR = 3;
/** Characters of a sentence that are looked at on either side of a number. */
const WIDEST = 400;
const AFTER_LABELS = new Set(["nolu", "no lu", "numarali", "sayili", "ile biten", "biten"]);
/** Words that do not come between a label and its number. */
const LINKING = Kind.copula | Kind.number | Kind.enter | Kind.to | Kind.validity | Kind.secret | Kind.verify;
/** `with` is a slot for a code too, but in `card ending with 4821` it takes nothing away from the card. */
const WITH = new Set(["with", "mit", "avec", "con", "com", "met", "ile"]);

/** One candidate with all that is known of its message and of the candidates judged before it. */
export interface Case {
  readonly reading: Reading;
  readonly labels: readonly Label[];
  readonly candidate: Candidate;
  readonly next: Candidate | undefined;
  /** The candidates before it. */
  readonly earlier: readonly Candidate[];
  /** Those of them that are codes. */
  readonly taken: readonly Candidate[];
  /** No other candidate is left that is not labelled as something else. */
  readonly alone: boolean;
}

/** The nearest label before a candidate; at most one of the two is set. */
export interface Before {
  /** The noun that the candidate may be the code of. */
  readonly label: Label | undefined;
  /** A label that says it is something else. */
  readonly other: Label | undefined;
  readonly words: number;
  readonly lines: number;
}

/** What stands right before a candidate. */
export interface Slot {
  /** Where a code is expected: at the start, after a colon, `is` or `enter`, in brackets. */
  readonly open: boolean;
  readonly kind: "start" | "colon" | "copula" | "enter" | "noun" | "comma" | "to" | "word";
}

/** The nearest noun after a candidate. */
export interface After {
  readonly label: Label;
  readonly words: number;
}

/** The kinds of the candidate's sentence; of the whole message where the sentence is little but the candidate. */
export function kindsAround(c: Case): number {
  const { reading, candidate } = c;
  const { kinds, words } = sentence(c);
  return words <= 3 || isOwnLine(reading, candidate) ? reading.kinds : kinds;
}

/** The kinds of the candidate's sentence alone, and how many words it has besides. */
export function sentence(c: Case): { readonly kinds: number; readonly words: number } {
  const { reading, candidate } = c;
  let from = candidate.start;
  while (from > 0 && candidate.start - from < WIDEST && reading.stops(from - 1, from) === 0) from -= 1;
  let to = candidate.end;
  while (to < reading.text.length && to - candidate.end < WIDEST && reading.stops(to, to + 1) === 0) to += 1;
  let kinds = 0;
  for (let i = reading.termFrom(from); i < reading.terms.length; i++) {
    const term = reading.terms[i];
    if (term === undefined || term.start >= to) break;
    kinds |= term.kinds;
  }
  return { kinds, words: reading.words(from, candidate.start) + reading.words(candidate.end, to) };
}

/** `482913 numaralı kargonuz`, `4821 ile biten kart`: labels that Turkish puts after the number. */
export function labelAfter(c: Case): Label | undefined {
  const { reading, labels, candidate } = c;
  const label = labels[reading.termFrom(candidate.end)];
  if (label === undefined || reading.words(candidate.end, label.start) > 0) return undefined;
  if (reading.stops(candidate.end, label.start) > 0 || reading.lines(candidate.end, label.start) > 0)
    return undefined;
  return AFTER_LABELS.has(reading.folded.slice(label.start, label.end)) ? label : undefined;
}

/** Looks back through the sentence for the nearest label that can speak for the candidate. */
export function labelBefore(c: Case): Before {
  const { reading, labels, candidate } = c;
  let linking = 0;
  let entered = false;
  let proved = false;
  let thing: Label | undefined;
  for (let i = reading.termFrom(candidate.start) - 1; i >= 0; i--) {
    const label = labels[i];
    if (label === undefined || label.end > candidate.start) continue;
    if (reading.stops(label.end, candidate.start) > 0) break;
    const total = reading.words(label.end, candidate.start);
    const words = Math.max(0, total - linking);
    if (words > FAR || total > 2 * FAR) break;
    const lines = reading.lines(label.end, candidate.start);
    const crossed = c.taken.some((t) => t.start >= label.end);
    // `to enter your account type 4821`: what was named before the verb is not what follows it.
    if (total === 0 && isEnterVerb(reading, label)) entered = true;
    const owned =
      entered ||
      c.earlier.some((e) => e.start >= label.end) ||
      /[,，、]/.test(reading.text.slice(label.end, candidate.start));
    if (label.role === "noun") {
      if (crossed) break;
      // `the code for your account is 4821`
      if (thing !== undefined && label.warned) break;
      return { label, other: undefined, words, lines };
    }
    const free = thing === undefined && lines === 0 && !owned;
    // `your code to confirm your phone number: 4821` is no phone number.
    const spoken = (label.kinds & Kind.reach) !== 0 && candidate.value.length <= 8 && endsInColon(c, label);
    if (label.role === "other" && free && words <= ((label.kinds & Kind.reach) === 0 ? 1 : 3)) {
      if (!spoken) return { label: undefined, other: label, words, lines };
      thing = label;
    } else if ((label.role === "thing" || label.role === "number") && free && words === 0 && !proved) {
      if (total < 1 && !endsInColon(c, label)) return { label: undefined, other: label, words, lines };
      thing = label;
    }
    // `account verification: 4821`
    if ((label.kinds & Kind.verify) !== 0 && total <= 2) proved = true;
    if ((label.kinds & LINKING) !== 0) linking += reading.words(label.start, label.end);
  }
  return { label: undefined, other: thing, words: 0, lines: 0 };
}

function isEnterVerb(reading: Reading, label: Label): boolean {
  return (label.kinds & Kind.enter) !== 0 && !WITH.has(reading.folded.slice(label.start, label.end));
}

function endsInColon(c: Case, label: Label): boolean {
  return c.reading.text.slice(label.end, c.candidate.start).includes(":");
}

const ARTICLES = new Set(["the", "le", "el", "il", "o", "lo", "den", "das"]);

/** `composez le 4821`: the article is passed over. */
function beforeArticle(text: string, index: number): number {
  let start = index;
  while (start >= 0 && index - start < 4 && /[a-z]/i.test(text.charAt(start))) start -= 1;
  if (!ARTICLES.has(text.slice(start + 1, index + 1).toLowerCase())) return index;
  while (start >= 0 && text.charAt(start) === " ") start -= 1;
  return start;
}

export function slotOf(c: Case): Slot {
  const { reading, candidate } = c;
  const { text } = reading;
  let i = candidate.start - 1;
  if (candidate.written !== undefined && candidate.shape === "digits")
    i -= candidate.written.length - candidate.value.length;
  let mark = false;
  while (i >= 0) {
    const char = text.charAt(i);
    if (char === "\n") return { open: true, kind: "start" };
    if (":=>[({\"'-|#~".includes(char)) mark ||= char !== "-" || text.charAt(i - 1) === " ";
    else if (char !== " " && char !== "*" && char !== "<") break;
    i -= 1;
  }
  if (i < 0 || reading.stops(i, i + 1) > 0 || "]".includes(text.charAt(i)))
    return { open: true, kind: "start" };
  if (mark) return { open: true, kind: "colon" };
  i = beforeArticle(text, i);
  const term = reading.terms[reading.termFrom(i + 1) - 1];
  if (term !== undefined && term.end >= i + 1 && term.start <= i) {
    if ((term.kinds & Kind.copula) !== 0 && (term.kinds & Kind.to) === 0)
      return { open: true, kind: "copula" };
    if ((term.kinds & Kind.enter) !== 0) return { open: true, kind: "enter" };
    if ((term.kinds & (Kind.secret | Kind.code | Kind.pass | Kind.pickup | Kind.cond)) !== 0)
      return { open: true, kind: "noun" };
    if ((term.kinds & Kind.to) !== 0) return { open: false, kind: "to" };
  }
  if (",，、".includes(text.charAt(i))) return { open: false, kind: "comma" };
  return { open: false, kind: "word" };
}

/** `your PIN will be sent to 4821`, `text your code to 4821`: where something goes, not what. */
export function isSentTo(c: Case): boolean {
  const { reading, candidate } = c;
  for (let i = reading.termFrom(candidate.start) - 1; i >= 0; i--) {
    const term = reading.terms[i];
    if (term === undefined || reading.stops(term.end, candidate.start) > 0) return false;
    if (reading.words(term.end, candidate.start) > FAR) return false;
    // `kod z SMS to 4821` is Polish for `is`.
    const sends = (term.kinds & (Kind.send | Kind.reach)) !== 0;
    if (sends && reading.folded.slice(term.start, term.end) !== "sms") return true;
  }
  return false;
}

/** `4821 is your Example code`: the first noun after it in the sentence that is not another number's. */
export function nounAfter(c: Case, slot: Slot): After | undefined {
  const { reading, labels, candidate, next } = c;
  for (let i = reading.termFrom(candidate.end); i < labels.length; i++) {
    const label = labels[i];
    if (label === undefined) break;
    const words = reading.words(candidate.end, label.start);
    if (words > FAR || reading.stops(candidate.end, label.start) > 0) break;
    if (next !== undefined && next.start < label.start && next.doubt === undefined) break;
    if (label.role !== "noun") continue;
    const owned =
      next !== undefined &&
      next.start >= label.end &&
      reading.words(label.end, next.start) <= NEAR &&
      reading.stops(label.end, next.start) === 0;
    if (owned && next.doubt === undefined && slot.kind !== "start") return undefined;
    return { label, words };
  }
  return undefined;
}

/** Verbs come last in Turkish, Japanese and Korean: `482913を入力`, `482913 giriniz`. */
export function isFollowedByEnter(c: Case): boolean {
  const { reading, candidate, next } = c;
  for (let i = reading.termFrom(candidate.end); i < reading.terms.length; i++) {
    const term = reading.terms[i];
    if (term === undefined || reading.words(candidate.end, term.start) > 2) return false;
    if (next !== undefined && next.start < term.start) return false;
    const between = reading.words(candidate.end, term.start);
    // `4821. Enter this on the website`
    if (reading.stops(candidate.end, term.start) > (between === 0 ? 1 : 0)) return false;
    if ((term.kinds & Kind.enter) !== 0) return true;
  }
  return false;
}

export function isOwnLine(reading: Reading, candidate: Candidate): boolean {
  const { text } = reading;
  const start = text.lastIndexOf("\n", candidate.start - 1) + 1;
  const stop = text.indexOf("\n", candidate.end);
  const end = stop < 0 ? text.length : stop;
  return reading.words(start, candidate.start) === 0 && reading.words(candidate.end, end) === 0;
}
