import { expect, test } from "bun:test";
import fc from "fast-check";
import { SegmentedMessage } from "sms-segments-calculator";
import { countSegments, smartEncode } from "../../src/simulator/segments.ts";

test("the limits of GSM-7 and UCS-2 are Twilio's", () => {
  expect(countSegments("")).toBe(0);
  for (const [length, segments] of [
    [160, 1],
    [161, 2],
    [306, 2],
    [307, 3],
  ] as const) {
    expect(countSegments("a".repeat(length))).toBe(segments);
  }
  for (const [length, segments] of [
    [70, 1],
    [71, 2],
    [134, 2],
    [135, 3],
  ] as const) {
    expect(countSegments("ж".repeat(length))).toBe(segments);
  }
});

test("extension characters count two and are not split", () => {
  expect(countSegments("€".repeat(80))).toBe(1);
  expect(countSegments("€".repeat(81))).toBe(2);
  // 153 is odd: each segment holds 76 of them.
  expect(countSegments("€".repeat(152))).toBe(2);
  expect(countSegments("€".repeat(153))).toBe(3);
});

test("a surrogate pair counts two and is not split", () => {
  expect(countSegments("😀".repeat(35))).toBe(1);
  expect(countSegments("😀".repeat(66))).toBe(2);
  expect(countSegments("😀".repeat(67))).toBe(3);
});

test("ç, backtick and tab make a message UCS-2, Ç does not", () => {
  for (const character of ["ç", "`", "\t"]) expect(countSegments(character.padEnd(71, "a"))).toBe(2);
  expect(countSegments("Ç".padEnd(71, "a"))).toBe(1);
});

test("counts agree with Twilio's own calculator", () => {
  const character = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(..."abc XYZ019€{}[]~^|\\@£ÆßÄöñü\"'\n") },
    { weight: 1, arbitrary: fc.constantFrom("ж", "ç", "漢", "–", "`", "😀", "🚀") },
  );
  const plain = fc.array(fc.constantFrom(..."abc XYZ019€{}[]~^|\\@£ÆßÄöñü\"'\n"), { maxLength: 700 });
  const mixed = fc.array(character, { maxLength: 500 });
  fc.assert(
    fc.property(fc.oneof(plain, mixed), (characters) => {
      const body = characters.join("");
      fc.pre(body !== "");
      expect(countSegments(body)).toBe(new SegmentedMessage(body).segmentsCount);
    }),
    { numRuns: 300 },
  );
});

test("smart encoding writes typographic characters plainly and nothing else differently", () => {
  expect(smartEncode("“It’s” – fine… •")).toBe('"It\'s" - fine... *');
  expect(smartEncode("Grüße, ж 漢 😀")).toBe("Grüße, ж 漢 😀");
});
