import { type Clock, sleep } from "./clock.ts";
import type { Log } from "./log.ts";
import { purgeBefore } from "./retention.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";

export interface HousekeepingSeams {
  readonly settings: () => Settings;
  readonly store: Pick<Store, "endIdle" | "sweep" | "purge" | "purgeCodes">;
  /** Removes uploaded files whose day is over. */
  readonly sweepFiles: () => Promise<void>;
  /** Told each time before anything else is done. */
  readonly onRound: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Idle conversations are ended, and what has expired or is too old goes, this often, ms. */
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

  /** Takes steps until one answers that there is no more to do. */
  async function inSteps(step: () => Promise<boolean>): Promise<void> {
    while (!stopped.signal.aborted && (await step())) await sleep(clock, PAUSE, stopped.signal);
  }

  async function tidy(): Promise<void> {
    seams.onRound();
    for (const channel of Object.values(seams.settings().channels))
      for (const ended of await store.endIdle(channel.id, channel.idleTimeout, clock.now()))
        log.info("conversation.ended", { conversation: ended.id, channel: ended.channel });
    await inSteps(() => store.sweep(clock.now()));
    await inSteps(() => store.purgeCodes(clock.now() - seams.settings().retention.codes));
    await seams.sweepFiles();
  }

  /** By itself, since a backlog takes long: conversations end meanwhile. */
  const purge = () => inSteps(() => store.purge(purgeBefore(seams.settings(), clock.now())));

  function repeat(work: () => Promise<void>): void {
    const cancel = clock.after(EVERY, () => {
      stopped.signal.removeEventListener("abort", cancel);
      work()
        .catch((error: unknown) => {
          if (!stopped.signal.aborted) log.error("housekeeping", { error: String(error) });
        })
        .finally(() => {
          if (!stopped.signal.aborted) repeat(work);
        });
    });
    stopped.signal.addEventListener("abort", cancel, { once: true });
  }

  return {
    start() {
      repeat(tidy);
      repeat(purge);
    },
    stop: () => stopped.abort(new Error("the service is stopping")),
  };
}
