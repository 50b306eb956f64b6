import { Kind } from "./annotation-kinds.ts";
import {
  androidHash,
  hasRetrieverMark,
  type OriginBound,
  originBound,
  type Span,
} from "./annotation-origin.ts";
import { findTerms, type Term } from "./annotation-terms.ts";
import { CharClass, classAt, normalise, originalOffset } from "./annotation-text.ts";
import { findLinks, type Link } from "./annotation-urls.ts";

/** A message taken apart once: everything the judgements look at, with constant-time questions about distance. */
export interface Reading {
  readonly text: string;
  readonly folded: string;
  readonly terms: readonly Term[];
  /** All kinds that occur, as bits. */
  readonly kinds: number;
  readonly links: readonly Link[];
  /** Where no number is looked for: addresses, the origin-bound line, the app hash. In order. */
  readonly closed: readonly Span[];
  readonly originBound: OriginBound | undefined;
  /** For Android's SMS Retriever: such a message always carries a code. */
  readonly retriever: boolean;
  /** Words between two offsets; two characters of an unspaced script count as one. */
  words(from: number, to: number): number;
  /** Ends of sentences between two offsets. */
  stops(from: number, to: number): number;
  /** Line breaks between two offsets. */
  lines(from: number, to: number): number;
  /** The first term at or after an offset, as an index into `terms`. */
  termFrom(offset: number): number;
}

/** Linear in the length of the message. */
export function readMessage(original: string): Reading {
  const normal = normalise(original);
  const { text, folded } = normal;
  const marked = hasRetrieverMark(text);
  const hash = androidHash(text, marked);
  const bound = originBound(text, hash?.start ?? text.length);
  const { links: found, closed: addresses } = findLinks(text);
  // One in which a digit of another script was read as ours, or something unseen left out, leads elsewhere.
  const links = found.filter(({ start, end, url }) => {
    const written = original.slice(originalOffset(normal, start), originalOffset(normal, end));
    return written.replace(/^\p{Cf}+|\p{Cf}+$/gu, "") === url;
  });
  const closed = [
    ...addresses,
    ...(bound === undefined ? [] : [bound]),
    ...(hash === undefined ? [] : [hash]),
  ].sort((a, b) => a.start - b.start);
  const terms = findTerms(folded);
  const words = new Uint16Array(text.length + 1);
  const stops = new Uint16Array(text.length + 1);
  const lines = new Uint16Array(text.length + 1);
  let before: number = CharClass.other;
  for (let i = 0; i < text.length; i++) {
    const now = classAt(text, i);
    const starts = now === CharClass.unspaced ? 1 : now !== CharClass.other && now !== before ? 2 : 0;
    words[i + 1] = (words[i] ?? 0) + starts;
    stops[i + 1] = (stops[i] ?? 0) + (now === CharClass.other && isStop(text, i) ? 1 : 0);
    lines[i + 1] = (lines[i] ?? 0) + (text.charCodeAt(i) === 0x0a ? 1 : 0);
    before = now;
  }
  const between = (table: Uint16Array, from: number, to: number) => (table[to] ?? 0) - (table[from] ?? 0);
  let kinds = 0;
  for (const term of terms) kinds |= term.kinds;
  return {
    text,
    folded,
    terms,
    kinds,
    links,
    closed,
    originBound: bound,
    retriever: marked || (hash !== undefined && /[0-9+/]/.test(text.slice(hash.start, hash.end))),
    words: (from, to) => between(words, from, to) / 2,
    stops: (from, to) => between(stops, from, to),
    lines: (from, to) => between(lines, from, to),
    termFrom: (offset) => lowerBound(terms, offset),
  };
}

const HARD_STOPS = new Set("!?。！？؟।…۔");
/** Words before a full stop that is not the end of a sentence when a number or a small letter follows. */
const ABBREVIATING = Kind.ref | Kind.number | Kind.reach | Kind.money | Kind.thing;

function isStop(text: string, index: number): boolean {
  const char = text.charAt(index);
  if (HARD_STOPS.has(char)) return true;
  if (char !== "." && char !== ";") return false;
  const next = text.charAt(index + 1);
  if (char === ";") return next === " " || next === "\n";
  if (classAt(text, index + 1) === CharClass.digit || /[a-z.]/.test(next)) return false;
  // `U.S.`, `GOV.UK`
  if (/[A-Z]/.test(next)) return !/[A-Z]/.test(text.charAt(index - 1));
  if (next !== " ") return true;
  const after = text.charAt(index + 2);
  if (classAt(text, index + 2) !== CharClass.digit && after !== after.toLowerCase())
    return !isInitial(text, index);
  return !isAbbreviation(text, index);
}

/** `No. 4821`, `Ref. 4821`, `Rs. 500`, `Buchungsnr. 4821`: words cut short before a number. */
function isAbbreviation(text: string, index: number): boolean {
  let start = index;
  while (start > 0 && index - start < 24 && classAt(text, start - 1) === CharClass.letter) start -= 1;
  const word = text.slice(start, index).toLowerCase();
  if (word === "") return false;
  if (word.length > 4) return /(?:nr|no|num|tel)$/.test(word);
  const term = findTerms(word)[0];
  return term === undefined ? word.length <= 2 : (term.kinds & ABBREVIATING) !== 0;
}

/** One letter before the full stop, as in `J. Smith`. */
function isInitial(text: string, index: number): boolean {
  return classAt(text, index - 1) === CharClass.letter && classAt(text, index - 2) === CharClass.other;
}

function lowerBound(terms: readonly Term[], offset: number): number {
  let low = 0;
  let high = terms.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((terms[middle]?.start ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
