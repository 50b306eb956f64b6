import type { Label, Noun } from "./annotation-labels.ts";
import type { Candidate } from "./annotation-numbers.ts";
import type { Reading } from "./annotation-reading.ts";
import { Kind } from "./annotation-terms.ts";
import { CharClass, classAt } from "./annotation-text.ts";

/** A candidate with what was found for and against it. */
export interface Judged {
  readonly candidate: Candidate;
  /** 0 to 1; from `ENOUGH` on it is taken for a code. */
  readonly score: number;
  readonly reason: string;
  /** The noun that makes it a code, where one does. */
  readonly noun?: Noun;
}

/** The least score of a code. */
export const ENOUGH = 0.5;

/** How far a label speaks for a number, in words that are not themselves `is`, `number` and the like. */
const FAR = 14;
const NEAR = 3;
const BASE: Readonly<Record<Noun, number>> = {
  secret: 0.97,
  pickup: 0.95,
  cond: 0.93,
  code: 0.93,
  pass: 0.92,
};
/** Words that do not come between a label and its number. */
const LINKING = Kind.copula | Kind.number | Kind.enter | Kind.to | Kind.validity | Kind.secret | Kind.verify;

/** Scores all candidates of a message, in its order; those that are nothing at all are left out. */
export function judge(
  reading: Reading,
  labels: readonly Label[],
  candidates: readonly Candidate[],
): readonly Judged[] {
  const judged: Judged[] = [];
  for (const [index, candidate] of candidates.entries()) {
    const taken = judged.filter((j) => j.score >= ENOUGH).map((j) => j.candidate);
    const next = candidates[index + 1];
    // Capitals alone are a brand where there is a number to choose.
    if (candidate.shape === "letters" && candidates.some((other) => other.shape !== "letters" && other.doubt === undefined)) continue;
    const verdict = judgeOne({
      reading,
      labels,
      candidate,
      next,
      taken,
      earlier: candidates.slice(0, index),
      alone: candidates.length === 1,
    });
    if (verdict !== undefined) judged.push(verdict);
  }
  return judged;
}

interface Case {
  readonly reading: Reading;
  readonly labels: readonly Label[];
  readonly candidate: Candidate;
  readonly next: Candidate | undefined;
  /** The candidates before it. */
  readonly earlier: readonly Candidate[];
  /** Those of them that are codes. */
  readonly taken: readonly Candidate[];
  readonly alone: boolean;
}

function judgeOne(c: Case): Judged | undefined {
  const { candidate } = c;
  if (candidate.other !== undefined) return { candidate, score: 0.08, reason: candidate.other };
  const before = labelBefore(c);
  const slot = slotOf(c);
  if (before.label?.role === "noun" && before.words <= NEAR && before.lines <= 2) {
    const direct = directNoun(c, before, slot);
    if (direct !== undefined) return direct;
  }
  if (before.other !== undefined) {
    const label = c.reading.text.slice(before.other.start, before.other.end).trim();
    return { candidate, score: 0.1, reason: `labelled "${label}"` };
  }
  const after = nounAfter(c, slot);
  if (candidate.doubt !== undefined) {
    return after !== undefined && after.words <= 1 && slot.open
      ? weigh(c, 0.8, "before a code's name", after.label)
      : undefined;
  }
  if (after !== undefined) {
    const verdict = beforeNoun(c, after, slot);
    if (verdict.score >= ENOUGH || before.label === undefined) return verdict;
  }
  if (before.label !== undefined) return farNoun(c, before, slot);
  return withoutNoun(c, slot);
}

interface Before {
  /** The noun that the candidate may be the code of. */
  readonly label: Label | undefined;
  /** A label that says it is something else. */
  readonly other: Label | undefined;
  readonly words: number;
  readonly lines: number;
}

/** Looks back through the sentence for the nearest label that can speak for the candidate. */
function labelBefore(c: Case): Before {
  const { reading, labels, candidate } = c;
  let linking = 0;
  let thing: Label | undefined;
  for (let i = reading.termFrom(candidate.start) - 1; i >= 0; i--) {
    const label = labels[i];
    if (label === undefined || label.end > candidate.start) continue;
    if (reading.stops(label.end, candidate.start) > 0) break;
    const total = reading.words(label.end, candidate.start);
    const words = Math.max(0, total - linking);
    if (words > FAR) break;
    const lines = reading.lines(label.end, candidate.start);
    const crossed = c.taken.some((t) => t.start >= label.end);
    const owned =
      c.earlier.some((e) => e.start >= label.end) ||
      /[,，、]/.test(reading.text.slice(label.end, candidate.start));
    if (label.role === "noun") {
      if (crossed) break;
      // `the code for your account is 4821`
      if (thing !== undefined && label.warned) break;
      return { label, other: undefined, words, lines };
    }
    if (label.role === "other" && thing === undefined && lines === 0 && !owned) {
      const reach = (label.kinds & Kind.reach) !== 0 ? 3 : 1;
      if (words <= reach) return { label: undefined, other: label, words, lines };
    }
    if (
      (label.role === "thing" || label.role === "number") &&
      thing === undefined &&
      words === 0 &&
      lines === 0
    ) {
      if (total < 1 && !endsInColon(c, label)) return { label: undefined, other: label, words, lines };
      thing = label;
    }
    if ((label.kinds & LINKING) !== 0) linking += reading.words(label.start, label.end);
  }
  return { label: undefined, other: thing, words: 0, lines: 0 };
}

