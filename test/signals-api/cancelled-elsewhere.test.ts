import { expect, test } from "bun:test";
import { openStack } from "./stack.ts";

test("a watch that the store ended by itself is dropped at its time, and its time comes once", async () => {
  const stack = openStack();
  await stack.signals.start();
  const watch = await stack.signals.create({
    filters: { from: ["22000"] },
    mode: "once",
    consume: "claim",
    backfill: 0,
    expiresIn: 1_000,
    owner: {
      kind: "agent",
      agent: "a",
      turnId: "turn_1",
      callId: "1.0",
      channel: "codes",
      address: "+15557654321",
    },
  });
  // As when the turn it belongs to is cancelled.
  await stack.t.store.cancelWatch(watch.id, stack.t.clock.now());
  const told = stack.signals.ended(watch.id);
  await stack.t.clock.advance(2_000);
  expect((await told).state).toBe("cancelled");
  await stack.t.clock.advance(60_000);
  expect(stack.t.clock.pending).toBe(0);
  stack.signals.stop();
});
