import type { CancelTimer, Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { SignalStore } from "./signal-store.ts";
import type { Watch } from "./watch.ts";
import type { Indexed, WatchIndex } from "./watch-index.ts";

export interface WatchExpirySeams {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Pick<SignalStore, "expireWatches" | "watch">;
  readonly pending: Pick<WatchIndex<Indexed>, "size" | "values" | "delete">;
  /** Told of a watch whose time was over; it is not pending any more. */
  readonly onExpired: (watch: Watch) => void;
  /** Told of a watch that something else had ended in the store; it is not pending any more. */
  readonly onEnded: (watch: Watch) => void;
}

/** Ends pending watches when their time is over, with one timer for all of them. */
export interface WatchExpiry {
  /** The timer rings for this watch too. */
  add(watch: Watch): void;
  /** Keeps a watch from expiring until it is told that the watch is made: first it looks back. */
  hold(watch: Watch): () => void;
  /** Ends what is due now. */
  run(): Promise<void>;
  /** Where nobody waits any more no timer is left. */
  settle(): void;
  stop(): void;
}

/** How long an expiry that failed is left alone, ms. */
const RETRY = 1_000;

export function createWatchExpiry(seams: WatchExpirySeams): WatchExpiry {
  const { clock, log, store, pending } = seams;
  /** Watches that are being made: their time is not over before they have looked back. */
  const beginning = new Set<Watch>();
  let timer: CancelTimer | undefined;
  /** When the timer rings. */
  let alarm = Number.POSITIVE_INFINITY;
  /** What is due waits for a watch that is being made. */
  let unarmed = false;
  let stopped = false;

  /** One timer for the watch that expires first. It may have ended since: then nothing is due when it rings. */
  function arm(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const { watch } of pending.values()) next = Math.min(next, watch.expiresAt);
    ring(next);
  }

  function ring(at: number): void {
    timer?.();
    timer = undefined;
    alarm = at;
    unarmed = false;
    if (stopped || at === Number.POSITIVE_INFINITY) return;
    timer = clock.after(Math.max(0, at - clock.now()), () => {
      alarm = Number.POSITIVE_INFINITY;
      run().catch((error: unknown) => {
        log.error("watch.expire", { error: String(error) });
        if (!stopped) timer = clock.after(RETRY, arm);
      });
    });
  }

  async function run(): Promise<void> {
    const now = clock.now();
    let until = now;
    for (const { expiresAt } of beginning) until = Math.min(until, expiresAt - 1);
    for (const watch of await store.expireWatches(until)) {
      pending.delete(watch.id);
      log.debug("watch.expired", { watch: watch.id });
      seams.onExpired(watch);
    }
    await dropEnded(until);
    // Else whoever is being made arms when that is done.
    unarmed = until !== now && beginning.size > 0;
    if (!unarmed) arm();
  }

  /** Watches that were ended in the store by something else: a turn that was cancelled took its own with it. */
  async function dropEnded(until: number): Promise<void> {
    for (const { watch } of [...pending.values()]) {
      if (watch.expiresAt > until || beginning.has(watch)) continue;
      pending.delete(watch.id);
      const now = await store.watch(watch.id);
      if (now !== undefined) seams.onEnded(now);
    }
  }

  function settle(): void {
    if (pending.size === 0) arm();
  }

  return {
    add({ expiresAt }) {
      // The timer need not be looked at again for a watch that expires later than another.
      if (expiresAt < alarm) ring(expiresAt);
    },
    hold(watch) {
      beginning.add(watch);
      return () => {
        beginning.delete(watch);
        if (unarmed) arm();
        else settle();
      };
    },
    run,
    settle,
    stop() {
      stopped = true;
      timer?.();
    },
  };
}