function endsInColon(c: Case, label: Label): boolean {
  return c.reading.text.slice(label.end, c.candidate.start).includes(":");
}

interface Slot {
  /** Where a code is expected: at the start, after a colon, `is` or `enter`, in brackets. */
  readonly open: boolean;
  readonly kind: "start" | "colon" | "copula" | "enter" | "noun" | "comma" | "to" | "word";
}

/** What stands right before the candidate. */
function slotOf(c: Case): Slot {
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
  const term = reading.terms[reading.termFrom(candidate.start) - 1];
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

/** `code: 4821`, `code is 4821`, `code for Example 4821`. */
function directNoun(c: Case, before: Before, slot: Slot): Judged | undefined {
  const { candidate, reading } = c;
  const label = before.label;
  if (label?.noun === undefined) return undefined;
  const tight = before.words === 0 || slot.kind === "colon" || slot.kind === "copula";
  let score = BASE[label.noun] - 0.02 * before.words;
  if (slot.kind === "to" && before.words > 0) score = sentTo(c, label) ? 0.2 : score - 0.35;
  if (candidate.shape === "letters") {
    if (!tight || !isLonelyCapital(reading, candidate)) return undefined;
    score -= 0.2;
  } else if (candidate.doubt !== undefined) {
    if (!tight || (slot.kind === "word" && before.words > 0)) return undefined;
    score -= 0.08;
  } else if (candidate.shape === "mixed") {
    score -= before.words <= 1 || tight ? 0.04 : 0.45;
  } else if (slot.kind === "word" && before.words > 1) {
    score -= 0.15;
  }
  return weigh(c, score, "after a code's name", label);
}

/** `your PIN will be sent to 4821`: between a code's name and a number, what follows is where it goes. */
function sentTo(c: Case, noun: Label): boolean {
  const { reading, labels, candidate } = c;
  for (let i = reading.termFrom(noun.end); i < labels.length; i++) {
    const label = labels[i];
    if (label === undefined || label.start >= candidate.start) return false;
    if ((label.kinds & (Kind.send | Kind.reach)) !== 0) return true;
  }
  return false;
}

/** Capitals alone are a code only where the message is not written in capitals and no other capitals follow. */
function isLonelyCapital(reading: Reading, candidate: Candidate): boolean {
  const { text, terms } = reading;
  const term = terms[reading.termFrom(candidate.start)];
  if (term !== undefined && term.start === candidate.start) return false;
  const lower = text.replace(/[^a-z]/g, "").length;
  const upper = text.replace(/[^A-Z]/g, "").length - candidate.value.length;
  return lower >= upper && !/^ [A-Z]{2,}/.test(text.slice(candidate.end, candidate.end + 4));
}

interface After {
  readonly label: Label;
  readonly words: number;
  readonly lines: number;
}

/** `4821 is your Example code`: the first noun after it in the sentence that is not another number's. */
function nounAfter(c: Case, slot: Slot): After | undefined {
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
    return { label, words, lines: reading.lines(candidate.end, label.start) };
  }
  return undefined;
}

function beforeNoun(c: Case, after: After, slot: Slot): Judged {
  const { reading, candidate } = c;
  const following = reading.terms[reading.termFrom(candidate.end)];
  const copula =
    following !== undefined &&
    (following.kinds & Kind.copula) !== 0 &&
    reading.words(candidate.end, following.start) === 0;
  let score: number;
  if (slot.open) score = (copula ? 0.96 : 0.9) - 0.01 * after.words;
  else if (slot.kind === "to") score = 0.3;
  else if (slot.kind === "comma") score = (copula ? 0.94 : 0.66) - 0.04 * after.words;
  else score = (copula ? 0.75 : after.words <= 2 ? 0.6 : 0.42) - 0.01 * after.words;
  if (candidate.shape === "mixed" && !(slot.open && (copula || candidate.grouped))) score = 0.3;
  return weigh(c, score, "before a code's name", after.label);
}

/** A noun earlier in the sentence: `your code to sign in to Example with your phone is 4821`. */
function farNoun(c: Case, before: Before, slot: Slot): Judged | undefined {
  const { candidate } = c;
  if (before.label === undefined) return undefined;
  let score: number;
  if (slot.open) score = 0.88 - 0.015 * before.words;
  else if (slot.kind === "to") score = 0.3;
  else
    score =
      (before.label.noun === "secret" ? 0.7 : 0.58) -
      0.03 * before.words +
      (candidate.value.length === 6 ? 0.05 : 0);
  if (before.label.warned) score -= 0.15;
  if (candidate.shape === "mixed") score -= slot.kind === "colon" || slot.kind === "copula" ? 0.15 : 0.5;
  return weigh(c, score, "in a sentence about a code", before.label);
}

