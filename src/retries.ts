import type { Clock } from "./clock.ts";
import { AppError } from "./errors.ts";

/** Before a row that could not be worked on is tried again, ms; doubled each time, up to the most. */
const FIRST = 5_000;
const MOST = 3_600_000;

/**
 * Rows of a queue without leases, which stay due when their work fails: each is left alone for a while, and then for
 * longer, so that it neither spins nor keeps those behind it from being worked on. Kept in memory; a start tries anew.
 */
export interface Retries {
  /** Rows that are left alone at the moment. */
  readonly size: number;
  isLeftAlone(id: string): boolean;
  /** Does the work of a row; a failure is rejected with, and remembered. */
  run(id: string, work: () => Promise<void>): Promise<void>;
}

export function createRetries(clock: Clock): Retries {
  const failed = new Map<string, { readonly tries: number; readonly until: number }>();
  return {
    get size() {
      for (const [id, { until }] of failed) if (until + MOST < clock.now()) failed.delete(id);
      return failed.size;
    },
    isLeftAlone: (id) => (failed.get(id)?.until ?? 0) > clock.now(),
    async run(id, work) {
      try {
        await work();
        failed.delete(id);
      } catch (error) {
        const tries = (failed.get(id)?.tries ?? 0) + 1;
        // What the disk refused may be well again at any moment, and is nothing of the row's.
        const disk = error instanceof AppError && error.code === "unavailable";
        const delay = disk ? FIRST : Math.min(MOST, FIRST * 2 ** (tries - 1));
        failed.set(id, { tries, until: clock.now() + delay });
        throw error;
      }
    },
  };
}
