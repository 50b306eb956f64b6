import type { Clock } from "../clock.ts";

/** setTimeout counts in 32 bits; longer waits are made of several. */
const LONGEST = 2_000_000_000;

/** The machine's clock and timers. Timers do not keep the process alive; the listeners do. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delay, run) {
    let timer: ReturnType<typeof setTimeout>;
    const arm = (left: number) => {
      timer = setTimeout(
        () => (left > LONGEST ? arm(left - LONGEST) : run()),
        Math.max(0, Math.min(left, LONGEST)),
      );
    };
    arm(delay);
    return () => clearTimeout(timer);
  },
};
