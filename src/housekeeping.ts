import { type Clock, sleep } from "./clock.ts";
import { createConversationEnds } from "./conversation-ends.ts";
import type { Log } from "./log.ts";
import { purgeBefore } from "./retention.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";

export interface HousekeepingSeams {
  readonly settings: () => Settings;
  readonly store: Pick<Store, "endIdle" | "oldestActivity" | "sweep" | "purge" | "purgeCodes">;
  /** Removes uploaded files whose day is over. */
  readonly sweepFiles: () => Promise<void>;
  /** Told each time before anything else is done. */
  readonly onRound: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** What has expired or is too old goes this often, ms. */
const EVERY = 30_000;

/**
 * Between two steps of removing, ms. A step takes some milliseconds in which no text is taken in, so that a backlog of
 * a million texts takes up a fifth of the time for an hour, and no text waits for more than one step.
 */
const PAUSE = 20;

/** Ends idle conversations, and removes what has expired and what is too old, in small steps. */
export function createHousekeeping(seams: HousekeepingSeams): { start(): void; stop(): void } {
  const { store, clock, log } = seams;
  const stopped = new AbortController();
  const ends = createConversationEnds(seams);

  /** Takes steps until one answers that there is no more to do. */
  async function inSteps(step: () => Promise<boolean>): Promise<void> {
    while (!stopped.signal.aborted && (await step())) await sleep(clock, PAUSE, stopped.signal);
  }

  async function tidy(): Promise<number> {
    seams.onRound();
    await inSteps(() => store.sweep(clock.now()));
    await inSteps(() => store.purgeCodes(clock.now() - seams.settings().retention.codes));
    await seams.sweepFiles();
    return EVERY;
  }

  /** By itself, since a backlog takes long. */
  async function purge(): Promise<number> {
    await inSteps(() => store.purge(purgeBefore(seams.settings(), clock.now())));
    return EVERY;
  }

  /** `work` answers after how many ms it is to be done again. */
  function repeat(work: () => Promise<number>, delay: number): void {
    const cancel = clock.after(delay, () => {
      stopped.signal.removeEventListener("abort", cancel);
      work()
        .catch((error: unknown) => {
          if (!stopped.signal.aborted) log.error("housekeeping", { error: String(error) });
          return EVERY;
        })
        .then((next) => {
          if (!stopped.signal.aborted) repeat(work, next);
        });
    });
    stopped.signal.addEventListener("abort", cancel, { once: true });
  }

  return {
    start() {
      repeat(ends.end, ends.first());
      repeat(tidy, EVERY);
      repeat(purge, EVERY);
    },
    stop: () => stopped.abort(new Error("the service is stopping")),
  };
}
