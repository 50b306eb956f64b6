import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createTextTools } from "../../src/text/tools.ts";
import { MAX_BODY } from "../../src/text.ts";

const tools = createTextTools();
const HINT = "(text MORE for the rest)";

const url = fc
  .tuple(fc.constantFrom("https://", "http://", "www."), fc.stringMatching(/^[a-z0-9/?=&%._!~-]{1,300}$/))
  .map(([scheme, rest]) => `${scheme}a.example/${rest}`);
const chunk = fc.oneof(
  { weight: 6, arbitrary: fc.lorem({ mode: "sentences", maxCount: 4 }) },
  { weight: 2, arbitrary: url.map((address) => ` ${address} `) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "你好，世界。",
      "这是一个很长的句子，没有空格。",
      "สวัสดีชาวโลก",
      "مرحبا بالعالم. ",
      "각각 ",
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "👨‍👩‍👧‍👦",
      "👍🏽",
      "🇩🇪",
      "🇩🇪🇫🇷",
      "e\u0301",
      "क्षि",
      "\u0600a",
      " \u0301",
      "\r\n",
      "1️⃣",
    ),
  },
  { weight: 2, arbitrary: fc.constantFrom(" ", "\n", "\n\n", "\n- ", ". ", ", ") },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
);
const text = fc
  .array(fc.tuple(chunk, fc.integer({ min: 1, max: 40 })), { minLength: 1, maxLength: 30 })
  .map((chunks) =>
    chunks
      .map(([piece, times]) => piece.repeat(times))
      .join("")
      .slice(0, 12_000),
  );

const SETTINGS = { numRuns: 400, seed: 99 };

/** Where the parts lie in the text; fails when they are not the text cut at whitespace. */
function locate(whole: string, parts: readonly string[]): readonly (readonly [number, number])[] {
  let at = 0;
  const found = parts.map((part) => {
    while (!whole.startsWith(part, at) && /\s/.test(whole.charAt(at))) at++;
    if (!whole.startsWith(part, at)) throw new Error(`${JSON.stringify(part.slice(0, 40))} is not at ${at}`);
    const start = at;
    at += part.length;
    return [start, at] as const;
  });
  if (whole.slice(at).trim() !== "") throw new Error("the end is missing");
  return found;
}

function graphemeEdges(whole: string): ReadonlySet<number> {
  const edges = new Set([whole.length]);
  for (const { index } of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(whole))
    edges.add(index);
  return edges;
}

describe("Parts of a long text", () => {
  test("are at most 1,600 characters and re-joined give the whole, but for whitespace at the cuts", () => {
    fc.assert(
      fc.property(text, (whole) => {
        const parts = tools.split(whole, {});
        for (const part of parts)
          if (part === "" || part.length > MAX_BODY) throw new Error(`${part.length}`);
        locate(whole, parts);
      }),
      SETTINGS,
    );
  }, 60_000);

  test("never divide a grapheme or a surrogate pair", () => {
    fc.assert(
      fc.property(text, (whole) => {
        const edges = graphemeEdges(whole);
        for (const [start, end] of locate(whole, tools.split(whole, {}))) {
          if (!edges.has(start) || !edges.has(end))
            throw new Error(`cut inside a grapheme at ${start} or ${end}`);
        }
      }),
      SETTINGS,
    );
  }, 60_000);

  test("never divide a URL", () => {
    const withUrls = fc
      .array(
        fc.oneof(
          url.map((address) => ({ address })),
          fc.lorem({ mode: "sentences", maxCount: 3 }),
        ),
        { minLength: 8, maxLength: 40 },
      )
      .map((pieces) => ({
        whole: pieces.map((piece) => (typeof piece === "string" ? piece : piece.address)).join(" "),
        urls: pieces.flatMap((piece) => (typeof piece === "string" ? [] : [piece.address])),
      }));
    fc.assert(
      fc.property(withUrls, ({ whole, urls }) => {
        const words = new Set(tools.split(whole, {}).flatMap((part) => part.split(" ")));
        for (const address of urls) if (!words.has(address)) throw new Error(`${address} was cut`);
      }),
      SETTINGS,
    );
  }, 60_000);

  test("each but the last end in the hint, within the limit", () => {
    fc.assert(
      fc.property(text, fc.boolean(), (whole, numbered) => {
        const parts = tools.split(whole, { hint: HINT, numbered });
        const bare = parts.map((part, i) => {
          if (part.length > MAX_BODY) throw new Error(`${part.length}`);
          const mark = numbered && parts.length > 1 ? `${i + 1}/${parts.length} ` : "";
          if (!part.startsWith(mark)) throw new Error("number is missing");
          if (i === parts.length - 1) return part.slice(mark.length);
          if (!part.endsWith(`\n${HINT}`)) throw new Error("hint is missing");
          return part.slice(mark.length, -HINT.length - 1);
        });
        locate(whole, bare);
      }),
      SETTINGS,
    );
  }, 60_000);
});

