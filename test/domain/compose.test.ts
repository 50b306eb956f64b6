import { expect, test } from "bun:test";
import { compose, HELD_FOR, nextParts } from "../../src/compose.ts";
import { createTextTools } from "../../src/text/tools.ts";

const text = createTextTools();
const REPLY = { maxMessages: 1, overflow: "more", economy: true } as const;

test("an answer of megabytes is cut at what anybody would read, so that no other turn waits for it", () => {
  const { bodies, held } = compose("word ".repeat(700_000), REPLY, 10, text);
  const all = [...bodies, ...held].join("");
  expect(bodies).toHaveLength(1);
  expect(all.length).toBeGreaterThan(99_000);
  expect(all.length).toBeLessThan(102_000);
  expect(held.at(-1)).toEndWith("...");
});

test("an answer that long is not cut inside a character", () => {
  const { bodies, held } = compose(`a${"👋".repeat(60_000)}`, { ...REPLY, economy: false }, 10, text);
  expect([...bodies, ...held].every((part) => part.isWellFormed())).toBe(true);
});

test("an answer of 20,000 characters is there as a whole, part by part", () => {
  const words = Array.from({ length: 2_500 }, (_, i) => `word${i}`).join(" ");
  const first = compose(words, REPLY, 10, text);
  const parts = [...first.bodies];
  let rest: ReturnType<typeof nextParts>["rest"] = { id: "m", parts: first.held, expiresAt: HELD_FOR };
  while (rest !== undefined) {
    const next = nextParts(rest, 1);
    parts.push(...next.bodies);
    rest = next.rest;
  }
  const whole = parts.map((part) => part.replace(/\n\[MORE\?\]$/, "")).join(" ");
  expect(whole).toBe(words);
});
