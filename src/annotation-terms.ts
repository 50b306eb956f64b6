import { Kind, type KindName } from "./annotation-kinds.ts";
import { LEXICON } from "./annotation-lexicon.ts";
import { CharClass, classAt, fold } from "./annotation-text.ts";
import { buildTrie, type Found, type Trie, wordEnd } from "./annotation-trie.ts";

/** A word or phrase of the lexicon found in a message: where (in the normalised text) and its kinds' bits. */
export interface Term {
  readonly start: number;
  readonly end: number;
  readonly kinds: number;
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

const ARABIC_PREFIXES = ["ال", "وال", "بال", "لل", "فال", "كال", "و", "ب", "ل", "ف"];
const HEBREW_PREFIXES = ["ה", "ו", "ב", "ל", "ש", "מ", "כ", "וה", "שה", "מה", "בה"];
const NO_PREFIXES: readonly string[] = [];

/** Built at the first message: programs that annotate nothing need not wait for it. */
let lexicon: Trie | undefined;

/** Every term of a folded text in order, without overlaps. Linear: a search from one place is bounded. */
export function findTerms(folded: string): readonly Term[] {
  lexicon ??= buildTrie(entries());
  const terms: Term[] = [];
  let i = 0;
  while (i < folded.length) {
    const term = termAt(lexicon, folded, i);
    if (term !== undefined) terms.push(term);
    i = term?.end ?? i + 1;
  }
  return terms;
}

function termAt(trie: Trie, folded: string, start: number): Term | undefined {
  const kind = classAt(folded, start);
  if (kind === CharClass.unspaced) {
    const found = trie.search(folded, start);
    return found === undefined ? undefined : { start, end: found.end, kinds: kindsOf(found) };
  }
  return startsWord(folded, start, kind) ? wordTerm(trie, folded, start) : undefined;
}

function startsWord(folded: string, index: number, kind: number): boolean {
  const before = classAt(folded, index - 1);
  if (kind === CharClass.letter) return before !== CharClass.letter;
  return kind === CharClass.digit && before !== CharClass.letter && before !== CharClass.digit;
}

/** A word or phrase by its beginning, and a compound word by its ending too: `Bestätigungs` + `code`. */
function wordTerm(trie: Trie, folded: string, start: number): Term | undefined {
  const end = wordEnd(folded, start);
  let found = trie.search(folded, start);
  for (const prefix of found === undefined ? prefixesAt(folded, start) : NO_PREFIXES) {
    found ??= trie.search(folded, start + prefix.length);
  }
  const ending = found === undefined || found.end <= end ? trie.searchEnding(folded, start, end) : 0;
  if (found === undefined) return ending === 0 ? undefined : { start, end, kinds: ending };
  return { start, end: ending === 0 ? found.end : end, kinds: kindsOf(found) | ending };
}

function kindsOf(found: Found): number {
  const own = found.kinds;
  return (own & (Kind.neutral | Kind.promo)) === 0 ? own | (found.shorter & INHERITED) : own;
}

/** Articles and prepositions that Arabic and Hebrew write together with the word. */
function prefixesAt(folded: string, start: number): readonly string[] {
  const unit = folded.charCodeAt(start);
  if (unit >= 0x0600 && unit <= 0x06ff) return ARABIC_PREFIXES.filter((p) => folded.startsWith(p, start));
  if (unit >= 0x05d0 && unit <= 0x05ea) return HEBREW_PREFIXES.filter((p) => folded.startsWith(p, start));
  return NO_PREFIXES;
}

function* entries(): Generator<readonly [string, number]> {
  for (const name of Object.keys(Kind) as KindName[]) {
    const bit = Kind[name];
    for (const list of Object.values(LEXICON[name])) {
      for (const entry of list.split(",")) {
        for (const spelling of spellings(entry.trim())) yield [spelling, bit];
      }
    }
  }
}

const WIDE: Readonly<Record<string, string>> = {
  ä: "ae",
  ö: "oe",
  ü: "ue",
  ß: "ss",
  ø: "oe",
  å: "aa",
  æ: "ae",
};

/** The folded entry, and where letters have a two-letter spelling (`ä` as `ae`) that too. */
function spellings(entry: string): readonly string[] {
  if (entry === "") return [];
  const wide = entry.replace(/[äöüßøåæ]/g, (letter) => WIDE[letter] ?? letter);
  return wide === entry ? [fold(entry)] : [fold(entry), fold(wide)];
}
