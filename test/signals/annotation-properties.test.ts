import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readCases } from "../../bench/signals.ts";
import { annotate, normalisedText, redactCodes } from "../../src/annotation.ts";

const CASES = readCases();
/** Pieces that real messages are made of, in any order: nearer to trouble than arbitrary characters. */
const PIECES = [
  "code",
  "your",
  "is",
  "OTP",
  "482913",
  "4821",
  "G-123456",
  "12-34-56",
  "482 913",
  "@example.com #123456",
  "%frame.example",
  "<#>",
  "Gb/7rDY8WTv",
  "https://a.example/verify?t=8fKx92",
  "order",
  "№",
  "$",
  "EUR",
  "%",
  "*",
  "验证码",
  "رمز التحقق",
  "код",
  "인증번호",
  "\n",
  "\u200b",
  "٤٨٢٩",
  "４８２９",
  ":",
  ".",
  ",",
  " ",
  "2026",
  "14:32",
  "never share",
];
const message = fc.oneof(
  fc.string({ maxLength: 200, unit: "binary" }),
  fc.array(fc.constantFrom(...PIECES), { maxLength: 30 }).map((pieces) => pieces.join(" ")),
  fc.array(fc.constantFrom(...PIECES), { maxLength: 30 }).map((pieces) => pieces.join("")),
  fc.constantFrom(...CASES.map((c) => c.text)),
);

describe("every text", () => {
  test("has an annotation, whose code is its best candidate and occurs in the normalised text", () => {
    fc.assert(
      fc.property(message, fc.string({ maxLength: 20 }), (text, from) => {
        const found = annotate(text, from);
        const normal = normalisedText(text);
        const joined = normal.replace(/[ \-.]/g, "");
        for (const { value, score } of found.candidates) {
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(1);
          expect(normal.includes(value) || joined.includes(value.replace(/[ \-.]/g, ""))).toBe(true);
        }
        const scores = found.candidates.map((c) => c.score);
        expect(scores).toEqual([...scores].sort((a, b) => b - a));
        expect(new Set(found.candidates.map((c) => c.value)).size).toBe(found.candidates.length);
        if (found.code !== undefined) expect(found.code).toBe(found.candidates[0]?.value ?? "");
        if (found.link !== undefined) expect(normal.includes(found.link)).toBe(true);
        expect(found.confidence).toBeGreaterThanOrEqual(0);
        expect(found.confidence).toBeLessThanOrEqual(1);
      }),
      { numRuns: 1500 },
    );
  });

  test("is annotated the same each time", () => {
    fc.assert(
      fc.property(message, (text) => {
        expect(annotate(text, "ACME")).toEqual(annotate(text, "ACME"));
      }),
      { numRuns: 200 },
    );
  });

  test("keeps no candidate, code or link once it is redacted", () => {
    fc.assert(
      fc.property(message, (text) => {
        const found = annotate(text, "ACME");
        const left = normalisedText(redactCodes(text, found));
        for (const { value } of found.candidates) expect(left.includes(value)).toBe(false);
        if (found.link !== undefined) expect(left.includes(found.link)).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  test("without candidates or link is redacted to itself", () => {
    fc.assert(
      fc.property(message, (text) => {
        const found = annotate(text, "ACME");
        if (found.candidates.length > 0 || found.link !== undefined) return;
        expect(redactCodes(text, found)).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  test("keeps its code, or its lack of one, when a greeting comes first or thanks come after", () => {
    for (const one of CASES.filter(isOpen)) {
      for (const text of [`${one.text}\nThank you.`, `Dear customer,\n${one.text}`, `[Acme] ${one.text}`]) {
        expect(annotate(text, one.from).code, text).toBe(one.expect.code ?? undefined);
      }
    }
  });
});

/** Neither tied to its last line or first mark, nor a number with hardly a word beside it. */
function isOpen(one: (typeof CASES)[number]): boolean {
  const words = one.text.match(/[\p{L}]+/gu)?.length ?? 0;
  return one.expect.origin === undefined && !one.text.includes("<#>") && words > 1;
}

describe("hostile texts of 1,600 characters", () => {
  const units = [
    "a",
    "1",
    " ",
    "\n",
    ".",
    ")",
    "(",
    "1 ",
    "1-",
    "1.",
    "1:",
    "1/",
    "a b ",
    "a1 ",
    "482913 ",
    "1234-",
    "code ",
    "code 4821 ",
    "is is ",
    "order,",
    "no. 1 ",
    "never share code 1234 ",
    "https://a.b/",
    "a.b/https://",
    "x.y/)",
    "a@b.c ",
    "@a.b #1 ",
    "%#",
    "*1234",
    "G-123456 ",
    "验证码",
    "验证码482913，",
    "인증",
    "رمز ",
    "ال",
    "код кода коду ",
    "one time ",
    "verification ",
    "\u200b",
    "e\u0301",
    "\ud835\udfce",
    "\ud800",
  ];

  test.each(units)("made of %p take a few milliseconds at most", (unit) => {
    const text = unit.repeat(Math.ceil(1600 / unit.length)).slice(0, 1600);
    annotate(text, "ACME");
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 5; round++) {
      const start = performance.now();
      redactCodes(text, annotate(text, "ACME"));
      best = Math.min(best, performance.now() - start);
    }
    expect(best).toBeLessThan(25);
  });

  test("ten times the text takes nowhere near a hundred times as long", () => {
    for (const unit of units) {
      const long = unit.repeat(Math.ceil(16_000 / unit.length)).slice(0, 16_000);
      const start = performance.now();
      annotate(long, "ACME");
      expect(performance.now() - start, JSON.stringify(unit)).toBeLessThan(400);
    }
  });
});
