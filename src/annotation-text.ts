/**
 * A message as the annotation reads it. `text` is what a person would type from it: digits of any script as
 * ASCII, full-width letters as plain ones, invisible characters gone, every dash `-` and every space ` `.
 * `folded` has the same length and is only for finding words: lower case, no accents, hyphens and apostrophes
 * as spaces, Arabic and Hebrew letter variants as one.
 */
export interface NormalText {
  readonly text: string;
  readonly folded: string;
  /** Offset in the original of each character of `text`, and one more for its end; absent when they are equal. */
  readonly origin?: Uint32Array;
}

const DROP = 0;
const SPACE = 0x20;
const DASH = 0x2d;
const UNITS = 0x10000;

/** Where the ten digits of each script begin (Unicode `Nd`). */
const DIGIT_ZEROS = [
  0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0e50,
  0x0ed0, 0x0f20, 0x1040, 0x17e0, 0x1810,
];

/** What a character is to the word search. */
export const CharClass = { other: 0, letter: 1, digit: 2, unspaced: 3 } as const;

interface Tables {
  /** What each UTF-16 unit becomes in `text`. */
  readonly clean: Uint16Array;
  /** What each unit of `text` becomes in `folded`. */
  readonly fold: Uint16Array;
  /** `CharClass` of each unit. */
  readonly class: Uint8Array;
}

let tables: Tables | undefined;

/** Built at the first message. */
function lookup(): Tables {
  tables ??= { clean: cleaning(), fold: folding(), class: classes() };
  return tables;
}

/** The class of the character at `index`; `unspaced` letters are of scripts that put no spaces between words. */
export function classAt(text: string, index: number): number {
  return index >= 0 && index < text.length ? (lookup().class[text.charCodeAt(index)] ?? 0) : 0;
}

