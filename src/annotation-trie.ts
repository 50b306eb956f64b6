import { CharClass, classAt } from "./annotation-text.ts";

/**
 * A set of words and phrases, each with bits, searched from one place of a folded text at a time. An entry may
 * end in `*` (the word may go on), have one inside (`код* подтвержд*`), or begin with one (an ending).
 */
export interface Trie {
  /** The longest entry that begins at `start`; entries of equal length add their bits up. */
  search(folded: string, start: number): Found | undefined;
  /** The bits of the longest ending (`*code`) of the word between two offsets; 0 for none. */
  searchEnding(folded: string, start: number, end: number): number;
}

export interface Found {
  end: number;
  kinds: number;
  /** Bits of shorter entries that began at the same place. */
  shorter: number;
}

/** Most nodes have one way on, which therefore needs no map. */
interface Node {
  unit: number;
  only: Node | undefined;
  more: Map<number, Node> | undefined;
  /** Bits of entries that end here, at a word's end. */
  whole: number;
  /** Bits of entries that end here and let the word go on. */
  prefix: number;
  /** Where an entry goes on with the next word after the rest of this one. */
  inner: Node | undefined;
}

const STAR = "*";
const SPACE = 0x20;

export function buildTrie(entries: Iterable<readonly [entry: string, kinds: number]>): Trie {
  const forward = newNode();
  const backward = newNode();
  for (const [entry, kinds] of entries) {
    if (entry.startsWith(STAR)) insertEnding(backward, entry.slice(1), kinds);
    else insert(forward, entry, kinds);
  }
  return {
    search: (folded, start) => {
      const best: Found = { end: 0, kinds: 0, shorter: 0 };
      walk(forward, folded, start, best);
      return best.end === 0 ? undefined : best;
    },
    searchEnding: (folded, start, end) => {
      let node: Node | undefined = backward;
      let kinds = 0;
      for (let i = end - 1; i > start && node !== undefined; i--) {
        node = step(node, folded.charCodeAt(i));
        if (node !== undefined && node.whole !== 0) kinds = node.whole;
      }
      return kinds;
    },
  };
}

/** The end of the word at `index` (letters only). */
export function wordEnd(folded: string, index: number): number {
  let end = index;
  while (classAt(folded, end) === CharClass.letter) end += 1;
  return end;
}

/** Branches only where a phrase goes on with another word, at most a few words deep. */
function walk(from: Node, folded: string, start: number, best: Found): void {
  let node = step(from, folded.charCodeAt(start));
  let i = start;
  while (node !== undefined) {
    i += 1;
    note(node, folded, i, best);
    if (node.inner !== undefined) nextWord(node.inner, folded, wordEnd(folded, i), best);
    const unit = folded.charCodeAt(i);
    const next = step(node, unit);
    if (unit === SPACE) {
      if (next !== undefined) nextWord(next, folded, i, best);
      return;
    }
    node = next;
  }
}

/** Goes on after one to three spaces, with or without the article that Arabic and Hebrew write to the word. */
function nextWord(from: Node, folded: string, index: number, best: Found): void {
  let start = index;
  while (start < index + 3 && folded.charCodeAt(start) === SPACE) start += 1;
  if (start === index) return;
  walk(from, folded, start, best);
  if (folded.startsWith("ال", start) || folded.startsWith("لل", start)) walk(from, folded, start + 2, best);
  else if (folded.startsWith("ה", start)) walk(from, folded, start + 1, best);
}

function note(node: Node, folded: string, end: number, best: Found): void {
  if (node.whole === 0 && node.prefix === 0) return;
  const unspaced = classAt(folded, end - 1) === CharClass.unspaced;
  if (node.whole !== 0 && (unspaced || classAt(folded, end) !== CharClass.letter)) {
    keep(best, end, node.whole);
  }
  if (node.prefix !== 0) keep(best, unspaced ? end : wordEnd(folded, end), node.prefix);
}

function keep(best: Found, end: number, kinds: number): void {
  if (end > best.end) {
    best.shorter |= best.kinds;
    best.end = end;
    best.kinds = kinds;
  } else if (end === best.end) {
    best.kinds |= kinds;
  }
}

function insert(root: Node, entry: string, kinds: number): void {
  let node = root;
  for (let i = 0; i < entry.length; i++) {
    if (entry[i] !== STAR) {
      node = child(node, entry.charCodeAt(i));
    } else if (i === entry.length - 1) {
      node.prefix |= kinds;
      return;
    } else {
      node.inner ??= newNode();
      node = node.inner;
      // The space after the star is skipped in the text.
      i += 1;
    }
  }
  node.whole |= kinds;
}

function insertEnding(root: Node, ending: string, kinds: number): void {
  let node = root;
  for (let i = ending.length - 1; i >= 0; i--) node = child(node, ending.charCodeAt(i));
  node.whole |= kinds;
}

function step(node: Node, unit: number): Node | undefined {
  return node.unit === unit ? node.only : node.more?.get(unit);
}

function child(node: Node, unit: number): Node {
  const known = step(node, unit);
  if (known !== undefined) return known;
  const next = newNode();
  if (node.only === undefined) {
    node.unit = unit;
    node.only = next;
  } else {
    node.more ??= new Map();
    node.more.set(unit, next);
  }
  return next;
}

function newNode(): Node {
  return { unit: -1, only: undefined, more: undefined, whole: 0, prefix: 0, inner: undefined };
}
