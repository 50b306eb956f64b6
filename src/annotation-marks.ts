import { Kind } from "./annotation-kinds.ts";
import type { Reading } from "./annotation-reading.ts";
import { isCurrency, isDigit, isYear } from "./annotation-shapes.ts";
import type { Term } from "./annotation-terms.ts";

/** Something in a message that has the shape of a code. */
export interface Candidate {
  /** What a person would type: groups joined, a prefix like `G-` left out. */
  readonly value: string;
  readonly start: number;
  readonly end: number;
  readonly shape: "digits" | "mixed" | "letters";
  readonly grouped: boolean;
  /** Why it counts only with a code's label directly at it: it also has the shape of something else. */
  readonly doubt?: string;
  /** Why it may not be a code, whatever is written around it, though it is listed. */
  readonly other?: string;
  /** As written, where that is more than `value` (`G-123456`). */
  readonly written?: string;
}

/** What the characters and words right beside a number make of it; undefined where they say nothing. */
export function marksAround(reading: Reading, candidate: Candidate): readonly Candidate[] | undefined {
  if (outsideMark(reading, candidate.start, candidate.end)) return [];
  const after = termAfter(reading, candidate.end);
  if (after !== undefined && (after.kinds & Kind.unit) !== 0) {
    // `2026年`
    if (isYear(candidate.value)) return [];
    return [{ ...candidate, doubt: "is followed by a measure" }];
  }
  if (after !== undefined && (after.kinds & Kind.money) !== 0) {
    // `OTP 482913 INR 3373`: the currency belongs to what follows it.
    return [{ ...candidate, doubt: "is followed by a currency" }];
  }
  const before = termBefore(reading, candidate.start);
  if (before !== undefined && (before.kinds & Kind.money) !== 0) return [];
  if (isYear(candidate.value)) {
    const near = (before?.kinds ?? 0) | (after?.kinds ?? 0);
    if ((near & Kind.day) !== 0) return [];
  }
  return undefined;
}

/** Signs beside a number that make it a price, a share, the visible end of a card, a phone number or a tag. */
export function outsideMark(reading: Reading, start: number, end: number): boolean {
  const { text } = reading;
  const before = text.charAt(start - 1);
  const after = text.charAt(end);
  const spacedBefore = before === " " ? text.charAt(start - 2) : before;
  const spacedAfter = after === " " ? text.charAt(end + 1) : after;
  if (isCurrency(spacedBefore) || isCurrency(spacedAfter))
    return !(isCurrency(spacedAfter) && isDigit(text, end + 2));
  if ("%‰°".includes(spacedAfter) && spacedAfter !== "") return true;
  if (before === "+" || before === "@" || before === "/") return true;
  if (before === "*" || before === "•" || before === "·" || before === "●" || before === "×")
    return !isBold(text, start, end);
  if (after === "*" && before !== "*") return true;
  if (before === "…" || text.slice(Math.max(0, start - 2), start) === "..") return true;
  if (before === "." || before === ",") return isDigit(text, start - 2);
  return false;
}

/** `*4821*`: bold in WhatsApp, not the end of a card number. */
function isBold(text: string, start: number, end: number): boolean {
  return text.charAt(start - 1) === "*" && text.charAt(start - 2) !== "*" && text.charAt(end) === "*";
}

export function isMeasure(reading: Reading, start: number): boolean {
  if (/^[ghklmsvw](?![a-z])/i.test(reading.text.slice(start, start + 2))) return true;
  const term = reading.terms[reading.termFrom(start)];
  return term !== undefined && term.start === start && (term.kinds & (Kind.unit | Kind.money)) !== 0;
}

function termAfter(reading: Reading, end: number): Term | undefined {
  const skip = reading.text.charAt(end) === " " || reading.text.charAt(end) === "-" ? 1 : 0;
  const term = reading.terms[reading.termFrom(end)];
  return term !== undefined && term.start <= end + skip ? term : undefined;
}

function termBefore(reading: Reading, start: number): Term | undefined {
  const term = reading.terms[reading.termFrom(start) - 1];
  if (term === undefined) return undefined;
  const gap = reading.text.slice(term.end, start);
  return gap === "" || gap === " " || gap === "." || gap === ". " ? term : undefined;
}

export function unitAfter(reading: Reading, end: number): boolean {
  const term = termAfter(reading, end);
  return term !== undefined && (term.kinds & Kind.unit) !== 0;
}
