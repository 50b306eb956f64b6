import type { Reading } from "./annotation-reading.ts";
import { isAlnum, isDigit, isSpacedLetter } from "./annotation-shapes.ts";

/** A run of ASCII letters and digits. */
export interface Token {
  readonly start: number;
  readonly end: number;
  readonly digits: boolean;
  readonly letters: boolean;
}

/** All of them, but for those in addresses and the like and for parts of longer words. */
export function tokenize(reading: Reading): readonly Token[] {
  const { text, closed } = reading;
  const tokens: Token[] = [];
  let span = 0;
  let i = 0;
  while (i < text.length) {
    while ((closed[span]?.end ?? Number.POSITIVE_INFINITY) <= i) span += 1;
    const shut = closed[span];
    if (shut !== undefined && i >= shut.start) {
      i = shut.end;
      continue;
    }
    if (!isAlnum(text, i)) {
      i += 1;
      continue;
    }
    const start = i;
    let digits = false;
    let letters = false;
    while (i < text.length && isAlnum(text, i) && (shut === undefined || i < shut.start)) {
      if (isDigit(text, i)) digits = true;
      else letters = true;
      i += 1;
    }
    // Part of a word of a Latin, Cyrillic or Greek alphabet that goes on with other letters.
    const joined = isSpacedLetter(text, start - 1) || isSpacedLetter(text, i);
    if (!joined || !letters) tokens.push({ start, end: i, digits, letters });
  }
  return tokens;
}

/** Groups of digits with one of `. , : - /` between. */
export function tightChain(text: string, tokens: readonly Token[], first: number): readonly Token[] {
  const chain: Token[] = [];
  for (let i = first; i < tokens.length; i++) {
    const token = tokens[i];
    const before = chain.at(-1);
    if (token === undefined || token.letters) break;
    if (
      before !== undefined &&
      (token.start !== before.end + 1 || !".,:-/".includes(text.charAt(before.end)))
    )
      break;
    chain.push(token);
  }
  return chain;
}

/** Groups of digits with one space between, none of which goes on with other punctuation and digits. */
export function spacedRun(text: string, tokens: readonly Token[], first: number): readonly Token[] {
  const run: Token[] = [];
  for (let i = first; i < tokens.length; i++) {
    const token = tokens[i];
    const before = run.at(-1);
    if (token === undefined || token.letters) break;
    if (before !== undefined && !isOneSpaceApart(text, before, token)) break;
    if (
      ".,:-/".includes(text.charAt(token.end)) &&
      text.charAt(token.end) !== "" &&
      isDigit(text, token.end + 1)
    )
      break;
    run.push(token);
  }
  return run;
}

export function isOneSpaceApart(text: string, left: Token, right: Token): boolean {
  return right.start === left.end + 1 && text[left.end] === " ";
}
