import type { Reading } from "./annotation-reading.ts";
import { Kind, type Term } from "./annotation-terms.ts";
import { CharClass, classAt } from "./annotation-text.ts";

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

interface Token {
  readonly start: number;
  readonly end: number;
  readonly digits: boolean;
  readonly letters: boolean;
}

const SHORTEST = 4;
const LONGEST = 10;
/** More than any honest message has; keeps the judging of a wall of numbers bounded. */
const MOST = 40;

/** Everything of a code's shape that is not plainly a date, a time, a price, a phone number or the like. */
export function readNumbers(reading: Reading): readonly Candidate[] {
  const tokens = tokenize(reading);
  const found: Candidate[] = [];
  let i = 0;
  while (i < tokens.length && found.length < MOST) {
    const token = tokens[i];
    if (token === undefined) break;
    const [taken, candidates] =
      token.digits && !token.letters ? fromDigits(reading, tokens, i) : fromLetters(reading, tokens, i);
    found.push(...candidates);
    i += taken;
  }
  return found;
}

function tokenize(reading: Reading): readonly Token[] {
  const { text, closed } = reading;
  const tokens: Token[] = [];
  let span = 0;
  let i = 0;
  while (i < text.length) {
    while ((closed[span]?.end ?? Number.POSITIVE_INFINITY) <= i) span += 1;
    const shut = closed[span];
    if (shut !== undefined && i >= shut.start) {
      i = shut.end;
      continue;
    }
    if (!isAlnum(text, i)) {
      i += 1;
      continue;
    }
    const start = i;
    let digits = false;
    let letters = false;
    while (i < text.length && isAlnum(text, i) && (shut === undefined || i < shut.start)) {
      if (isDigit(text, i)) digits = true;
      else letters = true;
      i += 1;
    }
    // Part of a word of a Latin, Cyrillic or Greek alphabet that goes on with other letters.
    const joined = isSpacedLetter(text, start - 1) || isSpacedLetter(text, i);
    if (!joined || !letters) tokens.push({ start, end: i, digits, letters });
  }
  return tokens;
}

type Result = readonly [taken: number, candidates: readonly Candidate[]];
const NOTHING: readonly Candidate[] = [];

/** From a token of digits: the chain of groups it begins, read as a whole. */
function fromDigits(reading: Reading, tokens: readonly Token[], first: number): Result {
  const { text } = reading;
  const chain = tightChain(text, tokens, first);
  if (chain.length > 1) return [chain.length, readChain(reading, chain)];
  const spaced = spacedRun(text, tokens, first);
  const token = chain[0];
  if (token === undefined) return [1, NOTHING];
  if (spaced.length > 1) {
    const whole = readSpaced(reading, spaced);
    if (whole !== "apart") return [spaced.length, whole];
  }
  const next = tokens[first + 1];
  // `4821-ABCD`: groups of one code.
  if (next?.start === token.end + 1 && text[token.end] === "-" && next.letters) {
    return fromLetters(reading, tokens, first);
  }
  return [1, single(reading, token)];
}

/** Groups of digits with one of `. , : - /` between. */
function tightChain(text: string, tokens: readonly Token[], first: number): readonly Token[] {
  const chain: Token[] = [];
  for (let i = first; i < tokens.length; i++) {
    const token = tokens[i];
    const before = chain.at(-1);
    if (token === undefined || token.letters) break;
    if (
      before !== undefined &&
      (token.start !== before.end + 1 || !".,:-/".includes(text.charAt(before.end)))
    )
      break;
    chain.push(token);
  }
  return chain;
}

/** Groups of digits with one space between, none of which goes on with other punctuation and digits. */
function spacedRun(text: string, tokens: readonly Token[], first: number): readonly Token[] {
  const run: Token[] = [];
  for (let i = first; i < tokens.length; i++) {
    const token = tokens[i];
    const before = run.at(-1);
    if (token === undefined || token.letters) break;
    if (before !== undefined && (token.start !== before.end + 1 || text[before.end] !== " ")) break;
    if (
      ".,:-/".includes(text.charAt(token.end)) &&
      text.charAt(token.end) !== "" &&
      isDigit(text, token.end + 1)
    )
      break;
    run.push(token);
  }
  return run;
}

