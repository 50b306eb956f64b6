import { expect, test } from "bun:test";
import { AppError } from "../../src/errors.ts";
import { createRetries } from "../../src/retries.ts";
import { manualClock } from "../support/clock.ts";

const MINUTE = 60_000;

async function failing(retries: ReturnType<typeof createRetries>, error: Error): Promise<void> {
  expect(await retries.run("row", () => Promise.reject(error)).catch((caught: unknown) => caught)).toBe(
    error,
  );
}

test("a row whose work always fails is tried at growing distances, never more than an hour apart", async () => {
  const clock = manualClock();
  const retries = createRetries(clock);
  const pauses: number[] = [];
  for (let i = 0; i < 14; i++) {
    await failing(retries, new Error("a bug"));
    const from = clock.now();
    while (retries.isLeftAlone("row")) await clock.advance(1_000);
    pauses.push((clock.now() - from) / 1_000);
  }
  expect(pauses.slice(0, 4)).toEqual([5, 10, 20, 40]);
  expect(pauses.slice(-3)).toEqual([3_600, 3_600, 3_600]);
});

test("a full disk is no fault of the row's: it is tried again soon, however often it was refused", async () => {
  const clock = manualClock();
  const retries = createRetries(clock);
  for (let i = 0; i < 10; i++) {
    await failing(retries, new AppError("unavailable", "the disk is full"));
    expect(retries.isLeftAlone("row")).toBe(true);
    await clock.advance(5_000);
    expect(retries.isLeftAlone("row")).toBe(false);
  }
});

test("a row that is done is forgotten, and so is one that was not seen for hours", async () => {
  const clock = manualClock();
  const retries = createRetries(clock);
  await failing(retries, new Error("once"));
  await clock.advance(5_000);
  await retries.run("row", () => Promise.resolve());
  expect(retries.size).toBe(0);
  await failing(retries, new Error("again"));
  expect(retries.size).toBe(1);
  await clock.advance(62 * MINUTE);
  expect(retries.size).toBe(0);
});
