import { type Candidate, isMeasure, marksAround, outsideMark, unitAfter } from "./annotation-marks.ts";
import type { Reading } from "./annotation-reading.ts";
import { isCompactDate, isDate, isLocalPhone, isPhone, isYear, phoneLike } from "./annotation-shapes.ts";
import { isOneSpaceApart, spacedRun, type Token, tightChain, tokenize } from "./annotation-tokens.ts";

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
    const spelled = spelledOut(reading, tokens, i);
    if (spelled !== undefined) {
      found.push(spelled.candidate);
      i += spelled.taken;
      continue;
    }
    const [taken, candidates] =
      token.digits && !token.letters ? fromDigits(reading, tokens, i) : fromLetters(reading, tokens, i);
    found.push(...candidates);
    i += taken;
  }
  return found;
}

type Result = readonly [taken: number, candidates: readonly Candidate[]];
const NOTHING: readonly Candidate[] = [];

/** `a u 8 k u f`: single characters with single spaces between. */
function spelledOut(
  reading: Reading,
  tokens: readonly Token[],
  first: number,
): { readonly taken: number; readonly candidate: Candidate } | undefined {
  const { text } = reading;
  if (isSingleAfterSingle(text, tokens, first)) return undefined;
  let last = first;
  while (last < tokens.length && last - first <= LONGEST) {
    const token = tokens[last];
    const before = tokens[last - 1];
    if (token === undefined || token.end - token.start !== 1) break;
    if (last > first && (before === undefined || !isOneSpaceApart(text, before, token))) break;
    last += 1;
  }
  const run = tokens.slice(first, last);
  const start = run[0]?.start;
  const end = run.at(-1)?.end;
  if (start === undefined || end === undefined || run.length < SHORTEST || run.length > LONGEST)
    return undefined;
  const value = run.map((token) => text.slice(token.start, token.end)).join("");
  if (!/[A-Za-z]/.test(value)) return undefined;
  const candidate: Candidate = { value, start, end, shape: "mixed", grouped: true, doubt: "is spelled out" };
  return { taken: run.length, candidate };
}

/** Inside a longer run of single characters, which is no code. */
function isSingleAfterSingle(text: string, tokens: readonly Token[], index: number): boolean {
  const before = tokens[index - 1];
  const token = tokens[index];
  if (before === undefined || token === undefined) return false;
  return before.end - before.start === 1 && isOneSpaceApart(text, before, token);
}

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
    if (isLocalPhone(groups)) return [{ ...joined, doubt: "has the shape of a phone number" }];
    if (equal) return [joined];
    // `337-1337` is one number; in `8-2-4021`, a shelf in a parcel shop, the hyphens are part of it.
    const value =
      chain.length === 2 && lengths.every((length) => length > 2) ? joined.value : groups.join("-");
    return [{ ...joined, value, doubt: "has groups of unequal length" }];
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
  if (text[first.start - 1] === "+") return NOTHING;
  if (groups[0]?.startsWith("0") && total >= 9 && lengths[0] !== total) {
    return lengths.every((length) => length <= 8) && !lengths.every((length) => length === 1)
      ? NOTHING
      : "apart";
  }
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
  // Phone, card and account numbers.
  if (total >= 9) return phoneLike(groups) || run.length > 2 ? NOTHING : "apart";
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
    const written = `${prefix}-${number}`;
    const bare = {
      value: number,
      start: second.start,
      end: second.end,
      shape: "digits",
      grouped: false,
    } as const;
    return [group.length, marksAround(reading, bare) ?? [{ ...bare, written }]];
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
