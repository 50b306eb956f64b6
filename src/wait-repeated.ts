import type { Clock } from "./clock.ts";
import { AppError } from "./errors.ts";
import type { NewWatch, Signals } from "./signals.ts";
import type { Watch } from "./watch.ts";

/** Waits that can be repeated under a key: the same key within its time leads to the same signal. */
export interface RepeatedWaits {
  /**
   * Waits as long as `wanted.expiresIn`. Answers the watch as it ended, or undefined when the time was over first.
   * A watch of this key that an earlier call has left behind is taken over, and one that has ended without a signal
   * is followed by a fresh one. Rejects with the reason of `abort`, and leaves the watch waiting for a repetition;
   * rejects with AppError `conflict` when the key was used for something else.
   */
  wait(wanted: Omit<NewWatch, "idempotency">, key: RepeatKey, abort: AbortSignal): Promise<Watch | undefined>;
  /** The watch that waits under the key now, as far as this process knows. */
  watchOf(key: string): string | undefined;
}

export interface RepeatKey {
  readonly key: string;
  /** What the request was; another one under the same key is refused. */
  readonly fingerprint: string;
}

/** How long a key is remembered, from the end of the wait on. Milliseconds. */
export const KEY_LIFE = 10 * 60_000;

interface Attempt extends RepeatKey {
  /** How many watches of the key have ended without a signal. */
  readonly ended: number;
  readonly watch: string;
  readonly until: number;
}

/** Keys that are remembered in memory; of those beyond the store is asked again, as after a restart. */
const MAX_KEYS = 10_000;

const TIME_OVER = Symbol("the caller's time is over");

export function createRepeatedWaits(seams: {
  readonly signals: Pick<Signals, "ended">;
  readonly create: (wanted: NewWatch) => Promise<Watch>;
  readonly clock: Clock;
}): RepeatedWaits {
  const { signals, create, clock } = seams;
  /** Spares asking the store for each watch of a key that has ended; after a restart it is asked again. */
  const attempts = new Map<string, Attempt>();

  function known({ key, fingerprint }: RepeatKey): number {
    const now = clock.now();
    for (const [old, { until }] of attempts) if (until <= now) attempts.delete(old);
    for (const old of attempts.keys()) {
      if (attempts.size <= MAX_KEYS) break;
      attempts.delete(old);
    }
    const attempt = attempts.get(key);
    if (attempt !== undefined && attempt.fingerprint !== fingerprint)
      throw new AppError("conflict", "This Idempotency-Key was used for another wait.", {
        fix: "Use a new key for a new wait, or repeat the first request exactly.",
      });
    return attempt?.ended ?? 0;
  }

  /** The watch as it ended, or undefined when `deadline` came first. */
  async function endOf(watch: Watch, deadline: number, abort: AbortSignal): Promise<Watch | undefined> {
    const over = new AbortController();
    const leave = () => over.abort(abort.reason);
    if (abort.aborted) leave();
    abort.addEventListener("abort", leave, { once: true });
    const cancelTimer = clock.after(deadline - clock.now(), () => over.abort(TIME_OVER));
    try {
      return await signals.ended(watch.id, over.signal);
    } catch (error) {
      if (error === TIME_OVER) return undefined;
      throw error;
    } finally {
      cancelTimer();
      abort.removeEventListener("abort", leave);
    }
  }

  return {
    async wait(wanted, { key, fingerprint }, abort) {
      const deadline = clock.now() + wanted.expiresIn;
      for (let ended = known({ key, fingerprint }); ; ended++) {
        const started = clock.now();
        const expiresIn = Math.max(0, deadline - started);
        const watch = await create({
          ...wanted,
          expiresIn,
          idempotency: { key: `${key}/${ended}`, fingerprint, keepFor: expiresIn + KEY_LIFE },
        });
        const until = clock.now() + expiresIn + KEY_LIFE;
        attempts.set(key, { key, fingerprint, ended, watch: watch.id, until });
        // One that another call made in the same millisecond, for the same time, is as good as our own.
        const own = watch.createdAt >= started && watch.expiresAt - watch.createdAt === expiresIn;
        const waits = watch.state === "pending";
        // Our own is told when it expires; one that was taken over may have longer than we have.
        const end = !waits
          ? watch
          : own
            ? await signals.ended(watch.id, abort)
            : await endOf(watch, deadline, abort);
        if (end === undefined || end.state === "matched") return end;
        attempts.set(key, { key, fingerprint, ended: ended + 1, watch: watch.id, until });
        if (waits && end.state === "cancelled") return end;
        if (own && clock.now() >= deadline) return end;
      }
    },
    watchOf: (key) => attempts.get(key)?.watch,
  };
}
