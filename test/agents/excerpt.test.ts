import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { errorMessageIn, excerpt, explanationIn } from "../../src/agents/excerpt.ts";
import { turn } from "./support.ts";

describe("an excerpt", () => {
  test("holds none of the conversation's texts, as they were or as JSON writes them", () => {
    const text = 'Say "hello"\nto Ann';
    const request = turn({ text, messages: [{ role: "assistant", text: "An earlier answer", media: [] }] });
    const said = `a) ${text} b) ${JSON.stringify(text)} c) An earlier answer d) to Ann e) fine`;
    expect(excerpt(said, request, { secrets: [] })).toBe('a) [text] b) "[text]" c) [text] d) [text] e) fine');
  });

  test("holds no secret, with or without its scheme, and nothing that looks like a key", () => {
    const said = "Bearer tok-en-123 | tok-en-123 | sk-proj-abcdef123 | Bearer other.token.value";
    expect(excerpt(said, turn(), { secrets: ["Bearer tok-en-123", ""] })).toBe(
      "[secret] | [secret] | [secret] | Bearer [secret]",
    );
  });

  test("shows of the sender's number no more than a log does", () => {
    const request = turn({ from: "whatsapp:+15551234567" });
    expect(excerpt("whatsapp:+15551234567, +15551234567, 15551234567", request, { secrets: [] })).toBe(
      "whatsapp:+1555***4567, +1555***4567, +1555***4567",
    );
  });

  test("is one line of at most 300 characters, whatever was said", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 6_000 }),
        fc.constantFrom("start", "end"),
        (said, keep) => {
          const line = excerpt(said, turn(), { secrets: [], keep });
          expect(line.length).toBeLessThanOrEqual(301);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none is the point
          expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
          expect(line.isWellFormed()).toBe(said.isWellFormed());
        },
      ),
      { numRuns: 200 },
    );
  });
});

test("the message of an error body is found in the usual forms", () => {
  const bodies: readonly (readonly [unknown, string | undefined])[] = [
    [{ error: { message: "a" } }, "a"],
    [{ error: "b" }, "b"],
    [{ object: "error", message: "c" }, "c"],
    [{ type: "about:blank", title: "d", detail: "e" }, "e"],
    [{ detail: [{ msg: "f" }] }, undefined],
    [{ choices: [] }, undefined],
    ["g", "g"],
    [null, undefined],
    [7, undefined],
  ];
  for (const [body, message] of bodies) expect(errorMessageIn(JSON.stringify(body))).toBe(message);
  expect(errorMessageIn("{")).toBeUndefined();
});

test("of a page of HTML only its words are left, in bounded time", () => {
  expect(
    explanationIn("<html><script>x()</script><h1>Bad <b>gateway</b></h1>").replace(/\s+/g, " ").trim(),
  ).toBe("Bad gateway");
  const started = performance.now();
  explanationIn("<script".repeat(200_000));
  expect(performance.now() - started).toBeLessThan(1_000);
});
