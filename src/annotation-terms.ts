import { LEXICON } from "./annotation-lexicon.ts";
import { CharClass, classAt, fold } from "./annotation-text.ts";

/** What a word of the lexicon says about the numbers around it; a word may say several things at once. */
export const Kind = {
  /** A noun that means a one-time code by itself: `OTP`, `verification code`. */
  secret: 1 << 0,
  /** A noun that needs its company: `code`. */
  code: 1 << 1,
  /** `password`, `PIN`: a secret, though not always a one-time one. */
  pass: 1 << 2,
  /** `confirmation code`, `authorization code`: a secret, but on bookings and receipts a reference. */
  cond: 1 << 3,
  /** What is typed at a locker or told to a courier. */
  pickup: 1 << 4,
  /** Proving who one is, signing in, registering. */
  verify: 1 << 5,
  /** Advertising; beside a code noun it makes it a coupon. */
  promo: 1 << 6,
  /** A label whose number is never a code: `tracking`, `invoice`, `balance`, `flight`. */
  ref: 1 << 7,
  /** Things that have numbers but are also only spoken of: `order`, `card`, `account`. */
  thing: 1 << 8,
  /** `number`, `no.`, `id`. */
  number: 1 << 9,
  /** Flights and trains: a booking of theirs is no appointment. */
  travel: 1 << 10,
  /** `call`, `ending in`: up to three words on, a telephone number or the visible end of a card follows. */
  reach: 1 << 11,
  /** Texting something to somewhere. */
  send: 1 << 12,
  /** The preposition between `send` and a number. */
  to: 1 << 13,
  /** `is` and what stands in its place, before or after a code. */
  copula: 1 << 14,
  /** `enter`, `use`. */
  enter: 1 << 15,
  /** `do not share`. */
  warn: 1 << 16,
  /** `expires`, `valid for`. */
  validity: 1 << 17,
  /** A currency in letters. */
  money: 1 << 18,
  /** A measure after a number. */
  unit: 1 << 19,
  /** Flights, hotels, tables. */
  booking: 1 << 20,
  /** A month's name, today, a weekday. */
  day: 1 << 21,
  deliveryStrong: 1 << 22,
  delivery: 1 << 23,
  appointmentStrong: 1 << 24,
  appointment: 1 << 25,
  paymentStrong: 1 << 26,
  payment: 1 << 27,
  /** `confirm`, `reset`, `complete`: what a link may do. */
  confirm: 1 << 28,
  /** `tap`, `link`. */
  click: 1 << 29,
  /** `if this was not you`. */
  denial: 1 << 30,
  /** Phrases that only keep a word in them from counting: `toll free`, `dress code`. */
  neutral: 1 << 31,
} as const;

export type KindName = keyof typeof Kind;

export const NOUN = Kind.secret | Kind.code | Kind.pass | Kind.cond | Kind.pickup;

/** A word or phrase of the lexicon found in a message: where (in the normalised text) and its kinds' bits. */
export interface Term {
  readonly start: number;
  readonly end: number;
  readonly kinds: number;
}

interface Node {
  readonly next: Map<number, Node>;
  /** Bits of entries that end here at a word's end. */
  whole: number;
  /** Bits of entries that end here and let the word go on (`verif*`). */
  prefix: number;
  /** Where an entry goes on with the next word after the rest of this one (`код* подтвержд*`). */
  inner: Node | undefined;
}

const FORWARD = newNode();
/** Endings of compound words (`*code`), read from the end. */
const BACKWARD = newNode();
const STAR = "*";
const SPACE = 0x20;
const ARABIC_PREFIXES = ["ال", "وال", "بال", "لل", "فال", "كال", "و", "ب", "ل", "ف"];
const HEBREW_PREFIXES = ["ה", "ו", "ב", "ל", "ש", "מ", "כ", "וה", "שה", "מה", "בה"];

build();

