/**
 * Rendered text before its layout is settled. Between reading the Markdown and writing the plain text these
 * marks travel inside the string. They are Unicode noncharacters, which no text for interchange contains;
 * any in the input are removed first.
 */
export const Mark = {
  /** Text between these is left alone: code and URLs. */
  VERBATIM: "\uFDD0",
  PROSE: "\uFDD1",
  /** A blank line between blocks; a mere line break in a closer layout. */
  GAP: "\uFDD2",
  /** The same before a heading, the last blank line to be given up. */
  SECTION: "\uFDD3",
  /** One step of a nested list. */
  INDENT: "\uFDD4",
  /** Before an emoji that is all there is, as in a table cell: leaving it out would lose what it says. */
  SOLE: "\uFDD5",
} as const;

/** `sections` keeps blank lines only before headings; `close` keeps none. */
export type Layout = "roomy" | "sections" | "close";

const MARKS = /[\uFDD0-\uFDEF]/g;

export function withoutMarks(text: string): string {
  return text.replace(MARKS, "");
}

export function verbatim(text: string): string {
  return text === "" ? "" : Mark.VERBATIM + text + Mark.PROSE;
}

/** Applies `change` to the prose and leaves code and URLs as they are. */
export function mapProse(marked: string, change: (prose: string) => string): string {
  let out = "";
  let at = 0;
  while (at < marked.length) {
    const open = marked.indexOf(Mark.VERBATIM, at);
    if (open < 0) break;
    const close = marked.indexOf(Mark.PROSE, open);
    if (close < 0) break;
    out += change(marked.slice(at, open)) + marked.slice(open, close + 1);
    at = close + 1;
  }
  return out + change(marked.slice(at));
}

/** Applies `change` to code and URLs and leaves the prose as it is. */
export function mapVerbatim(marked: string, change: (text: string) => string): string {
  return marked.replace(
    /\uFDD0([^\uFDD1]*)\uFDD1/g,
    (_, text: string) => Mark.VERBATIM + change(text) + Mark.PROSE,
  );
}

/** Writes the marks out: the text as it will be sent. */
export function layOut(marked: string, layout: Layout): string {
  const gap = layout === "roomy" ? "\n\n" : "\n";
  const section = layout === "close" ? "\n" : "\n\n";
  const indent = layout === "close" ? " " : "  ";
  const tidy = mapProse(marked, (prose) =>
    prose
      .replace(/ +(?=[\n\uFDD2\uFDD3])|(?<=[\n\uFDD2\uFDD3]) +/g, "")
      .replace(/[\n\uFDD2\uFDD3]+/g, strongest)
      .replace(/[\uFDD2-\uFDD5]/g, (mark) => {
        if (mark === Mark.GAP) return gap;
        if (mark === Mark.SECTION) return section;
        return mark === Mark.INDENT ? indent : "";
      }),
  );
  return tidy
    .replace(/[\uFDD0\uFDD1]/g, "")
    .replace(/^\n+/, "")
    .trimEnd();
}

/** Of breaks in a row, as a dropped line leaves them, the one that separates most. */
function strongest(breaks: string): string {
  if (breaks.includes(Mark.SECTION)) return Mark.SECTION;
  return breaks.includes(Mark.GAP) ? Mark.GAP : "\n";
}
