/** Time as the domain sees it. Every timer of the service goes through this, so that tests can turn it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Runs `run` once, `delay` milliseconds from now (at once, but asynchronously, for 0 or less). */
  after(delay: number, run: () => void): CancelTimer;
}

export type CancelTimer = () => void;

/** Waits `delay` milliseconds of `clock`, or rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, delay: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(delay, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** RFC 3339 in UTC, as every time of the API is written. */
export function rfc3339(at: number): string {
  return new Date(at).toISOString();
}
