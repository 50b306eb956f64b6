import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { measure, type Reply, readCorpus } from "../../bench/replies.ts";
import { createTextTools } from "../../src/text/tools.ts";

setDefaultTimeout(20_000);

const tools = createTextTools();
const replies = readCorpus();
const ECONOMIES = [false, true, "max"] as const;

function forEachReply(check: (reply: Reply, text: string, economy: boolean | "max") => void): void {
  for (const reply of replies) {
    for (const economy of ECONOMIES) check(reply, tools.render(reply.markdown, economy), economy);
  }
}

/** Letters and digits without accents, and signs as they are written plainly. */
function plain(text: string): string {
  return text
    .replace(/×/g, "x")
    .replace(/°(?=[CF])/g, "")
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/ı/g, "i")
    .replace(/ł/g, "l")
    .replace(/Ł/g, "L")
    .replace(/œ/g, "oe")
    .replace(/ß/g, "ss");
}

/** Words, and every single character of a script that writes no spaces between them. */
function words(text: string): string[] {
  return plain(text).match(/\p{Script=Han}|[[\p{L}\p{N}]--\p{Script=Han}]+/gv) ?? [];
}

/** The source without what Markdown writes for itself. */
function content(markdown: string): string {
  return markdown.replace(/^```\w*$/gm, "");
}

describe("The corpus of replies", () => {
  test("holds at least 200 replies in eleven languages, with lists, tables, code, links and emoji", () => {
    expect(replies.length).toBeGreaterThanOrEqual(200);
    expect(new Set(replies.map((reply) => reply.language)).size).toBe(11);
    for (const pattern of [
      /^- /m,
      /^\d\. /m,
      /^\|/m,
      /^```/m,
      /\]\(https:/,
      /\p{Emoji_Presentation}/u,
      /^#/m,
      /^> /m,
    ]) {
      expect(replies.filter((reply) => pattern.test(reply.markdown)).length).toBeGreaterThan(3);
    }
    for (const reply of replies) expect(reply.markdown).not.toBe("");
  });

  test("keeps every URL of the source", () => {
    forEachReply((reply, text, economy) => {
      for (const [url] of reply.markdown.matchAll(/https?:\/\/[^\s)>\]`]+/g)) {
        const bare = url.replace(/[.,;]$/, "");
        if (!text.includes(bare)) throw new Error(`${bare} is lost with economy ${economy}:\n${text}`);
      }
    });
  });

  test("keeps every word and number of the source, as often as it stands there", () => {
    forEachReply((reply, text, economy) => {
      const left = new Map<string, number>();
      for (const word of words(text)) left.set(word, (left.get(word) ?? 0) + 1);
      // A label that only repeats its URL is rightly written once.
      const source = content(reply.markdown).replace(/\[([^\]]+)\]\((\S*\1\S*)\)/g, "$2");
      for (const word of words(source)) {
        const count = left.get(word) ?? 0;
        if (count === 0) throw new Error(`“${word}” is lost with economy ${economy}:\n${text}`);
        left.set(word, count - 1);
      }
    });
  });

  test("keeps the order of the words where nothing is rearranged", () => {
    forEachReply((reply, text) => {
      if (/^\||\]\(|✅|❌|⭐|₺/m.test(reply.markdown)) return;
      expect(words(text)).toEqual(words(content(reply.markdown)));
    });
  });

  test("keeps code as it is", () => {
    for (const { markdown } of replies) {
      for (const economy of ECONOMIES) {
        const text = tools.render(markdown, economy);
        for (const [, code] of markdown.matchAll(/^```\w*\n([\s\S]*?)\n```$/gm))
          expect(text).toContain(code ?? "");
        for (const [, code] of markdown.replace(/^```[\s\S]*?^```$/gm, "").matchAll(/`([^`\n]+)`/g)) {
          expect(text).toContain(code ?? "");
        }
      }
    }
  });

  test("is left without Markdown markers", () => {
    forEachReply((reply, text) => {
      if (/`[^`]*\*\*|^```/m.test(reply.markdown)) return;
      expect(text).not.toMatch(/\*\*|^#{1,6} |^\|.*\||\]\(http/m);
    });
  });

  test("costs what was aimed for against stripping by pattern", () => {
    const rows = new Map(measure(replies).map((row) => [row.group, row]));
    expect(rows.get("en+de")?.ratio.economy).toBeLessThanOrEqual(0.68);
    expect(rows.get("all")?.ratio.economy).toBeLessThanOrEqual(0.75);
    expect(rows.get("all")?.ratio.max).toBeLessThanOrEqual(0.68);
    for (const [group, row] of rows) {
      // A reply with links may cost more than one that lost them, but a language as a whole hardly.
      if (row.ratio.economy > 1.05) throw new Error(`${group} costs ${row.ratio.economy}`);
      expect(row.segments.max).toBeLessThanOrEqual(row.segments.economy);
      expect(row.segments.economy).toBeLessThanOrEqual(row.segments.parser);
    }
  });
});
