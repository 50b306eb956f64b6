import type { MarkedToken, Tokens } from "marked";
import { decodeEntities } from "./entities.ts";
import { HtmlFlow, proseText, type Tags } from "./html.ts";
import { linkText } from "./links.ts";
import { verbatim, withoutMarks } from "./marks.ts";

/** The inside of a paragraph, heading or table cell; emphasis goes, what it held stays. */
export function renderInline(tokens: readonly MarkedToken[] | undefined, tags: Tags): string {
  const flow = new HtmlFlow(tags);
  for (const token of tokens ?? []) {
    if (token.type === "html") flow.tag(token.raw);
    else if (token.type === "link") flow.add(renderLink(token, flow, tags));
    else flow.add(renderToken(token, tags));
  }
  return flow.finish();
}

function renderToken(token: MarkedToken, tags: Tags): string {
  switch (token.type) {
    case "strong":
    case "em":
      return renderInline(childrenOf(token), tags);
    case "del":
      // Without its stroke a withdrawn price or time would read as a valid one.
      return `~${renderInline(childrenOf(token), tags)}~`;
    case "codespan":
      return verbatim(token.text);
    case "br":
      return "\n";
    case "image":
      return linkText({ label: proseText(token.text), href: decodeEntities(token.href), image: true });
    case "escape":
      return token.text;
    case "text":
      return token.tokens === undefined ? proseText(token.raw) : renderInline(childrenOf(token), tags);
    case "checkbox":
      return "";
    default:
      return proseText(token.raw);
  }
}

function renderLink(token: Tokens.Link, flow: HtmlFlow, tags: Tags): string {
  if (token.autolink === true) return verbatim(token.text);
  const label = renderInline(childrenOf(token), tags);
  // A reference such as `2023[1]` must not become part of the number before it.
  const glued = /^\^?\d+$/.test(withoutMarks(label)) && flow.endsWith(/[^\s([]$/);
  return linkText({ label: glued ? `[${label}]` : label, href: decodeEntities(token.href), image: false });
}

/** No extension is installed, so the children are marked's own tokens too. */
export function childrenOf(token: { readonly tokens?: readonly unknown[] }): readonly MarkedToken[] {
  return (token.tokens ?? []) as readonly MarkedToken[];
}
