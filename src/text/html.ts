import { decodeEntities } from "./entities.ts";
import { type LinkTarget, linkText } from "./links.ts";
import { Mark, verbatim } from "./marks.ts";

/**
 * HTML inside a reply. Tags of formatting and structure are read; anything else in angle brackets (`<name>`,
 * `<T>`, a whole `<script>`) is the writer's text and stays. So does a tag that is opened and never closed.
 */
export interface Tags {
  /** Names that occur both as an opening and as a closing tag. */
  readonly paired: ReadonlySet<string>;
}

const INLINE = new Set(
  "a abbr b bdi bdo big cite code del dfn em font i ins kbd mark q s samp small span strike strong sub sup tt u".split(
    " ",
  ),
);
const BLOCK = new Set(
  (
    "blockquote center dd details div dl dt figcaption figure h1 h2 h3 h4 h5 h6 li ol p pre summary table tbody " +
    "td tfoot th thead tr ul"
  ).split(" "),
);
const VOID = new Set(["br", "hr", "img", "wbr"]);
/** Their closing tag may be left out inside one of the others. */
const OPTIONAL_END = new Set(["p", "li", "tr", "td", "th", "dt", "dd"]);
const CONTAINERS = ["ul", "ol", "dl", "table", "div"];

export function readTags(source: string): Tags {
  const opened = new Set<string>();
  const closed = new Set<string>();
  for (const match of source.matchAll(/<(\/?)([a-z][a-z0-9]{0,10})(?=[\s/>])/gi)) {
    (match[1] === "/" ? closed : opened).add((match[2] ?? "").toLowerCase());
  }
  return { paired: new Set([...opened].filter((name) => closed.has(name))) };
}

interface Tag {
  readonly name: string;
  readonly closing: boolean;
  readonly attributes: string;
}

function parseTag(raw: string, tags: Tags): Tag | undefined {
  const match = /^<(\/?)([a-z][a-z0-9]*)(?=[\s/>])([^>]*)>$/i.exec(raw);
  if (match === null) return undefined;
  const tag = { name: (match[2] ?? "").toLowerCase(), closing: match[1] === "/", attributes: match[3] ?? "" };
  if (VOID.has(tag.name)) return tag;
  if (!INLINE.has(tag.name) && !BLOCK.has(tag.name)) return undefined;
  if (tags.paired.has(tag.name) || tag.attributes.includes("=")) return tag;
  return OPTIONAL_END.has(tag.name) && CONTAINERS.some((name) => tags.paired.has(name)) ? tag : undefined;
}

function attribute(tag: Tag, name: string): string {
  const match = new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, "i").exec(
    tag.attributes,
  );
  return decodeEntities(match?.[1] ?? match?.[2] ?? match?.[3] ?? "").trim();
}

/** Gathers rendered text in which HTML tags may open and close. */
export class HtmlFlow {
  #out = "";
  readonly #open: { readonly name: string; readonly at: number; readonly href: string }[] = [];
  readonly #tags: Tags;

  constructor(tags: Tags) {
    this.#tags = tags;
  }

  /** Rendered text, marks included. */
  add(rendered: string): void {
    this.#out += rendered;
  }

  endsWith(pattern: RegExp): boolean {
    return pattern.test(this.#out.slice(-2));
  }

  /** One tag or comment as it was written. */
  tag(raw: string): void {
    if (raw.startsWith("<!--")) return;
    const tag = parseTag(raw, this.#tags);
    if (tag === undefined) this.#out += decodeEntities(raw);
    else if (VOID.has(tag.name)) this.#void(tag);
    else if (tag.closing) this.#close(tag.name);
    else this.#begin(tag);
  }

  finish(): string {
    while (this.#open.length > 0) this.#close(this.#open.at(-1)?.name ?? "");
    return this.#out;
  }

  #void(tag: Tag): void {
    if (tag.name === "br") this.#out += "\n";
    else if (tag.name === "hr") this.#out += Mark.GAP;
    else if (tag.name === "img") {
      this.#out += linkText({ label: attribute(tag, "alt"), href: attribute(tag, "src"), image: true });
    }
  }

  #begin(tag: Tag): void {
    const { name } = tag;
    if (name === "td" || name === "th") {
      if (!/[\n\uFDD2\uFDD3]$/.test(this.#out) && this.#out !== "") this.#out += " | ";
    } else if (BLOCK.has(name))
      this.#break(/^h[1-6]$/.test(name) ? Mark.SECTION : name === "p" ? Mark.GAP : "\n");
    if (name === "li") this.#out += "- ";
    else if (name === "q") this.#out += '"';
    else if (isStruck(name)) this.#out += "~";
    const href = name === "a" ? attribute(tag, "href") : "";
    this.#open.push({ name, at: this.#out.length, href });
  }

  #close(name: string): void {
    const index = this.#open.findLastIndex((open) => open.name === name);
    const open = this.#open[index];
    if (open !== undefined) {
      const content = this.#out.slice(open.at);
      if (name === "a" && open.href !== "") {
        const target: LinkTarget = { label: content, href: open.href, image: false };
        this.#out = this.#out.slice(0, open.at) + linkText(target);
      } else if (name === "sup" && /^[\w+-]+$/.test(content) && /[\w)]$/.test(this.#out.slice(0, open.at))) {
        this.#out = `${this.#out.slice(0, open.at)}^${content}`;
      } else if (name === "q") this.#out += '"';
      else if (isStruck(name)) this.#out += "~";
      this.#open.splice(index);
    }
    if (BLOCK.has(name) && name !== "td" && name !== "th") this.#break(name === "p" ? Mark.GAP : "\n");
  }

  #break(mark: string): void {
    if (this.#out !== "") this.#out += mark;
  }
}

function isStruck(name: string): boolean {
  return name === "del" || name === "s" || name === "strike";
}

/** A block of HTML, whose inside is not Markdown. */
export function renderHtml(html: string, tags: Tags): string {
  const flow = new HtmlFlow(tags);
  let at = 0;
  while (at < html.length) {
    const first = html.indexOf("<", at);
    if (first < 0) break;
    const comment = html.startsWith("<!--", first);
    const end = comment ? html.indexOf("-->", first + 4) : html.indexOf(">", first);
    if (end < 0) break;
    const open = comment ? first : html.lastIndexOf("<", end);
    const raw = html.slice(open, end + (comment ? 3 : 1));
    flow.add(proseText(html.slice(at, open)));
    at = open + raw.length;
    if (/^<pre[\s>]/i.test(raw)) at = addPreformatted(html, at, flow);
    else flow.tag(raw);
  }
  flow.add(proseText(html.slice(at)));
  return flow.finish();
}

/** What stands in `<pre>`, from `start` on; returns where it ends. */
function addPreformatted(html: string, start: number, flow: HtmlFlow): number {
  const closing = /<\/pre\s*>/gi;
  closing.lastIndex = start;
  const match = closing.exec(html);
  const text = html
    .slice(start, match?.index)
    .replace(/^\n/, "")
    .replace(/<\/?code[^>]*>/gi, "");
  flow.add(verbatim(decodeEntities(text)));
  return match === null ? html.length : closing.lastIndex;
}

/** Text as Markdown or HTML holds it: entities read, runs of spaces and tabs made one, lines kept. */
export function proseText(source: string): string {
  return decodeEntities(source)
    .replace(/[ \t]+/g, " ")
    .replace(/ ?\n ?/g, "\n");
}
