import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Signal } from "../../src/signal.ts";
import { passesFilters, type Watch, type WatchFilters } from "../../src/watch.ts";
import { createWatchIndex } from "../../src/watch-index.ts";

const sender = fc.constantFrom(
  "+15551234567",
  "+15551239999",
  "22000",
  "MYBANK",
  "MyBank",
  "whatsapp:+15551234567",
);
const channel = fc.constantFrom("sms", "codes");
const from = fc.oneof(
  sender,
  fc.tuple(sender, fc.nat(14)).map(([address, length]) => `${address.slice(0, length)}*`),
  sender.map((address) => address.toLowerCase()),
);
const filters: fc.Arbitrary<WatchFilters> = fc.record(
  { channel, from: fc.array(from, { minLength: 1, maxLength: 3 }) },
  { requiredKeys: [] },
);

function watchOf(id: string, filters: WatchFilters): Watch {
  return {
    id,
    state: "pending",
    filters,
    mode: "once",
    consume: "claim",
    backfill: 0,
    owner: { kind: "api" },
    createdAt: 0,
    expiresAt: 1,
    signals: [],
  };
}

function signalOf(channel: string, from: string): Signal {
  return {
    id: "sig_1",
    messageId: "msg_1",
    channel,
    from,
    receivedAt: 0,
    text: "",
    numMedia: 0,
    annotation: { category: "other", confidence: 1, candidates: [] },
  };
}

test("every watch that a text passes is among its candidates, oldest first, after any adding and removing", () => {
  fc.assert(
    fc.property(
      fc.array(filters, { maxLength: 20 }),
      fc.array(fc.nat(19)),
      channel,
      sender,
      (all, removed, on, by) => {
        const index = createWatchIndex<{ watch: Watch; order: number }>();
        const watches = all.map((one, i) => watchOf(`watch_${i}`, one));
        for (const [order, watch] of watches.entries()) index.set({ watch, order });
        for (const i of removed) index.delete(`watch_${i}`);
        const left = watches.filter((_, i) => !removed.includes(i));
        const signal = signalOf(on, by);
        const wanted = left.filter((watch) => passesFilters(watch.filters, undefined, signal));
        const found = index.candidates(signal);
        const passing = found.filter(({ watch }) => passesFilters(watch.filters, undefined, signal));
        expect(passing.map(({ watch }) => watch.id)).toEqual(wanted.map(({ id }) => id));
        expect(index.size).toBe(left.length);
      },
    ),
  );
});

test("a text does not come to those who wait for other senders or on other channels", () => {
  const index = createWatchIndex<{ watch: Watch; order: number }>();
  for (let order = 0; order < 5_000; order++)
    index.set({
      watch: watchOf(`watch_${order}`, { from: [`+1555${String(order).padStart(7, "0")}`] }),
      order,
    });
  for (let order = 5_000; order < 6_000; order++)
    index.set({ watch: watchOf(`watch_${order}`, { channel: "codes" }), order });
  expect(index.candidates(signalOf("sms", "+15550000042")).map(({ watch }) => watch.id)).toEqual([
    "watch_42",
  ]);
  for (let order = 0; order < 6_000; order++) index.delete(`watch_${order}`);
  expect([index.size, [...index.values()]]).toEqual([0, []]);
  expect(index.candidates(signalOf("codes", "+15550000042"))).toEqual([]);
});