/** Every term of a folded text in order, without overlaps. Linear: a search from one place is bounded. */
export function findTerms(folded: string): readonly Term[] {
  const terms: Term[] = [];
  let i = 0;
  while (i < folded.length) {
    const kind = classAt(folded, i);
    if (kind === CharClass.unspaced) {
      const found = search(folded, i);
      if (found === undefined) {
        i += 1;
      } else {
        terms.push({ start: i, end: found.end, kinds: found.kinds });
        i = found.end;
      }
    } else if (startsWord(folded, i, kind)) {
      const term = wordTerm(folded, i);
      if (term === undefined) {
        i += 1;
      } else {
        terms.push(term);
        i = term.end;
      }
    } else {
      i += 1;
    }
  }
  return terms;
}

/** The end of the word at `index` (letters only). */
export function wordEnd(folded: string, index: number): number {
  let end = index;
  while (classAt(folded, end) === CharClass.letter) end += 1;
  return end;
}

function startsWord(folded: string, index: number, kind: number): boolean {
  const before = classAt(folded, index - 1);
  if (kind === CharClass.letter) return before !== CharClass.letter;
  return kind === CharClass.digit && before !== CharClass.letter && before !== CharClass.digit;
}

function wordTerm(folded: string, start: number): Term | undefined {
  const end = wordEnd(folded, start);
  let found = search(folded, start);
  if (found === undefined) {
    for (const prefix of prefixesAt(folded, start)) {
      found = search(folded, start + prefix.length);
      if (found !== undefined) break;
    }
  }
  const ending = found === undefined || found.end <= end ? searchEnding(folded, start, end) : 0;
  if (found === undefined && ending === 0) return undefined;
  return {
    start,
    end: Math.max(found?.end ?? 0, ending === 0 ? 0 : end),
    kinds: (found?.kinds ?? 0) | ending,
  };
}

/** Articles and prepositions that Arabic and Hebrew write together with the word. */
function prefixesAt(folded: string, start: number): readonly string[] {
  const unit = folded.charCodeAt(start);
  const list =
    unit >= 0x0600 && unit <= 0x06ff
      ? ARABIC_PREFIXES
      : unit >= 0x05d0 && unit <= 0x05ea
        ? HEBREW_PREFIXES
        : [];
  return list.filter((prefix) => folded.startsWith(prefix, start));
}

interface Found {
  end: number;
  kinds: number;
  /** Bits of shorter entries that began at the same place. */
  inherited: number;
}

/** What a phrase keeps of its first word: `verify your` is still about verifying. */
const INHERITED =
  Kind.verify |
  Kind.confirm |
  Kind.validity |
  Kind.warn |
  Kind.click |
  Kind.booking |
  Kind.delivery |
  Kind.deliveryStrong |
  Kind.appointment |
  Kind.appointmentStrong |
  Kind.payment |
  Kind.paymentStrong;

/** The longest entry that begins at `start`; entries of equal length add up. */
function search(folded: string, start: number): Found | undefined {
  const best: Found = { end: 0, kinds: 0, inherited: 0 };
  let node = FORWARD.next.get(folded.charCodeAt(start));
  let i = start;
  // Walks the plain way without recursion; only phrases branch.
  while (node !== undefined) {
    i += 1;
    note(node, folded, i, best);
    if (node.inner !== undefined) descend(node.inner, folded, skipSpaces(folded, wordEnd(folded, i)), best);
    const unit = folded.charCodeAt(i);
    if (unit === SPACE) {
      const next = node.next.get(SPACE);
      if (next !== undefined) descend(next, folded, skipSpaces(folded, i), best);
      break;
    }
    node = node.next.get(unit);
  }
  if (best.end === 0) return undefined;
  if ((best.kinds & (Kind.neutral | Kind.promo)) === 0) best.kinds |= best.inherited;
  return best;
}

function descend(from: Node, folded: string, start: number | undefined, best: Found): void {
  if (start === undefined) return;
  walkOn(from, folded, start, best);
  if (folded.startsWith("ال", start)) walkOn(from, folded, start + 2, best);
  else if (folded.startsWith("لل", start)) walkOn(from, folded, start + 2, best);
  else if (folded.charCodeAt(start) === 0x05d4) walkOn(from, folded, start + 1, best);
}

