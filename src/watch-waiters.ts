import { AppError } from "./errors.ts";
import type { SignalStore } from "./signal-store.ts";
import type { Watch } from "./watch.ts";

/** The calls that wait for the end of a watch, any number for each. */
export interface WatchWaiters {
  /**
   * Waits until the watch is no longer pending and answers it as it then is. An abort rejects with the signal's
   * reason and leaves the watch as it is.
   */
  ended(id: string, signal?: AbortSignal): Promise<Watch>;
  /** Tells whoever waits for the watch how it ended. */
  tell(watch: Watch): void;
}

export function createWatchWaiters(
  store: Pick<SignalStore, "watch">,
  isPending: (id: string) => boolean,
): WatchWaiters {
  const waiters = new Map<string, Set<(watch: Watch) => void>>();

  return {
    ended(id, signal) {
      return new Promise<Watch>((resolve, reject) => {
        const set = waiters.get(id) ?? new Set();
        waiters.set(id, set);
        const done = (watch: Watch) => {
          signal?.removeEventListener("abort", onAbort);
          resolve(watch);
        };
        const leave = () => {
          set.delete(done);
          if (set.size === 0 && waiters.get(id) === set) waiters.delete(id);
        };
        const onAbort = () => {
          leave();
          reject(signal?.reason);
        };
        if (signal?.aborted) return onAbort();
        set.add(done);
        signal?.addEventListener("abort", onAbort, { once: true });
        if (isPending(id)) return;
        store.watch(id).then(
          (watch) => {
            leave();
            if (watch === undefined) reject(new AppError("not_found", `There is no watch ${id}.`));
            else done(watch);
          },
          (error: unknown) => {
            leave();
            reject(error);
          },
        );
      });
    },
    tell(watch) {
      for (const waiter of waiters.get(watch.id) ?? []) waiter(watch);
      waiters.delete(watch.id);
    },
  };
}
