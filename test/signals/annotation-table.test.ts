import { describe, expect, test } from "bun:test";
import { readCases, type SignalCase, scoreCases, timePerMessage } from "../../bench/signals.ts";

const cases = readCases();
const LANGUAGES = [
  "en",
  "de",
  "fr",
  "es",
  "pt",
  "it",
  "nl",
  "pl",
  "tr",
  "ru",
  "zh",
  "zh-Hant",
  "ja",
  "ko",
  "ar",
];

describe("the table of messages", () => {
  test("has at least 300 messages, at least half of them traps, in every promised language", () => {
    const { score } = scoreCases(cases);
    expect(score.messages).toBeGreaterThanOrEqual(300);
    expect(score.traps).toBeGreaterThanOrEqual(score.messages / 2);
    for (const language of LANGUAGES) {
      const own = cases.filter((c) => c.language === language);
      expect(own.length, language).toBeGreaterThanOrEqual(14);
    }
    expect(cases.filter((c) => c.held_out === true).length).toBeGreaterThanOrEqual(150);
  });

  test("names no message twice", () => {
    expect(new Set(cases.map((c) => c.text)).size).toBe(cases.length);
  });

  test("codes and confirmation links are found with precision 0.99 and recall 0.98", () => {
    reach(cases, { precision: 0.99, recall: 0.98, category: 0.96 });
  });

  test("the messages held out while the rules were written reach the same", () => {
    reach(
      cases.filter((c) => c.held_out === true),
      { precision: 0.99, recall: 0.98, category: 0.95 },
    );
  });

  test("no promised language is left behind", () => {
    for (const language of LANGUAGES) {
      const { score, misses } = scoreCases(cases.filter((c) => c.language === language));
      const seen = misses.filter((m) => m.what === "answer").map((m) => m.case.text);
      expect(score.precision, `${language}: ${seen}`).toBeGreaterThanOrEqual(0.97);
      expect(score.recall, `${language}: ${seen}`).toBeGreaterThanOrEqual(0.97);
    }
  });

  test("origins are exactly those of the last lines", () => {
    expect(scoreCases(cases).misses.filter((m) => m.what === "origin")).toEqual([]);
  });

  test("a message takes microseconds", () => {
    // Generous, for machines that do other work as well; `bun run bench signals` prints the figure.
    expect(timePerMessage(cases)).toBeLessThan(1000);
  });
});

function reach(
  some: readonly SignalCase[],
  least: { readonly precision: number; readonly recall: number; readonly category: number },
): void {
  const { score, misses } = scoreCases(some);
  const seen = misses.filter((m) => m.what === "answer").map((m) => [m.case.text, m.got.code, m.got.link]);
  expect(score.precision, JSON.stringify(seen)).toBeGreaterThanOrEqual(least.precision);
  expect(score.recall, JSON.stringify(seen)).toBeGreaterThanOrEqual(least.recall);
  expect(score.category).toBeGreaterThanOrEqual(least.category);
}
