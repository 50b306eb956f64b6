import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { Signal } from "./signal.ts";
import type { SignalStore } from "./signal-store.ts";
import type { NewWatch, Signals } from "./signals.ts";
import { MAX_BACKFILL, type Watch } from "./watch.ts";

/** Watches whose waiter leaves, and what becomes of a signal that is claimed in that very moment. */
export interface Departed {
  /** Makes a watch; it inherits what has been left behind before it looks any further. */
  create(wanted: NewWatch): Promise<Watch>;
  /** The waiter is gone: its watch is cancelled, and what it has just got is for the next who waits. */
  leave(watchId: string): Promise<void>;
}

export function createDeparted(seams: {
  readonly signals: Signals;
  readonly store: SignalStore;
  readonly clock: Clock;
  readonly log: Log;
}): Departed {
  const { signals, store, clock, log } = seams;
  /** Claimed by watches whose waiters had left. Kept in memory, as long as a backfill may ask for them. */
  let left: Signal[] = [];

  /** Gives what was left behind to the oldest watches that want it. */
  async function passOn(): Promise<void> {
    const since = clock.now() - MAX_BACKFILL;
    const signalsLeft = left.filter((signal) => signal.receivedAt >= since);
    left = [];
    for (const signal of signalsLeft) {
      try {
        if (!(await inherited(signal))) left.push(signal);
      } catch (error) {
        left.push(signal);
        log.error("watch.pass_on", { message: signal.messageId, error: String(error) });
      }
    }
  }

  async function inherited(signal: Signal): Promise<boolean> {
    const { offers, mark } = signals.offers(signal);
    const heir = offers.find((offer) => offer.claims);
    if (heir === undefined) return false;
    const outcome = await store.offerSignal({
      kind: "offer_signal",
      messageId: signal.messageId,
      // To the store it stays claimed by the watch that left, so the heir gets it as one that only looks.
      offers: [{ ...heir, claims: false, claimsFromAgent: false }],
      at: clock.now(),
    });
    signals.admitted(signal, mark, outcome, undefined);
    if (outcome.delivered.length === 0) return false;
    log.info("watch.passed_on", { message: signal.messageId, watch: heir.watchId });
    return true;
  }

  return {
    async create(wanted) {
      const watch = await signals.create(wanted);
      if (watch.state !== "pending" || left.length === 0) return watch;
      await passOn();
      return (await store.watch(watch.id)) ?? watch;
    },
    async leave(watchId) {
      if (await signals.cancel(watchId)) return;
      const watch = await store.watch(watchId);
      if (watch?.state !== "matched" || watch.consume === "peek") return;
      left.push(...watch.signals);
      await passOn();
    },
  };
}