function readChain(reading: Reading, chain: readonly Token[]): readonly Candidate[] {
  const { text } = reading;
  const first = chain[0];
  const last = chain.at(-1);
  if (first === undefined || last === undefined) return NOTHING;
  const seps = chain.slice(0, -1).map((token) => text.charAt(token.end));
  const sep = seps[0];
  const mixedSeps = seps.some((s) => s !== sep);
  const groups = chain.map((token) => text.slice(token.start, token.end));
  const lengths = groups.map((group) => group.length);
  const total = lengths.reduce((a, b) => a + b, 0);
  const span = { start: first.start, end: last.end };
  const joined: Candidate = { value: groups.join(""), ...span, shape: "digits", grouped: true };

  // `482913,10 minutes` and `482913:…`: the groups have nothing to do with each other.
  const apart =
    sep === ":"
      ? first.end - first.start >= SHORTEST
      : sep === "," &&
        lengths[0] !== undefined &&
        lengths[0] >= SHORTEST &&
        chain.length === 2 &&
        unitAfter(reading, last.end);
  if (apart) return chain.flatMap((token) => single(reading, token));
  if (mixedSeps || sep === ":") return NOTHING;
  if (sep === "/") {
    if (isDate(groups) || total > LONGEST) return NOTHING;
    return chain
      .flatMap((token) => single(reading, token))
      .map((c) => ({ ...c, other: "part of a fraction" }));
  }
  if (outsideMark(reading, span.start, span.end)) return NOTHING;
  const equal = lengths.every((length) => length === lengths[0]);
  if (sep === "-") {
    if (isPhone(text, span.start, lengths, groups)) return NOTHING;
    if (total < SHORTEST || total > LONGEST) return NOTHING;
    if (isDate(groups)) return [{ ...joined, doubt: "has the shape of a date" }];
    if (equal && chain.length === 2 && groups.every(isYear)) return NOTHING;
    if (equal && lengths[0] === 2 && chain.length === 2)
      return [{ ...joined, doubt: "has the shape of a range" }];
    return equal ? [joined] : [{ ...joined, value: groups.join("-"), doubt: "has groups of unequal length" }];
  }
  // Full stops and commas.
  if (isDate(groups) || chain.length > 3 || total > LONGEST || total < SHORTEST) return NOTHING;
  if (!equal || sep === "," || lengths[0] === 1) return NOTHING;
  return [{ ...joined, doubt: "has the shape of an amount" }];
}

function readSpaced(reading: Reading, run: readonly Token[]): readonly Candidate[] | "apart" {
  const { text } = reading;
  const first = run[0];
  const last = run.at(-1);
  if (first === undefined || last === undefined) return "apart";
  const groups = run.map((token) => text.slice(token.start, token.end));
  const lengths = groups.map((group) => group.length);
  const total = lengths.reduce((a, b) => a + b, 0);
  if (text[first.start - 1] === "+" || (text.slice(0, first.start).endsWith("(+") && total > 6))
    return NOTHING;
  if (lengths.some((length) => length > 5) || lengths.every((length) => length > 4)) return "apart";
  const equal = lengths.every((length) => length === lengths[0]);
  const joined: Candidate = {
    value: groups.join(""),
    start: first.start,
    end: last.end,
    shape: "digits",
    grouped: true,
  };
  if (lengths.every((length) => length === 1))
    return total >= SHORTEST && total <= LONGEST ? [joined] : NOTHING;
  if (equal && total <= 8 && total >= 6) return marksAround(reading, joined) ?? [joined];
  if (equal && total === SHORTEST)
    return marksAround(reading, joined) ?? [{ ...joined, doubt: "has groups of two" }];
  if (total === 9 && equal) return [{ ...joined, doubt: "has the shape of a phone number" }];
  if (total >= 9) return phoneLike(groups) ? NOTHING : "apart";
  // `12 500`: thousands; `482 91`: a code in unequal groups.
  if (run.length === 2 && lengths[1] === 3 && (lengths[0] ?? 0) < 3)
    return [{ ...joined, doubt: "has the shape of an amount" }];
  return "apart";
}

/** A number by itself. */
function single(reading: Reading, token: Token): readonly Candidate[] {
  const { text } = reading;
  const value = text.slice(token.start, token.end);
  if (value.length < SHORTEST || value.length > LONGEST) return NOTHING;
  const candidate: Candidate = { value, start: token.start, end: token.end, shape: "digits", grouped: false };
  const marked = marksAround(reading, candidate);
  if (marked !== undefined) return marked;
  if (value.length === 10 && /^0[1-9]|^[6-9]/.test(value))
    return [{ ...candidate, doubt: "has the shape of a phone number" }];
  if (value.length === 8 && isCompactDate(value)) return [{ ...candidate, doubt: "has the shape of a date" }];
  return isYear(value) ? [{ ...candidate, doubt: "has the shape of a year" }] : [candidate];
}

