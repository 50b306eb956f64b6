import { expect, test } from "bun:test";
import fc from "fast-check";
import { spokenPart } from "../../src/agents/reasoning.ts";

const cases: readonly (readonly [string, string])[] = [
  ["Noon.", "Noon."],
  ["<think>a</think>Noon.", "Noon."],
  ["<think>a</think> One <think>b</think>two", "One two"],
  ["<Thinking>\na\n</THINKING>\n\nNoon.", "Noon."],
  ["[THINK]a[/THINK]Noon.", "Noon."],
  ["a\n</think>\n\nNoon.", "Noon."],
  ["<think>a</think>b</think>Noon.", "Noon."],
  ["<think>the tokens ran out", ""],
  ["Noon. <think>the tokens ran out", "Noon."],
  ["1 < 2 and a <b> tag", "1 < 2 and a <b> tag"],
  ["I think <thinker> is a word", "I think <thinker> is a word"],
];

for (const [answer, spoken] of cases) {
  test(`of ${JSON.stringify(answer)} the phone gets ${JSON.stringify(spoken)}`, () => {
    expect(spokenPart(answer)).toBe(spoken);
  });
}

test("no thought passes, whatever stands around it", () => {
  const words = fc.string().filter((text) => !/[<>[\]]/.test(text));
  fc.assert(
    fc.property(words, words, words, (before, after, more) => {
      const thought = "SECRET-THOUGHT";
      expect(spokenPart(`${before}<think>${more}${thought}</think>${after}`)).toBe(
        `${before}${after}`.trim(),
      );
      expect(spokenPart(`${more}${thought}</think>${after}`)).toBe(after.trim());
      expect(spokenPart(`${before}<think>${thought}${more}`)).toBe(before.trim());
    }),
  );
});
