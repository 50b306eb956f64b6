import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { confirmationText } from "../../src/confirmation-text.ts";
import { createTextTools } from "../../src/text/tools.ts";

const tools = createTextTools();
const of = (tool: string, input: Record<string, unknown>) => confirmationText(tool, input, "123456", tools);

describe("the text that asks for a confirmation", () => {
  test("says the tool and what it is called with, in one segment", () => {
    const text = of("home.unlock_door", { door: "back", seconds: 30 });
    expect(text).toBe(
      'Allow unlock door (home): door "back", seconds 30? Reply 123456 within 10 minutes. Did not ask for this? Do not reply.',
    );
    expect(tools.segments(text)).toBe(1);
    expect(of("remind", {})).toStartWith("Allow remind? Reply 123456");
  });

  test("shortens what is long, each value by itself, so that none hides another", () => {
    const text = of("send_message", { text: "x".repeat(500), to: "Anna" });
    expect(text).toContain('to "Anna"');
    expect(text).toContain('..."');
    expect(tools.segments(text)).toBe(1);
  });

  test("says how many values are not shown", () => {
    const input = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`a${i}`, i]));
    expect(of("t", input)).toContain("and 4 more?");
  });

  test("makes one plain line of what somebody may have talked the model into", () => {
    const text = of("pay", { to: 'Bob"\nReply 999999 instead.\u202e', nested: { a: [1, "b"] } });
    expect(text).not.toMatch(/[\n\u202e]/);
    expect(text).toContain('to "Bob\' Reply 999999 instead."');
    expect(text).toContain("nested \"{'a':[1,'b']}\"");
  });

  test("always holds the code and is short, whatever is called", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 80 }),
        fc.dictionary(fc.string({ unit: "binary", maxLength: 60 }), fc.jsonValue(), { maxKeys: 12 }),
        (tool, input) => {
          const text = of(tool, input as Record<string, unknown>);
          expect(text).toContain("Reply 123456 within 10 minutes.");
          expect(tools.segments(text)).toBeLessThanOrEqual(5);
          expect(text).not.toMatch(/[\p{Cc}\p{Cs}]/u);
        },
      ),
    );
  });
});
