import {
  type After,
  type Before,
  type Case,
  isFollowedByEnter,
  isOwnLine,
  isSentTo,
  kindsAround,
  labelAfter,
  labelBefore,
  NEAR,
  nounAfter,
  type Slot,
  sentence,
  slotOf,
} from "./annotation-context.ts";
import { Kind } from "./annotation-kinds.ts";
import type { Label, Noun } from "./annotation-labels.ts";
import type { Candidate } from "./annotation-marks.ts";
import type { Reading } from "./annotation-reading.ts";

/** A candidate with what was found for and against it. */
export interface Judged {
  readonly candidate: Candidate;
  /** 0 to 1; from `ENOUGH` on it is taken for a code. */
  readonly score: number;
  readonly reason: string;
  /** The noun that makes it a code, where one does. */
  readonly noun?: Noun;
}

const NUMBER_WORD = /numbe|numer|nummer|numar| no$| nr$/;

/** The least score of a code. */
export const ENOUGH = 0.5;

const BASE: Readonly<Record<Noun, number>> = {
  secret: 0.97,
  pickup: 0.95,
  cond: 0.93,
  code: 0.93,
  pass: 0.92,
};
/** Scores all candidates of a message, in its order; those that are nothing at all are left out. */
export function judge(
  reading: Reading,
  labels: readonly Label[],
  candidates: readonly Candidate[],
): readonly Judged[] {
  const judged: Judged[] = [];
  const unlabelled = candidates.filter((candidate) => !isLabelled(reading, labels, candidate));
  for (const [index, candidate] of candidates.entries()) {
    const taken = judged.filter((j) => j.score >= ENOUGH).map((j) => j.candidate);
    const next = candidates[index + 1];
    // Capitals alone are a brand where there is a number to choose.
    if (
      candidate.shape === "letters" &&
      candidates.some((other) => other.shape !== "letters" && other.doubt === undefined)
    )
      continue;
    const verdict = judgeOne({
      reading,
      labels,
      candidate,
      next,
      taken,
      earlier: candidates.slice(0, index),
      alone: unlabelled.every((other) => other === candidate),
    });
    if (verdict !== undefined) judged.push(verdict);
  }
  return judged;
}

