/**
 * Where a text may be cut for a reader. A cut is an index into the text; what follows it may begin with
 * whitespace, which belongs to neither side (`skipSpace`).
 */
export interface Cuts {
  /** Is this the edge of a grapheme? */
  isEdge(index: number): boolean;
  /** The best cut in (from, limit]; `limit` at most the text's length. Never inside a grapheme that fits. */
  natural(from: number, limit: number): number;
  /** The last cut between words in (from, limit]. */
  betweenWords(from: number, limit: number): number;
  /** The first index from `index` on that is not whitespace. */
  skipSpace(index: number): number;
  /** The end of the text before `cut` without whitespace at its end; not before `from`. */
  trimEnd(from: number, cut: number): number;
}

const GRAPHEMES = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const WORDS = new Intl.Segmenter(undefined, { granularity: "word" });

/** A part is not left emptier than this for the sake of a better boundary. */
const LEAST_FILLED = 0.6;
/** Scripts without spaces are cut between words looked for in so many characters. */
const WORD_WINDOW = 120;

const SPACE = /\s/;
const SENTENCE_END = /[.!?…؟۔][\p{Pe}\p{Pf}"'”’]*$/u;
const WIDE_SENTENCE_END = /[。！？][」』”’）]*$/;
const WIDE_CLAUSE_END = /[，、；：]$/;
const CLOSING = /[\p{Pe}\p{Pf}\p{Po}"']/u;
const URL = /(?:[a-z][a-z0-9+.-]{1,12}:\/\/|www\.)[^\s<>"“”„«»，。！？；：、（）《》「」]*/giu;

export function openCuts(text: string): Cuts {
  const graphemes = GRAPHEMES.segment(text);

  const isSpace = (index: number) => SPACE.test(text.charAt(index));

  function isEdge(index: number): boolean {
    if (index <= 0 || index >= text.length) return true;
    if (isPlain(text.charCodeAt(index - 1)) && isPlain(text.charCodeAt(index))) return true;
    return graphemes.containing(index)?.index === index;
  }

  /** The last index in (from, limit] that `fits`, not looking further back than `least`. */
  function last(least: number, limit: number, fits: (index: number) => boolean): number | undefined {
    for (let i = limit; i >= least; i--) if (fits(i) && isEdge(i)) return i;
    return undefined;
  }

  const endsSentence = (index: number) =>
    isSpace(index)
      ? SENTENCE_END.test(text.slice(Math.max(0, index - 4), index)) && !isNumbering(text, index)
      : WIDE_SENTENCE_END.test(text.slice(Math.max(0, index - 3), index)) &&
        !CLOSING.test(text.charAt(index));
  const endsClause = (index: number) =>
    WIDE_CLAUSE_END.test(text.charAt(index - 1)) && !CLOSING.test(text.charAt(index));
  const betweenNumbers = (index: number) =>
    /\d/.test(text.charAt(index - 1)) && /\d/.test(text.charAt(index + 1));

  /** The URL around `index`, if there is one. */
  function urlAround(index: number, from: number, limit: number): readonly [number, number] | undefined {
    let start = index;
    while (start > from && !isSpace(start - 1)) start--;
    let end = index;
    while (end < text.length && end < limit + (limit - from) && !isSpace(end)) end++;
    for (const match of text.slice(start, end).matchAll(URL)) {
      const begin = start + match.index;
      const stop = begin + match[0].length;
      if (begin < index && index < stop) return [begin, stop];
    }
    return undefined;
  }

  function outsideUrls(cut: number | undefined, from: number, limit: number): number | undefined {
    if (cut === undefined || isSpace(cut) || isSpace(cut - 1)) return cut;
    const url = urlAround(cut, from, limit);
    if (url === undefined) return cut;
    return url[0] > from && url[1] - url[0] <= limit - from ? url[0] : undefined;
  }

  /** A boundary between words of a script that writes no spaces. */
  function wordEdge(least: number, limit: number): number | undefined {
    const start = Math.max(least, limit - WORD_WINDOW);
    let edge: number | undefined;
    for (const word of WORDS.segment(text.slice(start, limit + WORD_WINDOW))) {
      const at = start + word.index;
      if (at > limit) break;
      if (at > least && isEdge(at) && !CLOSING.test(text.charAt(at))) edge = at;
    }
    return edge;
  }

  /** Nothing better: any grapheme; within one longer than the part, any character. */
  function anywhere(from: number, limit: number): number {
    const inside = graphemes.containing(limit);
    if (limit >= text.length || inside === undefined || inside.index === limit) return limit;
    if (inside.index > from) return inside.index;
    return isLowSurrogate(text.charCodeAt(limit)) && limit - 1 > from ? limit - 1 : limit;
  }

  /** A space further back than we like, unless the word behind it must be cut anyway. */
  function farSpace(from: number, limit: number): number | undefined {
    const cut = last(from + 1, limit, isSpace);
    if (cut === undefined) return undefined;
    const next = cut + 1;
    for (let i = limit; i < next + (limit - from); i++) if (i >= text.length || isSpace(i)) return cut;
    return undefined;
  }

  /** The last such break, rather not one that parts a heading or `Ingredients:` from what it announces. */
  function lineEnd(mark: "\n" | "\n\n", least: number, limit: number): number | undefined {
    let found: number | undefined;
    for (let at = text.lastIndexOf(mark, limit); at >= least; at = text.lastIndexOf(mark, at - 1)) {
      if (!isEdge(at)) continue;
      if (!announces(text, at)) return at;
      found ??= at;
    }
    return found;
  }

  function words(from: number, limit: number, least: number): number {
    const space = last(least, limit, (i) => isSpace(i) && !betweenNumbers(i)) ?? last(least, limit, isSpace);
    if (space !== undefined) return space;
    const clause = outsideUrls(
      last(least, limit, (i) => endsSentence(i) || endsClause(i)),
      from,
      limit,
    );
    if (clause !== undefined) return clause;
    const far = farSpace(from, limit);
    if (far !== undefined && !isUnspaced(text, limit)) return far;
    return outsideUrls(wordEdge(least, limit), from, limit) ?? far ?? anywhere(from, limit);
  }

  const leastFor = (from: number, limit: number) =>
    Math.max(from + 1, from + Math.floor((limit - from) * LEAST_FILLED));

  return {
    isEdge,
    natural(from, limit) {
      if (limit >= text.length) return text.length;
      const least = leastFor(from, limit);
      const line = lineEnd("\n\n", least, limit) ?? lineEnd("\n", least, limit);
      if (line !== undefined) return line;
      return outsideUrls(last(least, limit, endsSentence), from, limit) ?? words(from, limit, least);
    },
    betweenWords(from, limit) {
      if (limit >= text.length) return text.length;
      return words(from, limit, leastFor(from, limit));
    },
    skipSpace(index) {
      let at = index;
      while (at < text.length && isSpace(at)) {
        const next = text.startsWith("\r\n", at) ? at + 2 : at + 1;
        if (!isEdge(next)) break;
        at = next;
      }
      return at;
    },
    trimEnd(from, cut) {
      let at = cut;
      while (at > from && isSpace(at - 1)) {
        const before = text.startsWith("\r\n", at - 2) ? at - 2 : at - 1;
        if (!isEdge(before)) break;
        at = before;
      }
      return at;
    },
  };
}

/** Letters, digits and punctuation of Latin text, between which every index is an edge. */
function isPlain(codeUnit: number): boolean {
  return (codeUnit >= 0x20 && codeUnit < 0x7f) || codeUnit === 0x0a;
}

function isLowSurrogate(codeUnit: number): boolean {
  return codeUnit >= 0xdc00 && codeUnit <= 0xdfff;
}

/** Does the line that ends here lead on: with a colon, or as a short line of its own after a blank one? */
function announces(text: string, end: number): boolean {
  const start = text.lastIndexOf("\n", end - 1) + 1;
  const line = text.slice(Math.max(start, end - 80), end).trimEnd();
  if (/[:：]$/.test(line)) return true;
  return (
    text.slice(Math.max(0, start - 2), start) === "\n\n" && end - start < 60 && !/[.!?…。！？,;)]$/.test(line)
  );
}

/** `1.` before its item, or an initial: a full stop that ends no sentence. */
function isNumbering(text: string, index: number): boolean {
  return /(?:^|\s)(?:\d{1,3}|\p{L})\.$/u.test(text.slice(Math.max(0, index - 6), index));
}

/** Is the text around here of a script that is written without spaces? */
function isUnspaced(text: string, index: number): boolean {
  const around = text.slice(Math.max(0, index - 20), index + 20);
  return /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u.test(
    around,
  );
}
