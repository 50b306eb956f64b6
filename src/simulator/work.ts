import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";

/** What the simulator still has to do by itself: timers and webhooks under way. */
export interface Work {
  /** Aborts when the simulator is closed. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  after(delay: number, run: () => void): void;
  /** Follows a task that nobody awaits; a rejection is a bug and is logged. */
  track(task: Promise<unknown>): void;
  /** Resolves when no timer and no task is left. */
  settled(): Promise<void>;
  close(): void;
}

export function createWork(clock: Clock, log: Log): Work {
  const closing = new AbortController();
  const timers = new Set<() => void>();
  const waiting: (() => void)[] = [];
  let open = 0;

  const finish = () => {
    open -= 1;
    if (open > 0) return;
    // A task that ends may be about to start the next one, so look again once its continuations have run.
    queueMicrotask(() => {
      if (open === 0) for (const resolve of waiting.splice(0)) resolve();
    });
  };
  const failed = (error: unknown) =>
    log.error("simulator.bug", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });

  return {
    signal: closing.signal,
    clock,
    after(delay, run) {
      if (closing.signal.aborted) return;
      open += 1;
      const cancel = clock.after(delay, () => {
        timers.delete(cancel);
        try {
          run();
        } catch (error) {
          failed(error);
        }
        finish();
      });
      timers.add(cancel);
    },
    track(task) {
      open += 1;
      task.catch(failed).then(finish);
    },
    settled() {
      if (open === 0) return Promise.resolve();
      return new Promise((resolve) => waiting.push(resolve));
    },
    close() {
      closing.abort(new Error("the simulator was closed"));
      for (const cancel of timers) {
        cancel();
        finish();
      }
      timers.clear();
    },
  };
}
