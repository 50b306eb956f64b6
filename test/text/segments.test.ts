import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { SegmentedMessage } from "sms-segments-calculator";
import { createTextTools } from "../../src/text/tools.ts";

const { segments } = createTextTools();

/** Pieces that behave differently at a segment border. */
const PIECES = [
  "a",
  "The quick brown fox. ",
  "{}[]~^|\\€\f",
  "€",
  "äöüßÄÖÜñÑéèàùòìåøæÇ¿¡§£¥ΔΦΓΛΩΠΨΣΘΞ",
  "ç",
  "`",
  "\t",
  "\n",
  "\r\n",
  "“quoted”",
  "á í ó ú",
  "łąęśżźć ğışçö",
  "你好，世界。",
  "مرحبا بالعالم",
  "नमस्ते क्षि",
  "각각 ᄀ가",
  "😀",
  "👍🏽",
  "👨‍👩‍👧‍👦",
  "👩🏽‍💻",
  "🏳️‍🌈❤️‍🔥",
  "🇩🇪🇫🇷🇹🇷",
  "🇩",
  "1️⃣#️⃣",
  "e\u0301\u0302",
  "\u0600\u0601",
  "\u200d\ufe0f",
  "\ud800",
  "\udc00",
  "x".repeat(66),
  "y".repeat(150),
];

const text = fc
  .array(
    fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...PIECES) },
      { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 6 }) },
    ),
    { maxLength: 24 },
  )
  .map((pieces) => pieces.join(""))
  .filter((joined) => joined !== "");

/** Text of one alphabet, long enough to cross several borders at every offset. */
const uniform = fc
  .tuple(fc.constantFrom(...PIECES), fc.constantFrom("a", "€", "你", "😀", "👩🏽‍💻"), fc.nat(320), fc.nat(12))
  .map(([piece, filler, before, times]) => filler.repeat(before).slice(0, 340) + piece.repeat(times));

function agrees(message: string): void {
  if (message === "") return;
  const counted = segments(message);
  const oracle = new SegmentedMessage(message).segmentsCount;
  if (counted !== oracle) throw new Error(`${counted} segments, Twilio's calculator says ${oracle}`);
}

describe("segments", () => {
  test("equal Twilio's own calculator on 7,000 texts of mixed alphabets", () => {
    fc.assert(fc.property(text, agrees), { numRuns: 7_000, seed: 2025 });
  }, 120_000);

  test("equal Twilio's own calculator on 3,000 texts of one alphabet with something at a segment border", () => {
    fc.assert(fc.property(uniform, agrees), { numRuns: 3_000, seed: 2026 });
  }, 120_000);

  test("follow the published limits of GSM-7 and UCS-2", () => {
    const gsm7 = [1, 160, 161, 306, 307, 459, 460].map((length) => segments("a".repeat(length)));
    expect(gsm7).toEqual([1, 1, 2, 2, 3, 3, 4]);
    const ucs2 = [1, 70, 71, 134, 135, 201, 202].map((length) => segments("ç".repeat(length)));
    expect(ucs2).toEqual([1, 1, 2, 2, 3, 3, 4]);
  });

  test("count an extension character twice and never divide it", () => {
    expect(segments("€".repeat(80))).toBe(1);
    expect(segments("€".repeat(81))).toBe(2);
    expect(segments(`${"a".repeat(152)}${"€".repeat(76)}`)).toBe(2);
    expect(segments(`${"a".repeat(152)}${"€".repeat(77)}`)).toBe(3);
  });

  test("never divide a surrogate pair", () => {
    expect(segments(`${"a".repeat(66)}😀${"a".repeat(65)}`)).toBe(2);
    expect(segments(`${"a".repeat(66)}😀${"a".repeat(66)}`)).toBe(3);
  });

  test("are none for an empty text", () => {
    expect(segments("")).toBe(0);
  });

  test("of a long run of combining marks are counted in linear time", () => {
    const started = performance.now();
    segments(`a${"\u0301".repeat(100_000)}`);
    segments("🇩".repeat(50_000));
    segments("👩‍".repeat(50_000));
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
