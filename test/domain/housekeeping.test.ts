import { expect, test } from "bun:test";
import { createHousekeeping } from "../../src/housekeeping.ts";
import type { Settings } from "../../src/settings.ts";
import { manualClock } from "../support/clock.ts";

const SECOND = 1_000;

/** Housekeeping over a store that has this many steps of purging to do. */
function house(steps: number) {
  const clock = manualClock();
  const purged: number[] = [];
  const rounds: number[] = [];
  const errors: string[] = [];
  let broken = false;
  // Of the settings, two keys count here.
  const settings = {
    retention: { messages: 1, denied: 1, codes: 1 },
    channels: {},
  } as unknown as Settings;
  const housekeeping = createHousekeeping({
    settings: () => settings,
    store: {
      endIdle: async () => [],
      oldestActivity: async () => undefined,
      sweep: async () => false,
      purgeCodes: async () => false,
      async purge() {
        if (broken) throw new Error("the disk is full");
        purged.push(clock.now());
        return purged.length < steps;
      },
    },
    sweepFiles: async () => {},
    onRound: () => rounds.push(clock.now()),
    clock,
    log: { debug() {}, info() {}, warn() {}, error: (event) => errors.push(event) },
  });
  return { clock, purged, rounds, errors, housekeeping, breakIt: (value: boolean) => (broken = value) };
}

test("a backlog is removed step by step with pauses, and the rest goes on meanwhile", async () => {
  const { clock, purged, rounds, housekeeping } = house(4_000);
  housekeeping.start();
  await clock.advance(29 * SECOND);
  expect(purged).toHaveLength(0);
  for (let i = 0; i < 95; i++) await clock.advance(SECOND);
  expect(rounds).toHaveLength(4);
  expect(purged.length).toBeGreaterThan(1_000);
  const pauses = purged.slice(1).map((at, index) => at - (purged[index] ?? 0));
  expect(Math.min(...pauses)).toBe(20);
  housekeeping.stop();
});

test("a failure is logged and tried again half a minute later; a stop ends everything", async () => {
  const { clock, purged, rounds, errors, housekeeping, breakIt } = house(1);
  housekeeping.start();
  breakIt(true);
  await clock.advance(30 * SECOND);
  expect([errors, purged]).toEqual([["housekeeping"], []]);
  breakIt(false);
  await clock.advance(30 * SECOND);
  expect(purged).toHaveLength(1);
  housekeeping.stop();
  await clock.advance(90 * SECOND);
  expect([purged.length, rounds.length, errors.length]).toEqual([1, 2, 1]);
});
