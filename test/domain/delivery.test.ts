import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { advance, deliveryStateOf, holdsOrder, isFinal, retryDelay } from "../../src/delivery.ts";
import type { DeliveryState } from "../../src/message.ts";

const STATES: readonly DeliveryState[] = [
  "pending",
  "sending",
  "queued",
  "sent",
  "delivered",
  "read",
  "undelivered",
  "failed",
  "canceled",
  "suppressed",
  "unknown",
];
const state = fc.constantFrom(...STATES);

describe("delivery states", () => {
  test("a late failed does not overwrite delivered", () => {
    expect(advance("delivered", "failed")).toBe("delivered");
  });

  test("read follows delivered", () => {
    expect(advance("delivered", "read")).toBe("read");
  });

  test("a callback settles what was unknown", () => {
    expect(advance("unknown", "queued")).toBe("queued");
    expect(advance("unknown", "failed")).toBe("failed");
  });

  test("the order in which callbacks arrive does not change where a message ends, but for rival ends", () => {
    const callbacks = fc.array(fc.constantFrom<DeliveryState>("queued", "sent", "delivered", "read"));
    fc.assert(
      fc.property(callbacks, (heard) => {
        const there = heard.reduce(advance, "sending");
        const back = [...heard].reverse().reduce(advance, "sending");
        expect(there).toBe(back);
      }),
    );
  });

  test("hearing a state twice, or an earlier one, changes nothing", () => {
    fc.assert(
      fc.property(state, state, (a, b) => {
        const once = advance(a, b);
        expect(advance(once, b)).toBe(once);
        expect(advance(once, a)).toBe(once);
      }),
    );
  });

  test("only what is not with the carrier holds up the next text", () => {
    expect(STATES.filter(holdsOrder)).toEqual(["pending", "sending", "unknown"]);
    expect(STATES.filter((one) => isFinal(one) && holdsOrder(one))).toEqual([]);
  });

  test("Twilio's words become ours, its sending after queued does not move a message back", () => {
    expect(deliveryStateOf("accepted")).toBe("queued");
    expect(deliveryStateOf("sending")).toBe("queued");
    expect(deliveryStateOf("Delivered")).toBe("delivered");
    expect(deliveryStateOf("nonsense")).toBeUndefined();
  });

  test("retries wait longer each time, never longer than five minutes and a quarter, never less than asked", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (attempt, random) => {
          const delay = retryDelay(attempt, random);
          expect(delay).toBeGreaterThanOrEqual(750);
          expect(delay).toBeLessThanOrEqual(375_000);
          expect(retryDelay(attempt, random, 400_000)).toBeGreaterThanOrEqual(400_000);
        },
      ),
    );
  });
});
