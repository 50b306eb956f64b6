import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createTextTools } from "../../src/text/tools.ts";

const tools = createTextTools();
const limit = (segments: number, characters = 1600) => ({ segments, characters });

describe("A truncated text", () => {
  test("is untouched when it fits", () => {
    expect(tools.truncate("short", limit(1))).toBe("short");
    expect(tools.truncate("a".repeat(160), limit(1))).toBe("a".repeat(160));
  });

  test("ends between words, in three dots where GSM-7 would be lost and in an ellipsis where it is", () => {
    expect(tools.truncate("word ".repeat(50), limit(1))).toBe(`${"word ".repeat(31).trim()}...`);
    const polish = tools.truncate("słowo ".repeat(50), limit(1));
    expect(polish).toBe(`${"słowo ".repeat(11).trim()}…`);
  });

  test("uses the room GSM-7 gives when what forces UCS-2 is cut off", () => {
    const shortened = tools.truncate(`${"word ".repeat(40)}😀`, limit(1));
    expect(shortened).toEndWith("word...");
    expect(shortened.length).toBeGreaterThan(150);
  });

  test("obeys the number of characters", () => {
    expect(tools.truncate("one two three four", limit(10, 12))).toBe("one two...");
    expect(tools.truncate("one two", limit(10, 2))).toBe("…");
    expect(tools.truncate("one two", limit(10, 0))).toBe("");
    expect(tools.truncate("👨‍👩‍👧 and more", limit(1, 4))).toBe("...");
    expect(tools.truncate("one two", limit(0))).toBe("");
  });

  test("is within both limits, a beginning of the text, and whole in its graphemes and URLs", () => {
    const piece = fc.constantFrom(
      "word ",
      "é",
      "á ",
      "€",
      "你好。",
      "👨‍👩‍👧",
      "e\u0301",
      "\n",
      "https://a.example/b/c ",
      "{x} ",
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 300 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 3, max: 700 }),
        (pieces, segments, characters) => {
          const text = pieces.join("");
          const shortened = tools.truncate(text, { segments, characters });
          if (shortened === text) return;
          if (tools.segments(shortened) > segments || shortened.length > characters)
            throw new Error("over the limit");
          const kept = shortened.replace(/(?:\.\.\.|…)$/, "");
          if (kept === shortened || !text.startsWith(kept)) throw new Error(`not a beginning: ${shortened}`);
          const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });
          if (kept !== "" && segmenter.segment(text).containing(kept.length)?.index !== kept.length)
            throw new Error("grapheme cut");
          if (/https:[^ ]*$/.test(kept) && !kept.endsWith("https://a.example/b/c") && characters > 25)
            throw new Error(`URL cut: ${kept}`);
        },
      ),
      { numRuns: 1_500, seed: 5 },
    );
  }, 60_000);
});
