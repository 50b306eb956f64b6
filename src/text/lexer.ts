import { Hooks, Lexer, type MarkedOptions, type MarkedToken, Tokenizer, type Tokens } from "marked";

/** Quotes and lists inside each other, and emphasis and links inside each other. No answer needs more. */
const MAX_NESTING = 12;
/** A paragraph longer than this, or a text longer than ten of them, is no prose; it is sent as it came. */
const MAX_INLINE = 20_000;

/**
 * marked's own grammar (CommonMark and GitHub's tables, task lists, strike-through and bare URLs) with four
 * differences, each because a reply is mostly read and rarely written as Markdown:
 * - arithmetic, globs and identifiers keep their stars and underscores (see `maskLiterals`);
 * - a line under a line makes a heading only from three characters on, so a lone `-` or `=` stays;
 * - nesting is bounded, what lies deeper stays as text, so that no input takes the stack or long to read;
 * - a run of more than 20,000 characters without a blank line is not searched for emphasis and links.
 */
class ReplyTokenizer extends Tokenizer {
  #blocks = 0;
  #inlines = 0;

  override blockquote(src: string): Tokens.Blockquote | undefined {
    return this.#block(() => super.blockquote(src));
  }

  override list(src: string): Tokens.List | undefined {
    return this.#block(() => super.list(src));
  }

  override lheading(src: string): Tokens.Heading | undefined {
    return /^[^\n]+\n {0,3}(?:={3,}|-{3,})[ \t]*(?:\n|$)/.test(src) ? super.lheading(src) : undefined;
  }

  override emStrong(src: string, masked: string, before?: string): Tokens.Em | Tokens.Strong | undefined {
    if (masked.charAt(masked.length - src.length) === LITERAL) return undefined;
    return this.#inline(() => super.emStrong(src, masked, before));
  }

  override del(src: string, masked: string, before?: string): Tokens.Del | undefined {
    if (masked.charAt(masked.length - src.length) === LITERAL) return undefined;
    return this.#inline(() => super.del(src, masked, before));
  }

  override link(src: string): Tokens.Link | Tokens.Image | undefined {
    return this.#inline(() => super.link(src));
  }

  override reflink(
    src: string,
    links: Parameters<Tokenizer["reflink"]>[1],
  ): ReturnType<Tokenizer["reflink"]> {
    return this.#inline(() => super.reflink(src, links));
  }

  #block<T>(read: () => T | undefined): T | undefined {
    if (this.#blocks >= MAX_NESTING) return undefined;
    this.#blocks++;
    try {
      return read();
    } finally {
      this.#blocks--;
    }
  }

  #inline<T>(read: () => T | undefined): T | undefined {
    if (this.#inlines >= MAX_NESTING) return undefined;
    this.#inlines++;
    try {
      return read();
    } finally {
      this.#inlines--;
    }
  }
}

class ReplyLexer extends Lexer {
  override inlineTokens(src: string, tokens: MarkedToken[] = []): MarkedToken[] {
    if (src.length <= MAX_INLINE) {
      // No extension is installed, so marked makes none but its own tokens.
      return super.inlineTokens(src, tokens) as MarkedToken[];
    }
    tokens.push({ type: "text", raw: src, text: src });
    return tokens;
  }
}

/** The blocks of a Markdown text. */
export function lex(markdown: string): MarkedToken[] {
  if (markdown.length > 10 * MAX_INLINE) {
    return [
      {
        type: "paragraph",
        raw: markdown,
        text: markdown,
        tokens: [{ type: "text", raw: markdown, text: markdown }],
      },
    ];
  }
  const hooks = new Hooks();
  hooks.emStrongMask = maskLiterals;
  const options: MarkedOptions = { gfm: true, tokenizer: new ReplyTokenizer(), hooks };
  return new ReplyLexer(options).lex(markdown) as MarkedToken[];
}

/** Stands in the masked source for a delimiter that delimits nothing. Any character of neutral class does. */
const LITERAL = "+";

const URL = /(?:https?:\/\/|ftp:\/\/|www\.)[^\s<>]*/gi;
const RUN = /\*+|_+/g;
/** Letters of scripts that put spaces between words, and digits: what an operand or a name is made of. */
const WORD = /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Nd}]/u;
const DIGIT = /\p{Nd}/u;
/** `__init__`, `__MAX__`, `__file__`; emphasis by two underscores is written `__Like this__`. */
const DUNDER =
  /(?<![\p{L}\p{N}_])__(?:[a-z0-9]+(?:_[a-z0-9]+)*|[A-Z0-9]+(?:_[A-Z0-9]+)*)__(?![\p{L}\p{N}_])/gu;

/** Hides delimiters inside URLs and those `isLiteral` knows from the emphasis rules; keeps the length. */
function maskLiterals(source: string): string {
  const hidden = new Set<number>();
  const hide = (from: number, to: number) => {
    for (let i = from; i < to; i++) hidden.add(i);
  };
  for (const match of source.matchAll(URL)) {
    const url = match[0].replace(/[*_~.,;:!?)'"\]]+$/, "");
    hide(match.index, match.index + url.length);
  }
  for (const match of source.matchAll(DUNDER)) {
    const end = match.index + match[0].length;
    hide(match.index, match.index + 2);
    hide(end - 2, end);
  }
  for (const match of source.matchAll(RUN)) {
    const end = match.index + match[0].length;
    if (match[0].startsWith("*") && isLiteral(source, match.index, end)) hide(match.index, end);
  }
  if (hidden.size === 0) return source;
  let out = "";
  for (let i = 0; i < source.length; i++) {
    const char = source.charAt(i);
    out += hidden.has(i) && (char === "*" || char === "_" || char === "~") ? LITERAL : char;
  }
  return out;
}

// Is this run of stars an operator or a wildcard? `2*3`, `x**2`, `src/**/*.ts`, `*.md`, `count(*)`.
function isLiteral(source: string, start: number, end: number): boolean {
  const before = source.charAt(start - 1);
  const after = source.charAt(end);
  const single = end - start === 1;
  if (WORD.test(before) && WORD.test(after)) {
    if (single || DIGIT.test(before) || DIGIT.test(after)) return true;
    return !WORD.test(source.charAt(start - 2)) && !WORD.test(source.charAt(end + 1));
  }
  if (/[)\]}]/.test(before) && (WORD.test(after) || after === "(")) return true;
  if (DIGIT.test(before) && (after === "(" || after === "$")) return true;
  if (/[([{,=]/.test(before) && /[)\]},;=]/.test(after)) return true;
  if (before === "/" || before === "\\") return true;
  const path =
    after === "/" || after === "\\" || (single && after === "." && WORD.test(source.charAt(end + 1)));
  return path && !isWrapped(source, start, end);
}

// `*.env*`, `**/etc/hosts**`: a path that stands between equal runs is emphasised, not a pattern.
function isWrapped(source: string, start: number, end: number): boolean {
  const run = source.slice(start, end);
  const rest = /^[^\s*]+(\*+)(?![^\s\p{P}])/u.exec(source.slice(end, end + 300));
  return rest?.[1] === run;
}
