import { expect, test } from "bun:test";
import { createMemoryRelief } from "../../src/system/memory.ts";
import { manualClock } from "../support/clock.ts";

test("memory is given back three seconds after the start, and once a burst has been over for seven", async () => {
  const clock = manualClock();
  let collections = 0;
  const { note, stop } = createMemoryRelief(clock, () => void collections++);
  await clock.advance(2_999);
  expect(collections).toBe(0);
  await clock.advance(1);
  expect(collections).toBe(1);

  for (let piece = 0; piece < 499; piece++) note();
  await clock.advance(10_000);
  expect(collections).toBe(1); // too little to be worth a pause

  note();
  await clock.advance(5_000);
  note();
  await clock.advance(5_000);
  expect(collections).toBe(1); // not between two bursts that are one
  await clock.advance(2_000);
  expect(collections).toBe(2);

  for (let piece = 0; piece < 500; piece++) note();
  stop();
  await clock.advance(10_000);
  expect(collections).toBe(2);
});
