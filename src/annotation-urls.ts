import type { Span } from "./annotation-origin.ts";
import { CharClass, classAt } from "./annotation-text.ts";

export interface Link extends Span {
  /** As it stands in the normalised text, without the punctuation of the sentence around it. */
  readonly url: string;
  readonly host: string;
  /** Path, query and fragment. */
  readonly path: string;
}

export interface FoundLinks {
  readonly links: readonly Link[];
  /** All addresses, e-mail included: numbers in them are not codes. */
  readonly closed: readonly Span[];
}

/** What ends a host without a path that is meant as one; with a path any ending will do. */
const BARE_ENDINGS = new Set(
  "com net org io co app dev me ly gg gl to ai tv cc us uk de fr es it nl pl pt br mx ar cl tr ru ua by kz cn tw hk jp kr in id my sg th vn ph au nz ca ch at be dk no se fi cz sk hu ro bg gr il ae sa eg ma za ng ke pk ir eu info biz shop online site link page store bank xyz club live health travel mobi".split(
    " ",
  ),
);

/** Linear: each run of address characters is looked at a fixed number of times. */
export function findLinks(text: string): FoundLinks {
  const links: Link[] = [];
  const closed: Span[] = [];
  let i = 0;
  while (i < text.length) {
    if (!isAddressUnit(text.charCodeAt(i))) {
      i += 1;
      continue;
    }
    const start = i;
    while (i < text.length && isAddressUnit(text.charCodeAt(i))) i += 1;
    const found = withScheme(text, start, i) ?? withoutScheme(text, start, i);
    if (found !== undefined) {
      closed.push(found.span);
      if (found.link !== undefined) links.push(found.link);
      i = Math.max(i, found.span.end);
    }
  }
  return { links, closed };
}

interface Found {
  readonly span: Span;
  readonly link?: Link;
}

function withScheme(text: string, start: number, end: number): Found | undefined {
  const at = text.slice(start, end).indexOf("://");
  if (at < 1) return undefined;
  let from = start + at;
  while (from > start && from > start + at - 20 && /[A-Za-z]/.test(text.charAt(from - 1))) from -= 1;
  if (from === start + at) return undefined;
  // Addresses may have letters of other alphabets, as in `https://пример.рф/код`.
  let to = end;
  while (to < text.length && (isAddressUnit(text.charCodeAt(to)) || classAt(text, to) === CharClass.letter))
    to += 1;
  to = trimEnd(text, start + at + 3, to);
  if (to <= start + at + 3) return undefined;
  return { span: { start: from, end: to }, link: link(text, from, start + at + 3, to) };
}

function withoutScheme(text: string, start: number, end: number): Found | undefined {
  const run = text.slice(start, end);
  if (!run.includes(".")) return undefined; // as nearly every word
  const slash = run.search(/[/?]/);
  let head = slash < 0 ? run : run.slice(0, slash);
  const port = /:\d{2,5}$/.exec(head)?.[0].length ?? 0;
  head = head.slice(0, head.length - port);
  let from = head.length;
  while (from > 0 && /[A-Za-z0-9.-]/.test(head.charAt(from - 1))) from -= 1;
  let hostEnd = head.length;
  while (hostEnd > from && ".-".includes(head.charAt(hostEnd - 1))) hostEnd -= 1;
  const host = head.slice(from, hostEnd);
  const mail = head.charAt(from - 1) === "@";
  const labels = host.split(".");
  const ending = labels.at(-1) ?? "";
  if (labels.length < 2 || labels.some((label) => label === "") || !/^[A-Za-z]{2,24}$/.test(ending))
    return undefined;
  if (mail) return { span: { start, end } };
  const hasPath = slash >= 0 && from + host.length + port === slash && slash + 1 < run.length;
  const to = hasPath || port > 0 ? trimEnd(text, start + from, end) : start + from + host.length;
  if (!hasPath) {
    // `code 4821.Do not share` is no address; a host has letters before its ending, and writes it small.
    const plausible = BARE_ENDINGS.has(ending) && /[A-Za-z]/.test(labels.at(-2) ?? "");
    if (!plausible && labels[0]?.toLowerCase() !== "www") return undefined;
  }
  return { span: { start: start + from, end: to }, link: link(text, start + from, start + from, to) };
}

function link(text: string, start: number, hostStart: number, end: number): Link {
  const rest = text.slice(hostStart, end);
  const cut = rest.search(/[/?#]/);
  return {
    start,
    end,
    url: text.slice(start, end),
    host: (cut < 0 ? rest : rest.slice(0, cut)).toLowerCase(),
    path: cut < 0 ? "" : rest.slice(cut),
  };
}

/** Leaves out the punctuation of the sentence; a closing bracket stays where its opening one is inside. */
function trimEnd(text: string, start: number, end: number): number {
  const kept =
    (text.slice(start, end).includes("(") ? ")" : "") + (text.slice(start, end).includes("[") ? "]" : "");
  let to = end;
  while (to > start) {
    const char = text.charAt(to - 1);
    if (kept.includes(char) || !".,;:!?'*_)]".includes(char)) break;
    to -= 1;
  }
  return to;
}

function isAddressUnit(unit: number): boolean {
  if (unit <= 0x20 || unit >= 0x7f) return false;
  // " < > \ ^ ` { | }
  return ![0x22, 0x3c, 0x3e, 0x5c, 0x5e, 0x60, 0x7b, 0x7c, 0x7d].includes(unit);
}
