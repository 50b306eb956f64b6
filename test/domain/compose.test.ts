import { describe, expect, test } from "bun:test";
import { compose, HELD_FOR, nextParts } from "../../src/compose.ts";
import { createTextTools } from "../../src/text/tools.ts";

const text = createTextTools();
const REPLY = { maxMessages: 1, overflow: "more", economy: true } as const;

const HELD = { id: "m", conversationId: "conv_1", turnId: "turn_1", expiresAt: HELD_FOR };

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
  let rest: ReturnType<typeof nextParts>["rest"] = { ...HELD, parts: first.held };
  while (rest !== undefined) {
    const next = nextParts(rest, { messages: 1, segments: 10 }, text);
    parts.push(...next.bodies);
    rest = next.rest;
  }
  const whole = parts.map((part) => part.replace(/\n\[MORE\?\]$/, "")).join(" ");
  expect(whole).toBe(words);
});

describe("parts that go out at once", () => {
  const words = Array.from({ length: 600 }, (_, i) => `word${i}`).join(" ");
  const cost = (parts: readonly string[]) => parts.reduce((sum, part) => sum + text.segments(part), 0);

  test("cost at most segments_per_reply, also by MORE, however high max_messages is", () => {
    for (const maxMessages of [1, 2, 3, 4, 10, 100])
      for (const segments of [1, 2, 3, 5, 10]) {
        const first = compose(words, { ...REPLY, maxMessages }, segments, text);
        const sent = [first.bodies];
        let rest: ReturnType<typeof nextParts>["rest"] = { ...HELD, parts: first.held };
        while (rest !== undefined) {
          const next = nextParts(rest, { messages: maxMessages, segments }, text);
          sent.push(next.bodies);
          rest = next.rest;
        }
        for (const bodies of sent) {
          expect(bodies.length).toBeWithin(1, maxMessages + 1);
          expect(cost(bodies)).toBeLessThanOrEqual(segments);
          expect(bodies.filter((body) => body.includes("[MORE?]"))).toHaveLength(
            bodies === sent.at(-1) ? 0 : 1,
          );
        }
        const whole = sent.flat().map((part) => part.replace(/\n\[MORE\?\]$/, ""));
        expect(whole.join(" ")).toBe(words);
      }
  });

  test("go by the limits of now when they were cut under others, one at least", () => {
    const cut = compose(words, REPLY, 10, text);
    const [part = ""] = cut.held;
    expect(text.segments(part)).toBeGreaterThan(3);
    const held = { ...HELD, parts: cut.held };
    expect(nextParts(held, { messages: 10, segments: 3 }, text).bodies).toEqual([part]);
  });
});
