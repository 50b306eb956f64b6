import { CharClass, classAt } from "./annotation-text.ts";

/** A stretch of the normalised text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The last line `@example.com #123456 %embedded.example` (WICG, "Origin-bound one-time codes delivered via SMS"). */
export interface OriginBound extends Span {
  /** The host of the page the code is for, in lower case. */
  readonly origin: string;
  /** The host of the frame inside that page, where the code is for one. */
  readonly embedded?: string;
  readonly code: string;
}

/** Longer than any code and shorter than an attack. */
const LONGEST_CODE = 64;
const HASH_LENGTH = 11;

/**
 * The app hash that Android's SMS Retriever asks for: the last word, 11 characters of Base64. With `marked` (the
 * message begins with `<#>`) anything of that shape is one, else it must not look like a word or a number.
 */
export function androidHash(text: string, marked: boolean): Span | undefined {
  let end = text.length;
  while (end > 0 && isSpace(text, end - 1)) end -= 1;
  let start = end;
  while (start > 0 && end - start <= HASH_LENGTH && !isSpace(text, start - 1)) start -= 1;
  if (end - start !== HASH_LENGTH) return undefined;
  const word = text.slice(start, end);
  if (!/^[A-Za-z0-9+/]+$/.test(word)) return undefined;
  const hashLike = /[A-Z]/.test(word.slice(1)) && /[a-z0-9+/]/.test(word) && !/^\d+$/.test(word);
  return marked || hashLike ? { start, end } : undefined;
}

/** Whether the message says that it is for Android's SMS Retriever. */
export function hasRetrieverMark(text: string): boolean {
  return text.trimStart().startsWith("<#>");
}

/** Parses the last line that has anything on it, `end` being where the app hash begins or the text ends. */
export function originBound(text: string, end: number): OriginBound | undefined {
  let last = end;
  while (last > 0 && isSpace(text, last - 1)) last -= 1;
  const start = text.lastIndexOf("\n", last - 1) + 1;
  const fields = text.slice(start, last).split(" ");
  const origin = host(fields[0], "@");
  const token = marked(fields[1], "#");
  if (origin === undefined || token === undefined || token.length > LONGEST_CODE) return undefined;
  const code = token.replace(/[.,;:!?]+$/, "");
  // What follows is printed and typed: nothing that a terminal would obey, and nothing that cannot be seen.
  if (!/^[!-~]+$/.test(code)) return undefined;
  const embedded = host(fields[2], "%");
  return { origin, code, start, end: last, ...(embedded === undefined ? {} : { embedded }) };
}

function marked(field: string | undefined, marker: string): string | undefined {
  return field?.startsWith(marker) && field.length > 1 ? field.slice(1) : undefined;
}

function host(field: string | undefined, marker: string): string | undefined {
  const name = marked(field, marker)?.toLowerCase();
  if (name === undefined || name.length > 253) return undefined;
  const labels = name.split(".");
  return labels.length > 1 && labels.every(isLabel) ? name : undefined;
}

function isLabel(label: string): boolean {
  if (label === "" || label.length > 63 || label.startsWith("-") || label.endsWith("-")) return false;
  for (let i = 0; i < label.length; i++) {
    if (label[i] !== "-" && classAt(label, i) === CharClass.other) return false;
  }
  return true;
}

function isSpace(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  return unit === 0x20 || unit === 0x0a;
}
