import type { CancelTimer, Clock } from "./clock.ts";
import { AppError } from "./errors.ts";
import type { Log } from "./log.ts";
import { createSparse } from "./sparse.ts";

/** One of the durable queues, as a worker sees it. */
export interface Queue<Item> {
  readonly name: string;
  /** Takes up to `limit` due rows for this process. */
  claim(limit: number, now: number): Promise<readonly Item[]>;
  /** When the next row becomes due; undefined when none waits. May be in the past for a row that is held. */
  nextDue(): Promise<number | undefined>;
  /** Does the work. A rejection is logged; the row's lease brings it back. */
  run(item: Item, signal: AbortSignal): Promise<void>;
}

export interface Worker {
  /**
   * Looks for due rows; called after something was put into the queue. `dueAt` (epoch ms): it is not due before that, so
   * there is nothing to look for until then.
   */
  wake(dueAt?: number): void;
  /** Resolves once nothing is claimed, running or due. */
  idle(): Promise<void>;
  /** Claims nothing more, waits up to `grace` ms for what runs, then aborts it. */
  stop(grace: number): Promise<void>;
}

/** Rows that are due but held by another row are looked at again this often, ms; a finished row wakes us sooner. */
const RECHECK = 1_000;
/** The same failure is logged once in this time, ms: a full disk fails every second until somebody comes. */
const LOG_INTERVAL = 60_000;

/**
 * Works a durable queue: claims what is due, at most `concurrency` at a time, sleeps until the next row is
 * due or `wake` is called. The one mechanism behind turns and sends.
 */
export function startWorker<Item>(
  queue: Queue<Item>,
  options: { readonly concurrency: number; readonly clock: Clock; readonly log: Log },
): Worker {
  const { concurrency, clock, log } = options;
  const abort = new AbortController();
  const running = new Set<Promise<void>>();
  const idlers: (() => void)[] = [];
  let timer: CancelTimer | undefined;
  let timerAt = 0;
  let looking = false;
  let lastLook = Promise.resolve();
  let again = false;
  let waiting = false;
  let stopped = false;
  const failures = createSparse(clock, LOG_INTERVAL);

  function failed(error: unknown): void {
    const line = failures(error instanceof AppError ? error.code : String(error));
    if (line !== undefined) log.error(`${queue.name}.failed`, { error: String(error), ...line });
  }

  function wakeAt(at: number): void {
    timer?.();
    timerAt = at;
    timer = clock.after(at - clock.now(), wake);
  }

  function wake(dueAt?: number): void {
    if (stopped) return;
    if (looking) {
      again = true;
      return;
    }
    if (dueAt !== undefined && dueAt > clock.now()) {
      if (timer === undefined || timerAt > dueAt) wakeAt(dueAt);
      return;
    }
    looking = true;
    timer?.();
    timer = undefined;
    lastLook = look()
      .catch((error: unknown) => {
        failed(error);
        wakeAt(clock.now() + RECHECK);
      })
      .finally(() => {
        looking = false;
        if (again) {
          again = false;
          wake();
        } else settleIdle();
      });
  }

  async function look(): Promise<void> {
    const free = concurrency - running.size;
    if (free <= 0) return;
    const items = await queue.claim(free, clock.now());
    for (const item of items) start(item);
    if (items.length === free) return; // a finished one looks again
    const due = await queue.nextDue();
    waiting = due !== undefined && due <= clock.now();
    if (due !== undefined && !stopped) wakeAt(waiting ? clock.now() + RECHECK : due);
    if (due === undefined) waiting = false;
  }

  function start(item: Item): void {
    const work = queue
      .run(item, abort.signal)
      .catch((error: unknown) => {
        if (!abort.signal.aborted) failed(error);
      })
      .finally(() => {
        running.delete(work);
        wake();
      });
    running.add(work);
  }

  function settleIdle(): void {
    if (running.size > 0 || looking || waiting) return;
    for (const done of idlers.splice(0)) done();
  }

  return {
    wake,
    idle() {
      return new Promise((resolve) => {
        idlers.push(resolve);
        if (!looking) wake();
      });
    },
    async stop(grace) {
      stopped = true;
      timer?.();
      let cancel: CancelTimer = () => {};
      const timeUp = new Promise<"late">((resolve) => {
        cancel = clock.after(grace, () => resolve("late"));
      });
      // What is being claimed at this moment is run too: it would be lost otherwise.
      const all = lastLook.then(() => Promise.allSettled([...running]));
      if ((await Promise.race([all, timeUp])) === "late") {
        abort.abort(new Error("the service is stopping"));
        await Promise.race([all, new Promise<void>((resolve) => clock.after(1_000, resolve))]);
      }
      cancel();
      for (const done of idlers.splice(0)) done();
    },
  };
}
