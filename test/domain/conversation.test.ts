import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sessionKey, turnDueAt } from "../../src/conversation.ts";

describe("conversations", () => {
  test("are kept apart by receiving channel", () => {
    const one = { id: "a", agent: "x", session: "address" as const };
    expect(sessionKey(one, "+15551234567", true)).not.toBe(
      sessionKey({ ...one, id: "b" }, "+15551234567", true),
    );
  });

  test("are shared by the paired addresses of an agent only where asked for", () => {
    const shared = { id: "a", agent: "x", session: "shared" as const };
    expect(sessionKey(shared, "+15551234567", true)).toBe(
      sessionKey({ ...shared, id: "b" }, "+15557654321", true),
    );
    expect(sessionKey(shared, "+15551234567", false)).not.toBe(sessionKey(shared, "+15557654321", false));
  });

  test("a turn waits for debounce after the latest text, at most five times that after the first", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 1 }), (gaps) => {
        let now = 1_000;
        const first = now;
        for (const gap of gaps) {
          now += gap;
          const due = turnDueAt(first, now, 1_200);
          expect(due).toBeLessThanOrEqual(first + 6_000);
          expect(due).toBeLessThanOrEqual(now + 1_200);
        }
      }),
    );
  });
});
