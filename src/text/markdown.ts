import type { MarkedToken, Tokens } from "marked";
import { decodeEntities } from "./entities.ts";
import { proseText, readTags, renderHtml, type Tags } from "./html.ts";
import { childrenOf, renderInline } from "./inline.ts";
import { lex } from "./lexer.ts";
import { Mark, verbatim, withoutMarks } from "./marks.ts";
import { renderTable } from "./table.ts";

interface Page {
  readonly tags: Tags;
  /** Where links lead, so that a definition nobody refers to is still told. */
  readonly hrefs: ReadonlySet<string>;
}

/** Items longer than this are paragraphs of their own, which a blank line may set apart. */
const LONG_ITEM = 100;

/** Plain text of a Markdown text, with the marks of `marks.ts` in it; `layOut` writes it out. */
export function renderMarkdown(markdown: string): string {
  const source = withoutMarks(markdown)
    .toWellFormed()
    .replace(/\r\n?|[\u0085\u2028\u2029]/g, "\n")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be sent
    .replace(/[\u0000-\u0008\u000B\u000E-\u001F\u007F]/g, "");
  const tokens = lex(source);
  const hrefs = new Set<string>();
  if (tokens.some((token) => token.type === "def")) collectHrefs(tokens, hrefs);
  return renderBlocks(tokens, { tags: readTags(source), hrefs });
}

function collectHrefs(tokens: readonly MarkedToken[], into: Set<string>): void {
  for (const token of tokens) {
    if (token.type === "link" || token.type === "image") into.add(token.href);
    else if (token.type === "list") for (const item of token.items) collectHrefs(childrenOf(item), into);
    else if (token.type === "table") {
      for (const cell of [...token.header, ...token.rows.flat()]) collectHrefs(childrenOf(cell), into);
    } else if ("tokens" in token) collectHrefs(childrenOf(token), into);
  }
}

function renderBlocks(tokens: readonly MarkedToken[], page: Page): string {
  let out = "";
  let before: MarkedToken | undefined;
  let blank = false;
  for (const token of tokens) {
    if (token.type === "space" || token.type === "hr") {
      blank = true;
      continue;
    }
    const text = renderBlock(token, page);
    if (text === "") continue;
    if (before !== undefined) out += breakBetween(before, token, blank, out);
    out += text;
    before = token;
    blank = false;
  }
  return out;
}

function breakBetween(before: MarkedToken, token: MarkedToken, blank: boolean, out: string): string {
  if (isHeading(token)) return Mark.SECTION;
  if (!blank || isHeading(before)) return "\n";
  const led = before.type === "paragraph" && /[:：]\uFDD1?$/.test(out) && token.type !== "paragraph";
  return led ? "\n" : Mark.GAP;
}

/** A heading, or a line in bold that stands for one. */
function isHeading(token: MarkedToken): boolean {
  if (token.type === "heading") return true;
  if (token.type !== "paragraph") return false;
  const [only, ...rest] = childrenOf(token);
  return (
    only?.type === "strong" &&
    rest.every((child) => child.type === "text" && /^[:：]?$/.test(child.text.trim()))
  );
}

function renderBlock(token: MarkedToken, page: Page): string {
  switch (token.type) {
    case "heading":
    case "paragraph":
      return trimmed(renderInline(childrenOf(token), page.tags));
    case "text":
      return trimmed(token.tokens === undefined ? token.text : renderInline(childrenOf(token), page.tags));
    case "code":
      return renderCode(token);
    case "list":
      return renderList(token, page);
    case "blockquote":
      return renderQuote(token, page);
    case "table":
      return renderTable(token, page.tags);
    case "html":
      return trimmed(renderHtml(token.text, page.tags));
    case "def":
      return page.hrefs.has(token.href) ? "" : renderDefinition(token);
    case "checkbox":
      return "";
    default:
      return trimmed(renderInline([token], page.tags));
  }
}

