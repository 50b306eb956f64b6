/**
 * Policy files as text: where each policy begins and ends, and where in it a word stands. Cedar itself splits
 * a set too, but loses the positions. Its lexical grammar is small: strings, identifiers, `//` comments.
 */
interface Token {
  readonly kind: "string" | "word" | "sign";
  readonly text: string;
  /** Index into the file, in UTF-16 units. */
  readonly at: number;
}

/** One policy of a file, from its first token to its semicolon (or to the end, where that is missing). */
export interface Piece {
  readonly text: string;
  readonly at: number;
  readonly tokens: readonly Token[];
}

const TOKEN =
  /(?<skip>\s+|\/\/[^\n\r]*)|(?<string>"(?:\\[\s\S]|[^"\\])*"?)|(?<word>[A-Za-z_][A-Za-z0-9_]*)|(?<sign>::|&&|\|\||[=!<>]=|[\s\S])/g;

function tokens(text: string): Token[] {
  const found: Token[] = [];
  for (const match of text.matchAll(TOKEN)) {
    const { string, word, sign } = match.groups ?? {};
    const at = match.index;
    if (string !== undefined) found.push({ kind: "string", text: string, at });
    else if (word !== undefined) found.push({ kind: "word", text: word, at });
    else if (sign !== undefined) found.push({ kind: "sign", text: sign, at });
  }
  return found;
}

/** The policies of a file: a semicolon outside strings and comments ends each. */
export function splitPolicies(text: string): Piece[] {
  const pieces: Piece[] = [];
  let current: Token[] = [];
  const close = () => {
    const first = current[0];
    const last = current.at(-1);
    if (first === undefined || last === undefined) return;
    pieces.push({ text: text.slice(first.at, last.at + last.text.length), at: first.at, tokens: current });
    current = [];
  };
  for (const token of tokens(text)) {
    current.push(token);
    if (token.kind === "sign" && token.text === ";") close();
  }
  close();
  return pieces;
}

const MAX_DEPTH = 160;
const BRACKET = 4;
const OPEN = new Set(["(", "[", "{"]);
const CLOSE = new Set([")", "]", "}"]);
const CHAINED = new Set(["&&", "||", "+", "-", "*", "!", "if", "then", "else", "when", "unless"]);
/** These cannot be chained without brackets; what they add to the depth is within a bracket's weight. */
const COMPARING = new Set(["==", "!=", "<", ">", "<=", ">=", "has", "like", "is", "in"]);

/** What stands between one bracket and its partner. */
interface Level {
  /** Operators since the bracket or the last comma: `a || b || c` nests as deeply as `((a || b) || c)`. */
  operators: number;
  /** Depth of the operand being read, of the deepest before it, and of the deepest list element before. */
  operand: number;
  deepest: number;
  elements: number;
}

const depthOf = (level: Level) =>
  Math.max(level.elements, level.operators + Math.max(level.deepest, level.operand));

/**
 * True when the policy's syntax tree may be deeper than Cedar's stack safely takes. The measure is an upper
 * bound of the tree's depth in which a bracket counts fourfold, as it does in Cedar's parser; Cedar was seen
 * to fail at 80 to 160 brackets and at 320 to 1,000 operators.
 */
export function tooDeep(piece: Piece): boolean {
  const fresh = (): Level => ({ operators: 0, operand: 0, deepest: 0, elements: 0 });
  const outer: Level[] = [];
  let level = fresh();
  for (const { kind, text } of piece.tokens) {
    if (kind === "string") continue;
    if (OPEN.has(text)) {
      outer.push(level);
      level = fresh();
      if (outer.length * BRACKET > MAX_DEPTH) return true;
    } else if (CLOSE.has(text)) {
      const inside = depthOf(level) + BRACKET;
      level = outer.pop() ?? fresh();
      level.operand = Math.max(level.operand + 1, inside);
    } else if (text === ".") level.operand++;
    else if (text === ",") level = { ...fresh(), elements: depthOf(level) };
    else if (CHAINED.has(text) || COMPARING.has(text)) {
      level.deepest = Math.max(level.deepest, level.operand);
      level.operand = 0;
      if (CHAINED.has(text)) level.operators++;
    }
    if (depthOf(level) > MAX_DEPTH) return true;
  }
  return false;
}

/** Line and column of an index of `text`, both from 1. */
export function positionOf(text: string, index: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, index);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: before.length - lineStart + 1 };
}

/** The UTF-16 index of a byte offset into `text` as UTF-8. */
export function indexOfByte(text: string, byte: number): number {
  let bytes = 0;
  let index = 0;
  for (const symbol of text) {
    if (bytes >= byte) break;
    const code = symbol.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    index += symbol.length;
  }
  return index;
}

/** The `@id` as it is written, for a policy that may not parse. */
export function writtenId({ tokens }: Piece): string | undefined {
  const at = tokens.findIndex(({ text }, index) => text === "@" && tokens[index + 1]?.text === "id");
  const value = at < 0 ? undefined : tokens[at + 3];
  return value?.kind === "string" ? /^"(.*)"$/s.exec(value.text)?.[1] : undefined;
}

/** The entity uids written in a policy, such as `Policy::Agent::"assistant"`, in order. */
export function writtenUids(piece: Piece): { readonly text: string; readonly at: number }[] {
  const found: { text: string; at: number }[] = [];
  let path: Token[] = [];
  for (const token of piece.tokens) {
    const last = path.at(-1);
    const afterColons = last?.text === "::";
    if (token.kind === "word") path = afterColons ? [...path, token] : [token];
    else if (token.text === "::" && last?.kind === "word") path.push(token);
    else {
      if (token.kind === "string" && afterColons)
        found.push({ text: [...path, token].map(({ text }) => text).join(""), at: path[0]?.at ?? token.at });
      path = [];
    }
  }
  return found;
}

/** A text as Cedar writes a string: quoted, with everything escaped that is not plain ASCII. */
export function cedarString(text: string): string {
  const escaped = text
    .toWellFormed()
    .replace(/["\\]/g, "\\$&")
    .replace(/[^ -~]/gu, (symbol) => `\\u{${symbol.codePointAt(0)?.toString(16)}}`);
  return `"${escaped}"`;
}