/** No noun in its sentence: the rest of the message, then its shape. */
function withoutNoun(c: Case, slot: Slot): Judged | undefined {
  const { reading, candidate, labels } = c;
  if (candidate.shape !== "digits") return undefined;
  const spare = labels.filter(
    (label) =>
      label.role === "noun" &&
      !c.taken.some((t) => t.start >= label.end && reading.words(label.end, t.start) <= NEAR),
  );
  const likely = candidate.value.length === 6 || candidate.grouped ? 0.05 : 0;
  const calm = spare.find((label) => !label.warned) ?? spare[0];
  const unclaimed = c.taken.length === 0;
  if (calm !== undefined && unclaimed) {
    const gap =
      calm.start > candidate.end
        ? reading.words(candidate.end, calm.start)
        : reading.words(calm.end, candidate.start);
    const own = isOwnLine(reading, candidate);
    let score = slot.open && slot.kind !== "copula" ? 0.76 : slot.kind === "copula" ? 0.6 : 0.34;
    if (own) score = 0.84;
    if (calm.warned && !own && slot.kind !== "start" && slot.kind !== "enter") score -= 0.3;
    if (gap > 25) score -= 0.15;
    return weigh(c, score + likely, "in a message about a code", calm);
  }
  if (reading.retriever && unclaimed)
    return weigh(c, slot.open ? 0.85 : 0.7, "in a message for Android's SMS Retriever", undefined);
  const intent = (reading.kinds & Kind.verify) !== 0;
  const support = (reading.kinds & (Kind.warn | Kind.validity)) !== 0;
  if (intent && unclaimed && c.alone && (reading.kinds & (Kind.booking | Kind.appointmentStrong)) === 0) {
    const score = (slot.open ? 0.66 : 0.4) + likely + (support ? 0.08 : 0);
    return weigh(c, score, "in a message about signing in", undefined);
  }
  if (slot.kind === "enter" && support && unclaimed)
    return weigh(c, 0.6 + likely, "to be entered", undefined);
  return weigh(c, 0.3 + likely, "by its shape", undefined);
}

function isOwnLine(reading: Reading, candidate: Candidate): boolean {
  const { text } = reading;
  const start = text.lastIndexOf("\n", candidate.start - 1) + 1;
  const stop = text.indexOf("\n", candidate.end);
  const end = stop < 0 ? text.length : stop;
  return reading.words(start, candidate.start) === 0 && reading.words(candidate.end, end) === 0;
}

/** Lowers a score where the message is about something that codes of that kind are not for. */
function weigh(c: Case, score: number, reason: string, label: Label | undefined): Judged {
  const { reading, candidate } = c;
  const noun = label?.noun;
  const kinds = reading.kinds;
  const proves =
    (kinds & (Kind.verify | Kind.validity)) !== 0 ||
    noun === "secret" ||
    noun === "pickup" ||
    reading.retriever;
  let weighed = score;
  let why = reason;
  if (((kinds & Kind.promo) !== 0 || hasPercent(reading)) && !proves) {
    weighed *= 0.35;
    why = "in an advertisement";
  }
  const softer = noun === "cond" || noun === "code";
  if (softer && (kinds & Kind.booking) !== 0 && !hasAny(kinds, Kind.warn | Kind.validity | Kind.verify)) {
    if (noun === "cond" || candidate.shape !== "digits") {
      weighed *= 0.4;
      why = "a booking's reference";
    }
  }
  if (
    noun === "cond" &&
    hasAny(kinds, Kind.paymentStrong) &&
    !hasAny(kinds, Kind.warn | Kind.validity | Kind.verify | Kind.enter)
  ) {
    weighed *= 0.4;
    why = "a receipt's reference";
  }
  if (candidate.value.length > 8) weighed -= noun === "secret" || noun === "pass" ? 0.05 : 0.2;
  const bounded = Math.max(0, Math.min(0.99, weighed));
  return {
    candidate,
    score: Math.round(bounded * 100) / 100,
    reason: why,
    ...(noun === undefined ? {} : { noun }),
  };
}

/** Shares are of prices; codes that prove something do not come with them. */
function hasPercent(reading: Reading): boolean {
  return /\d\s?%/.test(reading.text);
}

function hasAny(kinds: number, bits: number): boolean {
  return (kinds & bits) !== 0;
}

/** A message of nothing but the number, or of a name and the number. */
export function isBare(reading: Reading, candidate: Candidate): boolean {
  const rest = reading.words(0, candidate.start) + reading.words(candidate.end, reading.text.length);
  if (rest > 2) return false;
  if (rest === 0) return true;
  const before = reading.text.slice(0, candidate.start).trimEnd();
  return /[:\]\->]$/.test(before) && classAt(before, 0) !== CharClass.digit;
}