/** A link definition that no link refers to: shown as its label and URL. */
function renderDefinition(token: Tokens.Def): string {
  const label = /^\s*\[((?:\\.|[^\]\\])+)\]:/.exec(token.raw)?.[1] ?? token.tag;
  const title = token.title ? ` ${token.title}` : "";
  return `${label}: ${verbatim(decodeEntities(token.href))}${title}`;
}

/**
 * Code as it is, without its fence. A fence without a language, or with a language of prose, holds text to be
 * copied rather than a program, and is prose if no spaces matter in it.
 */
function renderCode(token: Tokens.Code): string {
  const text = token.text.replace(/^(?:[ \t]*\n)+/, "").trimEnd();
  const { language, caption } = readInfo(token);
  const prose =
    token.codeBlockStyle !== "indented" && /^(?:text|txt|plain|plaintext|markdown|md)?$/i.test(language);
  const body = prose && !/[\t ]{2}|\n[\t ]|\n\n/.test(text) ? text : verbatim(text);
  return caption === "" || body === "" ? caption + body : `${caption}\n${body}`;
}

/** What stands behind the opening fence: a language, and perhaps more, such as a file name. */
function readInfo(token: Tokens.Code): { readonly language: string; readonly caption: string } {
  const info = (token.lang ?? "").trim();
  const language = /^[A-Za-z][\w+#.-]{0,19}(?=\s|$)/.exec(info)?.[0] ?? "";
  return { language, caption: proseText(info.slice(language.length).trim()) };
}

function renderQuote(token: Tokens.Blockquote, page: Page): string {
  const inner = renderBlocks(childrenOf(token), page);
  return inner === "" ? "" : `> ${inner.replace(/[\n\uFDD2\uFDD3]+/g, "\n> ")}`;
}

function renderList(list: Tokens.List, page: Page): string {
  const markers = markersOf(list);
  const items = list.items.map((item, i) => renderItem(item, markers[i] ?? "-", page));
  const long = list.loose && items.some((item) => item.length > LONG_ITEM);
  return items.join(long ? Mark.GAP : "\n");
}

/**
 * Numbers as they were written, since a list may start anywhere and skip (`1986.` may begin a sentence). Only
 * one that repeats a single number, as Markdown allows, is counted.
 */
function markersOf(list: Tokens.List): string[] {
  if (!list.ordered) return list.items.map(() => "-");
  const written = list.items.map((item) => /^\s*(\d{1,9}[.)])/.exec(item.raw)?.[1] ?? "1.");
  const first = written[0] ?? "1.";
  if (written.length < 2 || !written.every((marker) => marker === first)) return written;
  return written.map((_, i) => `${Number.parseInt(first, 10) + i}${first.slice(-1)}`);
}

function renderItem(item: Tokens.ListItem, bullet: string, page: Page): string {
  const marker = item.task ? (item.checked === true ? "[x]" : "[ ]") : bullet;
  let out = "";
  for (const block of childrenOf(item)) {
    if (block.type === "space" || block.type === "checkbox") continue;
    const text = renderBlock(block, page);
    if (text === "") continue;
    const nested = block.type === "list" ? indented(text) : text;
    out += out === "" && block.type !== "list" && block.type !== "code" ? nested : `\n${nested}`;
  }
  if (out === "") return marker;
  return out.startsWith("\n") ? marker + out : `${marker} ${out}`;
}

/** One step further in; the inside of code keeps its own indentation. */
function indented(text: string): string {
  let code = false;
  let out: string = Mark.INDENT;
  for (const char of text) {
    out += char;
    if (char === Mark.VERBATIM) code = true;
    else if (char === Mark.PROSE) code = false;
    else if (!code && (char === "\n" || char === Mark.GAP || char === Mark.SECTION)) out += Mark.INDENT;
  }
  return out;
}

function trimmed(text: string): string {
  return text.replace(/^[\s\uFDD2\uFDD3]+/, "").trimEnd();
}
