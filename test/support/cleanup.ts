import { onTestFinished } from "bun:test";

const closers: (() => unknown)[] = [];

/**
 * Runs `close` when the test that is running, or that a `beforeEach` is for, has ended; what came last goes first.
 * A hook of a support file would run for the first of the test files that load it, and for no other.
 */
export function afterTest(close: () => unknown): void {
  if (closers.length === 0)
    onTestFinished(async () => {
      for (const each of closers.splice(0).reverse()) await each();
    });
  closers.push(close);
}

/** What was opened for this test; it is closed after it. */
export function closing<T extends { close(): unknown } | { stop(): unknown }>(opened: T): T {
  afterTest(() => ("close" in opened ? opened.close() : opened.stop()));
  return opened;
}
