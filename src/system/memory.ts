import type { Clock } from "../clock.ts";

/** So long without work after the start, ms, and nobody notices a pause of some 30 ms. */
const QUIET_AFTER_START = 3_000;
/**
 * The same after a burst. Bursts that follow each other within a few seconds are one: what is hot would be compiled anew
 * for each, which takes a fifth of the CPU of its first seconds.
 */
const QUIET = 7_000;
/** Pieces of work whose garbage is worth it. */
const WORTH = 500;

/**
 * Ends the reluctance to compile that the binary starts with (`jitPolicy` in deploy/build.ts). Compiling what only the
 * start runs would take memory that is not given back.
 */
export function compileHotCode(): void {
  Bun.unsafe.setJITPolicy(1);
}

/**
 * Collects all garbage and drops all compiled code, as soon as nothing runs: some 30 ms without an answer to anybody.
 * After a start most of the code is never run again; what is needed is there at once from the binary's bytecode, and
 * what is hot is compiled again: the first texts afterwards take some 10 to 20 ms longer.
 */
export function collectGarbage(): void {
  Bun.shrink();
}

/**
 * Gives memory back when a burst is over. The runtime lets its heap grow with the load, and by itself keeps what it
 * has once had; a machine that does other things as well wants it back. `note` is to be called with every piece of
 * work. The start is one too.
 */
export function createMemoryRelief(
  clock: Clock,
  collect: () => void,
): { readonly note: () => void; readonly stop: () => void } {
  let pieces = WORTH;
  let quiet = QUIET_AFTER_START;
  let last = clock.now();
  let cancel: (() => void) | undefined;

  function look(): void {
    const quietFor = clock.now() - last;
    if (quietFor < quiet) {
      cancel = clock.after(quiet - quietFor, look);
      return;
    }
    cancel = undefined;
    if (pieces < WORTH) return;
    pieces = 0;
    quiet = QUIET;
    collect();
  }

  cancel = clock.after(quiet, look);
  return {
    note() {
      pieces += 1;
      last = clock.now();
      cancel ??= clock.after(quiet, look);
    },
    stop: () => cancel?.(),
  };
}