/** Said to be something else, whatever the candidates around it are. */
function isLabelled(reading: Reading, labels: readonly Label[], candidate: Candidate): boolean {
  if (candidate.other !== undefined || candidate.doubt !== undefined) return true;
  const seen = { reading, labels, candidate, next: undefined, earlier: [], taken: [], alone: false };
  return labelBefore(seen).other !== undefined;
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
  const other = before.other ?? labelAfter(c);
  if (other !== undefined) {
    const label = c.reading.text.slice(other.start, other.end).trim();
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

/** `code: 4821`, `code is 4821`, `code for Example 4821`. */
function directNoun(c: Case, before: Before, slot: Slot): Judged | undefined {
  const { candidate, reading } = c;
  const label = before.label;
  if (label?.noun === undefined) return undefined;
  const tight = before.words === 0 || slot.kind === "colon" || slot.kind === "copula";
  let score = BASE[label.noun] - 0.02 * before.words;
  if (slot.kind === "to" && before.words > 0) score = isSentTo(c) ? 0.2 : score - 0.35;
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

/** Capitals alone are a code only where the message is not written in capitals and no other capitals follow. */
function isLonelyCapital(reading: Reading, candidate: Candidate): boolean {
  const { text, terms } = reading;
  const term = terms[reading.termFrom(candidate.start)];
  if (term !== undefined && term.start === candidate.start) return false;
  const lower = text.replace(/[^a-z]/g, "").length;
  const upper = text.replace(/[^A-Z]/g, "").length - candidate.value.length;
  return lower >= upper && !/^ [A-Z]{2,}/.test(text.slice(candidate.end, candidate.end + 4));
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
  const open = slot.open || (slot.kind === "comma" && copula);
  if (candidate.shape === "mixed" && !(open && (copula || candidate.grouped))) score = 0.3;
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
    const short = sentence(c).words <= 3;
    if (calm.warned && !own && !(slot.kind === "start" && short) && slot.kind !== "enter") score -= 0.3;
    if (gap > 25) score -= 0.15;
    return weigh(c, score + likely, "in a message about a code", calm);
  }
  if (reading.retriever && unclaimed)
    return weigh(c, slot.open ? 0.85 : 0.7, "in a message for Android's SMS Retriever", undefined);
  const around = kindsAround(c);
  const entered = slot.kind === "enter" || isFollowedByEnter(c);
  if (entered && unclaimed && hasAny(around, Kind.verify | Kind.confirm))
    return weigh(c, 0.8 + likely, "to be entered", undefined);
  const intent = hasAny(around, Kind.verify);
  const support = (reading.kinds & (Kind.warn | Kind.validity)) !== 0;
  if (intent && unclaimed && c.alone && (reading.kinds & (Kind.booking | Kind.appointmentStrong)) === 0) {
    const score = (slot.open ? 0.66 : slot.kind === "comma" ? 0.5 : 0.4) + likely + (support ? 0.08 : 0);
    return weigh(c, score, "in a message about signing in", undefined);
  }
  if (entered && support && unclaimed) return weigh(c, 0.6 + likely, "to be entered", undefined);
  if (unclaimed && c.alone && (slot.kind === "start" || slot.kind === "colon") && isFollowedByEnter(c))
    return weigh(c, 0.56 + likely, "to be entered", undefined);
  if (c.alone && unclaimed && slot.open && (reading.kinds & Kind.warn) !== 0)
    return weigh(c, 0.55 + likely, "not to be shared", undefined);
  if (c.alone && isOwnLine(reading, candidate) && (reading.kinds & Kind.validity) !== 0)
    return weigh(c, 0.62, "by itself, with a time limit", undefined);
  return weigh(c, 0.3 + likely, "by its shape", undefined);
}

/** Lowers a score where the message is about something that codes of that kind are not for. */
function weigh(c: Case, score: number, reason: string, label: Label | undefined): Judged {
  const { reading, candidate } = c;
  const noun = label?.noun;
  const kinds = reading.kinds;
  // What has letters is more often a coupon or a reference: only its own sentence speaks for it.
  const around = candidate.shape === "digits" ? kindsAround(c) : sentence(c).kinds;
  // A time limit proves nothing here: offers have one too.
  const proves = hasAny(around, Kind.verify) || noun === "secret" || noun === "pickup" || reading.retriever;
  let weighed = score;
  let why = reason;
  if ((hasAny(kinds, Kind.promo) || hasPercent(reading)) && !proves) {
    weighed *= 0.35;
    why = "in an advertisement";
  } else if (!proves && !hasAny(kinds, Kind.validity) && noun !== "pass" && isCouponLike(candidate.value)) {
    weighed *= 0.5;
    why = "looks like a coupon";
  } else if (isReference(c, label)) {
    weighed *= 0.4;
    why = "a booking's or receipt's reference";
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

/**
 * Confirmation and authorization codes of bookings and receipts, and what bookings call a code when it has letters:
 * references, unless the sentence does something with them. For a `confirmation number` nothing else is needed.
 */
function isReference(c: Case, label: Label | undefined): boolean {
  const { reading, candidate } = c;
  const noun = label?.noun;
  if (label === undefined || (noun !== "cond" && noun !== "code")) return false;
  const lettered = candidate.shape !== "digits";
  const useful = Kind.warn | Kind.validity | Kind.verify;
  const booked = hasAny(reading.kinds, Kind.booking | Kind.travel);
  if (booked && lettered) return !hasAny(sentence(c).kinds, useful);
  if (noun === "code") return false;
  const around = lettered ? sentence(c).kinds : kindsAround(c);
  const numbered = NUMBER_WORD.test(reading.folded.slice(label.start, label.end));
  if (booked && numbered) return !hasAny(sentence(c).kinds, useful | Kind.enter);
  if (booked) return !hasAny(around, useful);
  return (
    (numbered || hasAny(reading.kinds, Kind.paymentStrong)) && !hasAny(sentence(c).kinds, useful | Kind.enter)
  );
}

/** `SAVE20`, `MAI15`: a word and a number, as coupons have it and codes made by chance hardly ever. */
function isCouponLike(value: string): boolean {
  return /^(?=[A-Z]*[AEIOU])[A-Z]{3,}\d{1,4}$/.test(value);
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
  const before = reading.words(0, candidate.start);
  const after = reading.words(candidate.end, reading.text.length);
  if (before + after > 2) return false;
  if (before + after === 0) return true;
  if (before > 0) return /[:\]\->]\s*$/.test(reading.text.slice(0, candidate.start));
  return candidate.value.length === 6 && (reading.kinds & ~(Kind.copula | Kind.neutral)) === 0;
}
