import { fdatasyncSync } from "node:fs";
import type { Clock } from "../../src/clock.ts";
import type { SyncFile } from "../../src/store/log-sync.ts";

/** The real time, for tests whose other side is a real server. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delay, run) {
    const timer = setTimeout(run, Math.max(0, delay));
    return () => clearTimeout(timer);
  },
};

/** A clock that stands still until the test moves it. */
export interface ManualClock extends Clock {
  /**
   * Moves on by `ms` and runs every timer that becomes due, in order, each at its own time. Promise chains
   * and callbacks of one timer run before the next one; network traffic is not waited for.
   */
  advance(ms: number): Promise<void>;
  /** Lets everything that is already due or already resolved run, without moving the time. */
  flush(): Promise<void>;
  /** Timers that wait. */
  readonly pending: number;
}

/** A clock that is moved by hand does not wait for the disk, so with one the disk is synced within the commit. */
export const syncAtOnce: SyncFile = (descriptor, done) => {
  fdatasyncSync(descriptor);
  done(null);
};

/** Starts at 2026-01-01 12:00:00 UTC unless told otherwise. */
export function manualClock(start = Date.UTC(2026, 0, 1, 12)): ManualClock {
  let now = start;
  let count = 0;
  const timers = new Map<number, { readonly at: number; readonly run: () => void }>();

  // Two turns of the event loop, as a commit takes.
  const turn = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
  const nextDue = (limit: number) => {
    let found: { readonly id: number; readonly at: number; readonly run: () => void } | undefined;
    for (const [id, timer] of timers) {
      if (timer.at <= limit && (found === undefined || timer.at < found.at)) found = { id, ...timer };
    }
    return found;
  };
  const runUntil = async (limit: number) => {
    await turn();
    let runs = 0;
    for (let due = nextDue(limit); due !== undefined; due = nextDue(limit)) {
      if (++runs > 1_000_000) throw new Error("timers of no delay keep setting each other");
      timers.delete(due.id);
      now = Math.max(now, due.at);
      due.run();
      await turn();
    }
    now = Math.max(now, limit);
  };

  return {
    now: () => now,
    after(delay, run) {
      const id = ++count;
      timers.set(id, { at: now + Math.max(0, delay), run });
      return () => timers.delete(id);
    },
    advance: (ms) => runUntil(now + ms),
    flush: () => runUntil(now),
    get pending() {
      return timers.size;
    },
  };
}