describe("A text is cut", () => {
  const filler = (length: number) => "word ".repeat(Math.ceil(length / 5)).slice(0, length);

  test("between paragraphs rather than lines, lines rather than sentences, sentences rather than words", () => {
    const cut = (mark: string) => tools.split(`${filler(1200).trim()}${mark}${filler(1200)}`, {})[0]?.length;
    expect(cut("\n\n")).toBe(1199);
    expect(tools.split(`${filler(1200)}end\n\n${filler(200)}end\n${filler(900)}`, {})[0]).toEndWith("end");
    expect(cut("\n")).toBe(1199);
    expect(cut(". Then ")).toBe(1200);
    expect(tools.split("word ".repeat(500), {})[0]).toBe("word ".repeat(320).trim());
  });

  test("not behind a heading, a colon or a number that announces what follows", () => {
    expect(
      tools.split(`${filler(1400).trim()}\n\nIngredients:\n${"- item\n".repeat(100)}`, {})[0],
    ).not.toEndWith(":");
    expect(tools.split(`${filler(1400).trim()}\n\nA heading\n${filler(900)}`, {})[0]).not.toEndWith(
      "heading",
    );
    const numbered = tools.split(`${filler(1590).trim()} 1. ${filler(600)}`, {});
    expect(numbered[0]).not.toEndWith("1.");
  });

  test("in Chinese at the end of a sentence, in Thai between words", () => {
    const chinese = "这是一个很长的句子没有空格。".repeat(200);
    for (const part of tools.split(chinese, {})) expect(part).toEndWith("。");
    const thai = "สวัสดีชาวโลก".repeat(300);
    expect(tools.split(thai, {})[0]?.length).toBeGreaterThan(1500);
  });

  test("around a URL that Chinese text touches", () => {
    const address = `https://a.example/${"p".repeat(200)}`;
    const parts = tools.split(`${"字".repeat(1500)}${address}。${"字".repeat(300)}`, {});
    expect(parts.filter((part) => part.includes(address))).toHaveLength(1);
  });

  test("inside a URL only when it alone is longer than a part", () => {
    const address = `https://a.example/${"p".repeat(2000)}`;
    const parts = tools.split(`See ${address}`, {});
    expect(parts).toHaveLength(2);
    expect(parts.join("")).toBe(`See ${address}`);
  });

  test("inside a grapheme only when it alone is longer than a part, and never inside a surrogate pair", () => {
    const parts = tools.split(`a${"\u{1f3fb}".repeat(1200)}${"\u0301".repeat(2000)}`, {});
    for (const part of parts) {
      expect(part.length).toBeLessThanOrEqual(MAX_BODY);
      expect(part.isWellFormed()).toBe(true);
    }
  });

  test("not at all when it fits", () => {
    expect(tools.split(" short \n", { hint: HINT, numbered: true })).toEqual([" short \n"]);
    expect(tools.split("x".repeat(1600), { hint: HINT, numbered: true })).toHaveLength(1);
    expect(tools.split(`${" ".repeat(50)}${"x".repeat(1599)}`, { hint: HINT, numbered: true })).toEqual([
      "x".repeat(1599),
    ]);
    expect(tools.split(" \n ", {})).toEqual([]);
    expect(tools.split("", {})).toEqual([]);
  });

  test("into more than nine parts with wider numbers", () => {
    const parts = tools.split(filler(20_000), { numbered: true });
    expect(parts.length).toBeGreaterThan(9);
    expect(parts[9]).toStartWith(`10/${parts.length} `);
    for (const part of parts) expect(part.length).toBeLessThanOrEqual(MAX_BODY);
  });

  test("into parts of no more segments than asked for, hints and numbers included", () => {
    for (const word of ["word ", "słowo ", "字。", "{x} € "]) {
      const whole = word.repeat(700);
      for (const segments of [1, 3, 10]) {
        const parts = tools.split(whole, { hint: HINT, numbered: true, segments });
        for (const part of parts) expect(tools.segments(part)).toBeLessThanOrEqual(segments);
        const least = tools.segments(whole) / segments;
        expect(parts.length).toBeGreaterThanOrEqual(Math.floor(least));
        if (segments === 10) expect(parts.length).toBeLessThanOrEqual(Math.ceil(least * 1.5) + 1);
      }
    }
    expect(tools.split("a".repeat(160), { segments: 1 })).toHaveLength(1);
    expect(tools.split("a ".repeat(81), { segments: 1 })).toHaveLength(2);
  });

  test("never with a hint that leaves no room for it", () => {
    expect(() => tools.split(filler(2000), { hint: "h".repeat(1500) })).toThrow(RangeError);
  });
});
