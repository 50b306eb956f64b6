import type { Signal } from "./signal.ts";
import type { Offer } from "./signal-store.ts";
import { mayClaimFromAgent, type Watch } from "./watch.ts";
import { type Candidate, type Eligibility, newKnown } from "./watch-eligibility.ts";
import type { Indexed, WatchIndex } from "./watch-index.ts";

/** What becomes of one message. */
export interface Offered {
  readonly offers: readonly Offer[];
  /** Ids of the watches with `instructions` whose hard filters it passes. */
  readonly judged: readonly string[];
}

/** True for a watch that takes what it gets from other claiming ones. */
export function claims(watch: Watch): boolean {
  return watch.consume === "claim" && watch.mode === "once";
}

export function offerOf(watch: Watch, signal: Signal): Offer {
  return {
    watchId: watch.id,
    claims: claims(watch),
    claimsFromAgent: mayClaimFromAgent(watch, signal.annotation),
  };
}

/** The pending watches made after the one with the order `after` that a message is for, oldest first. */
export function offersOf(
  signal: Signal,
  pending: Pick<WatchIndex<Indexed & Candidate>, "candidates">,
  eligibility: Pick<Eligibility, "passes">,
  after = 0,
): Offered {
  const known = newKnown();
  const offers: Offer[] = [];
  const judged: string[] = [];
  for (const entry of pending.candidates(signal)) {
    if (entry.order <= after || !eligibility.passes(entry, signal, known)) continue;
    if (entry.watch.filters.instructions !== undefined) judged.push(entry.watch.id);
    else offers.push(offerOf(entry.watch, signal));
  }
  return { offers, judged };
}