/** What the characters and words right beside a number make of it; undefined where they say nothing. */
function marksAround(reading: Reading, candidate: Candidate): readonly Candidate[] | undefined {
  if (outsideMark(reading, candidate.start, candidate.end)) return NOTHING;
  const after = termAfter(reading, candidate.end);
  if (after !== undefined && (after.kinds & Kind.unit) !== 0)
    return [{ ...candidate, doubt: "is followed by a measure" }];
  if (after !== undefined && (after.kinds & Kind.money) !== 0) {
    // `OTP 482913 INR 3373`: the currency belongs to what follows it.
    return [{ ...candidate, doubt: "is followed by a currency" }];
  }
  const before = termBefore(reading, candidate.start);
  if (before !== undefined && (before.kinds & Kind.money) !== 0) return NOTHING;
  if (isYear(candidate.value)) {
    const near = (before?.kinds ?? 0) | (after?.kinds ?? 0);
    if ((near & Kind.day) !== 0) return NOTHING;
  }
  return undefined;
}

/** Signs beside a number that make it a price, a share, the visible end of a card, a phone number or a tag. */
function outsideMark(reading: Reading, start: number, end: number): boolean {
  const { text } = reading;
  const before = text.charAt(start - 1);
  const after = text.charAt(end);
  const spacedBefore = before === " " ? text.charAt(start - 2) : before;
  const spacedAfter = after === " " ? text.charAt(end + 1) : after;
  if (isCurrency(spacedBefore) || isCurrency(spacedAfter))
    return !(isCurrency(spacedAfter) && isDigit(text, end + 2));
  if ("%‰°".includes(spacedAfter) && spacedAfter !== "") return true;
  if (before === "+" || before === "@" || before === "/" || before === "=") return true;
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

/** From a token with letters: a prefixed code, grouped letters and digits, or one mixed word. */
function fromLetters(reading: Reading, tokens: readonly Token[], first: number): Result {
  const { text } = reading;
  const group: Token[] = [];
  for (let i = first; i < tokens.length && i < first + 5; i++) {
    const token = tokens[i];
    const before = group.at(-1);
    if (token === undefined) break;
    if (before !== undefined && (token.start !== before.end + 1 || text[before.end] !== "-")) break;
    group.push(token);
  }
  const [head, second, ...rest] = group;
  const last = group.at(-1);
  if (head === undefined || last === undefined) return [1, NOTHING];
  if (second === undefined) return [1, mixedWord(reading, head)];
  const words = group.map((token) => text.slice(token.start, token.end));
  const [prefix = "", number = ""] = words;
  const span = { start: head.start, end: last.end };
  const isPrefixed = rest.length === 0 && /^[A-Z]{1,4}$/.test(prefix) && !second.letters;
  if (isPrefixed && number.length >= SHORTEST && number.length <= 8) {
    const marked = marksAround(reading, {
      value: number,
      start: second.start,
      end: second.end,
      shape: "digits",
      grouped: false,
    });
    if (marked !== undefined) return [group.length, marked];
    return [
      group.length,
      [
        {
          value: number,
          start: second.start,
          end: second.end,
          shape: "digits",
          grouped: false,
          written: `${prefix}-${number}`,
        },
      ],
    ];
  }
  const value = words.join("");
  const equal = words.every((word) => word.length === prefix.length);
  const upper = value === value.toUpperCase();
  if (equal && upper && /\d/.test(value) && value.length >= 6 && value.length <= LONGEST) {
    return [group.length, [{ value, ...span, shape: "mixed", grouped: true, written: words.join("-") }]];
  }
  if (upper && /\d/.test(value) && value.length <= LONGEST && value.length >= SHORTEST && group.length <= 3) {
    return [
      group.length,
      [{ value: words.join("-"), ...span, shape: "mixed", grouped: true, doubt: "has the shape of an id" }],
    ];
  }
  // A word with hyphens, or an id: its parts are no codes, but a number after a word may be (`code-4821`).
  const parts = group.flatMap((token) => (token.letters ? [] : single(reading, token)));
  const wordThenNumber = rest.length === 0 && !head.digits && !second.letters && /[a-z]/.test(prefix);
  return [group.length, wordThenNumber ? parts : parts.map((c) => ({ ...c, other: "part of a longer id" }))];
}

function mixedWord(reading: Reading, token: Token): readonly Candidate[] {
  const { text } = reading;
  const value = text.slice(token.start, token.end);
  if (value.length < SHORTEST || value.length > LONGEST) return NOTHING;
  const span = { start: token.start, end: token.end };
  if (!token.digits) {
    return /^[A-Z]{4,8}$/.test(value)
      ? [{ value, ...span, shape: "letters", grouped: false, doubt: "is a word" }]
      : NOTHING;
  }
  // `XX1234`, `x4821`: the visible end of a card or account.
  if (/^[xX]+\d{3,6}$/.test(value) || /^\d{2,6}[xX]{2,}\d*$/.test(value)) return NOTHING;
  // `1500km`, `1080p`, `12th`, `300MB`, `10h30`.
  const measured = /^\d+([a-zA-Z]+)$/.exec(value)?.[1];
  if (measured !== undefined && isMeasure(reading, token.end - measured.length)) return NOTHING;
  if (/^\d{1,2}h\d{2}$/i.test(value) || /^\d{1,4}(am|pm|st|nd|rd|th)$/i.test(value)) return NOTHING;
  if (/^(rs|usd|eur|inr|rm|rp|gbp|aed|sar|kes|ngn|idr|php|nt|hk)\d+$/i.test(value)) return NOTHING;
  if (outsideMark(reading, token.start, token.end)) return NOTHING;
  const word = /^[A-Z]?[a-z]+\d+$/.test(value) || /^\d[A-Z]?[a-z]+$/.test(value);
  return [
    { value, ...span, shape: "mixed", grouped: false, ...(word ? { doubt: "has the shape of a name" } : {}) },
  ];
}

function isMeasure(reading: Reading, start: number): boolean {
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

function unitAfter(reading: Reading, end: number): boolean {
  const term = termAfter(reading, end);
  return term !== undefined && (term.kinds & Kind.unit) !== 0;
}

function isPhone(
  text: string,
  start: number,
  lengths: readonly number[],
  groups: readonly string[],
): boolean {
  const total = lengths.reduce((a, b) => a + b, 0);
  if (text[start - 1] === "+" || text[start - 1] === "(") return true;
  if (/\)\s?$/.test(text.slice(Math.max(0, start - 2), start))) return true;
  // `555-1234` and Korean service numbers like `1588-1234`.
  if (
    lengths.length === 2 &&
    lengths[1] === 4 &&
    (lengths[0] === 3 || (lengths[0] === 4 && /^1[5-9]/.test(groups[0] ?? "")))
  ) {
    return true;
  }
  return total > 8 && phoneLike(groups);
}

function phoneLike(groups: readonly string[]): boolean {
  const digits = groups.join("");
  return digits.length >= 9 && digits.length <= 15 && groups.length >= 2;
}

function isDate(groups: readonly string[]): boolean {
  if (groups.length < 2 || groups.length > 3) return false;
  const numbers = groups.map(Number);
  const [a = 0, b = 0, c = 0] = numbers;
  const lengths = groups.map((group) => group.length);
  if (lengths[0] === 4)
    return (
      isYear(groups[0] ?? "") &&
      b >= 1 &&
      b <= 12 &&
      (lengths[1] ?? 3) <= 2 &&
      (groups.length === 2 || (c >= 1 && c <= 31))
    );
  if ((lengths[0] ?? 3) > 2 || (lengths[1] ?? 3) > 2) return false;
  const dayAndMonth = a >= 1 && b >= 1 && ((a <= 31 && b <= 12) || (a <= 12 && b <= 31));
  if (groups.length === 2) return false;
  return dayAndMonth && (lengths[2] === 2 || (lengths[2] === 4 && isYear(groups[2] ?? "")));
}

/** `20240517` or `17052024`. */
function isCompactDate(value: string): boolean {
  const forward = isYear(value.slice(0, 4)) && inRange(value.slice(4, 6), 12) && inRange(value.slice(6), 31);
  return (
    forward || (isYear(value.slice(4)) && inRange(value.slice(0, 2), 31) && inRange(value.slice(2, 4), 12))
  );
}

function inRange(digits: string, most: number): boolean {
  const number = Number(digits);
  return number >= 1 && number <= most;
}

function isYear(value: string): boolean {
  return value.length === 4 && (value.startsWith("19") || value.startsWith("20"));
}

function isCurrency(char: string): boolean {
  return char !== "" && "$€£¥₹₽₩₪₫₴₺₦₱฿₡₲₵₸₼₾￥￡￦".includes(char);
}

function isAlnum(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  return (unit >= 0x30 && unit <= 0x39) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a);
}

function isDigit(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  return unit >= 0x30 && unit <= 0x39;
}

/** A letter, beyond ASCII, of an alphabet whose words a number cannot be glued to. */
function isSpacedLetter(text: string, index: number): boolean {
  return (
    index >= 0 &&
    text.charCodeAt(index) >= 0xc0 &&
    text.charCodeAt(index) < 0x530 &&
    classAt(text, index) === CharClass.letter
  );
}
