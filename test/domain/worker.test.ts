import { expect, test } from "bun:test";
import { startWorker } from "../../src/worker.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A queue of times at which something is due, and a worker that has looked into it once. */
async function started(clock: ManualClock) {
  const rows: number[] = [];
  const done: number[] = [];
  let looks = 0;
  const worker = startWorker<number>(
    {
      name: "rows",
      async claim(limit, now) {
        looks += 1;
        const due = rows.filter((at) => at <= now).slice(0, limit);
        for (const at of due) rows.splice(rows.indexOf(at), 1);
        return due;
      },
      nextDue: async () => (rows.length === 0 ? undefined : Math.min(...rows)),
      run: async () => void done.push(clock.now()),
    },
    { concurrency: 4, clock, log: quiet },
  );
  worker.wake();
  await clock.flush();
  const put = (dueAt: number): void => {
    rows.push(dueAt);
    worker.wake(dueAt);
  };
  return { worker, put, done, looks: () => looks };
}

test("what is due later is not looked for before, however much is put in", async () => {
  const clock = manualClock();
  const queue = await started(clock);
  const looks = queue.looks();
  const start = clock.now();
  for (let i = 0; i < 50; i++) {
    queue.put(start + 3_000 + i);
    await clock.advance(10);
  }
  expect([queue.looks(), queue.done]).toEqual([looks, []]);
  await clock.advance(3_000);
  expect(queue.done).toEqual(Array.from({ length: 50 }, (_, i) => start + 3_000 + i));
});

test("what is put in for an earlier time than all the rest is done in time", async () => {
  const clock = manualClock();
  const queue = await started(clock);
  const start = clock.now();
  queue.put(start + 5_000);
  queue.put(start + 1_000);
  queue.put(start + 9_000);
  queue.put(start);
  await clock.advance(10_000);
  expect(queue.done).toEqual([start, start + 1_000, start + 5_000, start + 9_000]);
});

test("what is put in while the queue is being looked into is done in time", async () => {
  const clock = manualClock();
  const queue = await started(clock);
  const start = clock.now();
  queue.worker.wake();
  queue.put(start + 700);
  await clock.advance(1_000);
  expect(queue.done).toEqual([start + 700]);
});