function walkOn(from: Node, folded: string, start: number, best: Found): void {
  let node: Node | undefined = from.next.get(folded.charCodeAt(start));
  let i = start;
  while (node !== undefined) {
    i += 1;
    note(node, folded, i, best);
    if (node.inner !== undefined) descend(node.inner, folded, skipSpaces(folded, wordEnd(folded, i)), best);
    const unit = folded.charCodeAt(i);
    if (unit === SPACE) {
      const next = node.next.get(SPACE);
      if (next !== undefined) descend(next, folded, skipSpaces(folded, i), best);
      return;
    }
    node = node.next.get(unit);
  }
}

function note(node: Node, folded: string, end: number, best: Found): void {
  const unspaced = classAt(folded, end - 1) === CharClass.unspaced;
  if (node.whole !== 0 && (unspaced || classAt(folded, end) !== CharClass.letter))
    keep(best, end, node.whole);
  if (node.prefix !== 0) keep(best, unspaced ? end : wordEnd(folded, end), node.prefix);
}

function keep(best: Found, end: number, kinds: number): void {
  if (end > best.end) {
    best.inherited |= best.kinds & INHERITED;
    best.end = end;
    best.kinds = kinds;
  } else if (end === best.end) {
    best.kinds |= kinds;
  }
}

/** Past at least one and at most three spaces; undefined where there is none. */
function skipSpaces(folded: string, index: number): number | undefined {
  let i = index;
  while (i < index + 3 && folded.charCodeAt(i) === SPACE) i += 1;
  return i === index ? undefined : i;
}

function searchEnding(folded: string, start: number, end: number): number {
  let node: Node | undefined = BACKWARD;
  let kinds = 0;
  for (let i = end - 1; i > start && node !== undefined; i--) {
    node = node.next.get(folded.charCodeAt(i));
    // The longest ending wins: `postcode` is not `code`.
    if (node !== undefined && node.whole !== 0) kinds = node.whole;
  }
  return kinds;
}

function newNode(): Node {
  return { next: new Map(), whole: 0, prefix: 0, inner: undefined };
}

function build(): void {
  for (const [name, languages] of Object.entries(LEXICON)) {
    const bit = Object.hasOwn(Kind, name) ? Kind[name as KindName] : 0;
    for (const list of Object.values(languages)) {
      for (const entry of list.split(",")) {
        for (const spelling of spellings(entry.trim())) insert(spelling, bit);
      }
    }
  }
}

/** The folded entry, and where letters have a two-letter spelling (`ä` as `ae`) that too. */
function spellings(entry: string): readonly string[] {
  if (entry === "") return [];
  const wide = entry
    .toLowerCase()
    .replaceAll("ä", "ae")
    .replaceAll("ö", "oe")
    .replaceAll("ü", "ue")
    .replaceAll("ß", "ss")
    .replaceAll("ø", "oe")
    .replaceAll("å", "aa")
    .replaceAll("æ", "ae");
  const plain = fold(entry);
  return fold(wide) === plain ? [plain] : [plain, fold(wide)];
}

function insert(entry: string, bit: number): void {
  if (entry.startsWith(STAR)) {
    let node = BACKWARD;
    for (let i = entry.length - 1; i > 0; i--) node = child(node, entry.charCodeAt(i));
    node.whole |= bit;
    return;
  }
  let node = FORWARD;
  for (let i = 0; i < entry.length; i++) {
    if (entry[i] !== STAR) {
      node = child(node, entry.charCodeAt(i));
    } else if (i === entry.length - 1) {
      node.prefix |= bit;
      return;
    } else {
      // `word* next`: the space after the star is skipped in the text.
      node.inner ??= newNode();
      node = node.inner;
      i += 1;
    }
  }
  node.whole |= bit;
}

function child(node: Node, unit: number): Node {
  let next = node.next.get(unit);
  if (next === undefined) {
    next = newNode();
    node.next.set(unit, next);
  }
  return next;
}