/** Lower case without accents, as `NormalText.folded`; used for the entries of the lexicon too. */
export function fold(text: string): string {
  if (PLAIN.test(text)) return text.toLowerCase().replace(/[-_'/]/g, " ");
  return mapUnits(text, lookup().fold);
}

/** Linear in the length of the text. */
export function normalise(original: string): NormalText {
  if (PLAIN.test(original)) return { text: original, folded: fold(original) };
  const out: number[] = [];
  const at: number[] = [];
  const { clean } = lookup();
  let moved = false;
  for (let i = 0; i < original.length; i++) {
    const unit = original.charCodeAt(i);
    let to = clean[unit] ?? unit;
    let width = 1;
    if (unit === 0x0d) to = original.charCodeAt(i + 1) === 0x0a ? DROP : 0x0a;
    if (unit === 0xd835) {
      const styled = styledAscii(original.charCodeAt(i + 1));
      if (styled !== undefined) {
        to = styled;
        width = 2;
      }
    }
    if (to !== DROP) {
      out.push(to);
      at.push(i);
    }
    if (to === DROP || width === 2) moved = true;
    i += width - 1;
  }
  at.push(original.length);
  const text = unitsToString(out);
  const folded = fold(text);
  return moved ? { text, folded, origin: Uint32Array.from(at) } : { text, folded };
}

/** What stays as it is: most texts in English. */
const PLAIN = /^[\n\x20-\x7e]*$/;

/** The offset in the original text of `index` in the normalised one. */
export function originalOffset(normal: NormalText, index: number): number {
  return normal.origin === undefined ? index : (normal.origin[index] ?? index);
}

function mapUnits(text: string, table: Uint16Array): string {
  const units = new Array<number>(text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    units[i] = table[unit] ?? unit;
  }
  return unitsToString(units);
}

function unitsToString(units: readonly number[]): string {
  const chunk = 4096;
  if (units.length <= chunk) return String.fromCharCode(...units);
  let text = "";
  for (let i = 0; i < units.length; i += chunk) text += String.fromCharCode(...units.slice(i, i + chunk));
  return text;
}

/** Bold, italic and sans-serif letters and digits (U+1D400–1D7FF) by their low surrogate. */
function styledAscii(low: number): number | undefined {
  if (low >= 0xdfce && low <= 0xdfff) return 0x30 + ((low - 0xdfce) % 10);
  if (low >= 0xdc00 && low <= 0xdea3) {
    const letter = (low - 0xdc00) % 52;
    return letter < 26 ? 0x41 + letter : 0x61 + letter - 26;
  }
  return undefined;
}

function cleaning(): Uint16Array {
  const table = identity();
  for (let i = 0; i < 0x20; i++) table[i] = SPACE;
  table[0x0a] = 0x0a;
  for (const newline of [0x85, 0x2028, 0x2029]) table[newline] = 0x0a;
  for (const space of [0x7f, 0xa0, 0x1680, 0x202f, 0x205f, 0x3000]) table[space] = SPACE;
  fill(table, 0x2000, 0x200a, SPACE);
  // Invisible: joiners, marks of direction, soft hyphen, variation selectors, the keycap of 4️⃣.
  for (const unit of [0xad, 0x034f, 0x061c, 0x20e3, 0xfeff]) table[unit] = DROP;
  for (const [from, to] of [
    [0x200b, 0x200f],
    [0x202a, 0x202e],
    [0x2060, 0x2069],
    [0xfe00, 0xfe0f],
    [0x0300, 0x036f],
    [0x064b, 0x065f],
    [0x0591, 0x05bd],
  ] as const) {
    fill(table, from, to, DROP);
  }
  for (const unit of [0x0640, 0x0670, 0x05bf, 0x05c1, 0x05c2, 0x05c7]) table[unit] = DROP;
  for (const dash of [0x05be, 0x2212, 0xfe58, 0xfe63]) table[dash] = DASH;
  fill(table, 0x2010, 0x2015, DASH);
  // Full-width forms, but not the comma: beside digits it ends a clause and is never a decimal point.
  for (let i = 0xff01; i <= 0xff5e; i++) table[i] = i - 0xfee0;
  table[0xff0c] = 0xff0c;
  for (const open of [0x3010, 0x300c, 0x300e, 0x3014, 0x3016, 0xff62]) table[open] = 0x5b;
  for (const close of [0x3011, 0x300d, 0x300f, 0x3015, 0x3017, 0xff63]) table[close] = 0x5d;
  for (const quote of [0x2018, 0x2019, 0x201a, 0x201b, 0x2032, 0x02bc]) table[quote] = 0x27;
  for (const quote of [0x201c, 0x201d, 0x201e, 0x201f, 0xab, 0xbb, 0x2039, 0x203a]) table[quote] = 0x22;
  for (const zero of DIGIT_ZEROS) for (let d = 0; d < 10; d++) table[zero + d] = 0x30 + d;
  return table;
}

function folding(): Uint16Array {
  const table = identity();
  // Latin, Greek, Cyrillic; Latin with accents of Vietnamese and others; polytonic Greek.
  for (const [from, to] of [
    [0x41, 0x5ff],
    [0x1e00, 0x1fff],
  ] as const) {
    for (let unit = from; unit <= to; unit++) {
      const base = String.fromCharCode(unit).toLowerCase().normalize("NFD").charCodeAt(0);
      table[unit] = base;
    }
  }
  const pairs: readonly (readonly [string, string])[] = [
    ["ßøłđıæœðþħ", "soldiaodth"],
    ["ØŁĐİÆŒÐÞĦ", "oldiaodth"],
    ["ёЁїЇ", "ееii"],
    ["ς", "σ"],
    ["أإآٱ", "اااا"],
    ["ىیېئ", "يييي"],
    ["کؤ", "كو"],
    ["ةۀۃ", "ههه"],
    ["ךםןףץ", "כמנפצ"],
    ["-_'’/", "     "],
  ];
  for (const [from, to] of pairs) {
    for (let i = 0; i < from.length; i++) table[from.charCodeAt(i)] = to.charCodeAt(i);
  }
  return table;
}

function classes(): Uint8Array {
  const table = new Uint8Array(UNITS);
  const range = (from: number, to: number, value: number) => {
    for (let i = from; i <= to; i++) table[i] = value;
  };
  range(0x30, 0x39, CharClass.digit);
  range(0x41, 0x5a, CharClass.letter);
  range(0x61, 0x7a, CharClass.letter);
  range(0xc0, 0x1fff, CharClass.letter);
  range(0x2c00, 0x2dff, CharClass.letter);
  range(0xa640, 0xabff, CharClass.letter);
  range(0xfb1d, 0xfdff, CharClass.letter);
  range(0xfe70, 0xfefc, CharClass.letter);
  for (const [from, to] of [
    [0x0e01, 0x0eff],
    [0x1000, 0x109f],
    [0x1780, 0x17d3],
    [0x3005, 0x3007],
    [0x3041, 0x30fa],
    [0x30fc, 0x312f],
    [0x3400, 0x9fff],
    [0xac00, 0xd7af],
    [0xf900, 0xfaff],
  ] as const) {
    range(from, to, CharClass.unspaced);
  }
  // Signs and punctuation that lie inside the ranges above.
  for (const unit of [
    0xd7, 0xf7, 0x037e, 0x0387, 0x055d, 0x055e, 0x0589, 0x05be, 0x05c0, 0x05c3, 0x060c, 0x061b, 0x061f,
    0x066a, 0x066b, 0x066c, 0x066d, 0x06d4, 0x0964, 0x0965, 0x0e3f, 0x0e5a, 0x0e5b, 0x104a, 0x104b, 0x17d4,
  ]) {
    table[unit] = CharClass.other;
  }
  return table;
}

function identity(): Uint16Array {
  const table = new Uint16Array(UNITS);
  for (let i = 0; i < UNITS; i++) table[i] = i;
  return table;
}

function fill(table: Uint16Array, from: number, to: number, value: number): void {
  for (let i = from; i <= to; i++) table[i] = value;
}
