import type { CompilePattern } from "../watch.ts";

/** Longest pattern, characters. Bounds what compiling may cost before the size is known. */
const MAX_LENGTH = 500;
/**
 * Largest weight of a pattern, in instructions of its program: a text of n characters takes at most n steps for each.
 * What is written out of a count in { } runs all at once, and where it looks classes of Unicode up it is weighed three
 * times, since then the states below do not fit. At the most this is a few ms for 1,600 characters.
 */
const MAX_WEIGHT = 250;
/** Classes of Unicode: each takes about a millisecond to compile. */
const MAX_CLASSES = 12;
/** What the states that a pattern builds up while it runs may take, bytes; beyond it runs without them. */
const MAX_MEMORY = 256 * 1024;
/** Characters of a text that are looked at; the longest text that phones send has fewer. */
const MAX_TEXT = 4_096;

/** RE2, loaded with the first pattern, in a few ms: a service that is given none does not hold it in memory. */
function re2(): typeof import("re2js") {
  return require("re2js");
}

/**
 * Compiles a pattern with RE2 (https://github.com/google/re2/wiki/Syntax), which looks at each character of a
 * text once and never backtracks. What RE2 leaves out for that, and what would be too large, is refused with
 * what to write instead.
 */
export const compilePattern: CompilePattern = (source) => {
  if (source.length > MAX_LENGTH)
    return { refused: `It has ${source.length} characters; write at most ${MAX_LENGTH}.` };
  if ((source.match(CLASS)?.length ?? 0) > MAX_CLASSES)
    return { refused: `It has too many classes of Unicode (\\p{…}); write at most ${MAX_CLASSES}.` };
  const { RE2JSSyntaxException, RE2Set } = re2();
  try {
    if (weightOf(source) > MAX_WEIGHT)
      return {
        refused: "It is too large once its repetitions are written out; write smaller counts in { }, or *.",
      };
    const set = new RE2Set(RE2Set.UNANCHORED, 0, MAX_MEMORY);
    set.add(source);
    set.compile();
    return { test: (text) => set.match(text.slice(0, MAX_TEXT)).length > 0 };
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return { refused: explain(error.error, error.input ?? "") };
    throw error;
  }
};

const CLASS = /\\[pP]/g;

/** Throws RE2JSSyntaxException. */
function weightOf(source: string): number {
  const size = re2().RE2JS.compile(source).programSize();
  return source.search(CLASS) < 0 ? size : size + 2 * (size - sizeOnce(source));
}

/** The size without counted repetitions; 0 where it cannot be told. */
function sizeOnce(source: string): number {
  try {
    return re2()
      .RE2JS.compile(source.replace(/\{\d+(,\d*)?\}/g, ""))
      .programSize();
  } catch {
    return 0;
  }
}

/** What RE2 cannot run at all, by how it begins; the second half says what to write. */
const UNSUPPORTED: readonly (readonly [RegExp, string])[] = [
  [
    /^(\\[1-9]|\\k|\(\?P$)/,
    "Backreferences (\\1, (?P=name)) cannot be run in bounded time; write out what is to be repeated.",
  ],
  [
    /^\(\?<?[=!]/,
    "Lookahead and lookbehind ((?=…), (?!…), (?<=…), (?<!…)) cannot be run in bounded time; write what comes before or after as part of the pattern.",
  ],
  [
    /^(\(\?>|[*+?}]\+$)/,
    "Atomic groups and possessive repetition ((?>…), a++) are not supported, and not needed, since nothing backtracks; write (?:…) and a+.",
  ],
  [/^\(\?#/, "Comments (?#…) are not supported; leave them out."],
  [/^\(\?[imsU]*x/, "The x flag is not supported; write the pattern without extra spaces."],
  [/^\(\?[imsU]*[uygd]/, "Of flags there are only i, m, s and U; write (?i) at the start to ignore case."],
  [/^\(\?[(R&0-9]/, "Conditions and recursion are not supported; write the alternatives out with |."],
  [/^\(\?'/, "Write a named group as (?<name>…)."],
  [/^\\u/, "Write a character by its number as \\x{20ac}."],
  [/^\\c/, "Write a control character by its number, as \\x0a, or as \\n, \\t, \\r."],
  [/^\\Z/, "Write \\z for the end of the text."],
  [/^\\[hR]/, "Write [ \\t] for a blank, \\s for any white space, \\n for a line break."],
];

/** RE2's own words for what is left, in ours. `input` is the place it complains about. */
const PLAIN: Readonly<Record<string, (input: string) => string>> = {
  "invalid character class range": (input) =>
    input.startsWith("\\p") || input.startsWith("\\P")
      ? `${input} names no group of characters; write one such as \\p{L} for letters or \\p{Han}.`
      : input.startsWith("[:")
        ? `${input} names no group of characters; write one such as [:alpha:] or [:digit:].`
        : `The range ${input} ends before it begins; write the smaller character first.`,
  "invalid escape sequence": (input) =>
    `${input} means nothing; write ${input.replace(/^\\/, "")} without the backslash, or \\\\ for a backslash.`,
  "invalid named capture": (input) => `${input} is no named group; write (?<name>…).`,
  "invalid or unsupported Perl syntax": (input) => `${input} is not supported; write (?:…) for a group.`,
  "invalid nested repetition operator": (input) =>
    `${input} repeats a repetition; write a group around the inner one: (?:…).`,
  "invalid repeat count": (input) =>
    `${input} repeats too often or its counts are the wrong way round; write at most {1000}, the smaller count first.`,
  "missing closing ]": (input) =>
    `${input} is not closed; write a ] at its end, or \\[ for the bracket itself.`,
  "missing closing )": () =>
    "A group is not closed; write a ) at its end, or \\( for the parenthesis itself.",
  "unexpected )": () => "A ) closes no group; write \\) for the parenthesis itself.",
  "missing argument to repetition operator": (input) =>
    `${input} has nothing before it to repeat; write \\${input} for the character itself.`,
  "trailing backslash at end of expression": () =>
    "It ends with a single backslash; write \\\\ for a backslash.",
  "duplicate capture group name": (input) =>
    `Two groups have the name ${input}; write different names, or (…) without.`,
  "expression nests too deeply": () => "Its groups nest too deeply; write fewer parentheses.",
  "expression too large": () => "It is too large; write smaller counts in { }.",
};

function explain(error: string, input: string): string {
  for (const [form, message] of UNSUPPORTED) if (form.test(input)) return message;
  const place = input.length > 60 ? `${input.slice(0, 60)}…` : input;
  const words = PLAIN[error];
  return words === undefined ? `It is not understood (${error}${place && `: ${place}`}).` : words(place);
}
