import { UNKNOWN_HOLD } from "./delivery.ts";

/** The first listing counts from this long after the attempt, ms; the carrier's list lags behind. */
export const FIRST_LOOK = 30_000;
/** The second one counts from this long after the attempt, ms. */
export const SECOND_LOOK = 120_000;
/** Two listings within less than this are one, ms: both may be the same old copy. */
export const LOOKS_APART = 30_000;
/** A listing that failed, or that told nothing, is tried again after this, ms. */
const LOOK_AGAIN = 10_000;
/** However long the service was down, there is time for two listings from its start on, ms. */
const LEAST_TIME = 90_000;
/** What was sent again is looked for once more this much later, ms: it may turn up twice after all. */
export const AUDIT_AFTER = 600_000;
/** That look is not tried for longer than this, ms. */
export const AUDIT_WITHIN = 3_600_000;

/**
 * What is known of an attempt whose answer was lost, as far as time goes. Times are epoch ms of our clock.
 * A callback ends the doubt at any time.
 */
export interface Doubt {
  readonly startedAt: number;
  /** A listing had nothing of it: when that listing was begun. */
  readonly missedAt?: number;
  /** From then on nobody looks any more, and the recipient's next message goes. */
  readonly until: number;
}

/** The doubt about an attempt begun at `startedAt`, found out at `now`: at once, or after we were down for long. */
export function openDoubt(startedAt: number, now: number): Doubt {
  const begun = Math.min(startedAt, now);
  return { startedAt: begun, until: Math.max(begun + UNKNOWN_HOLD, now + LEAST_TIME) };
}

/**
 * The same doubt after a restart: the time we were down does not count. Where our clock was set back meanwhile, it
 * begins anew.
 */
export function resumeDoubt(doubt: Doubt, now: number): Doubt {
  if (doubt.startedAt > now || (doubt.missedAt ?? 0) > now) return openDoubt(now, now);
  return { ...doubt, until: Math.max(doubt.until, now + LEAST_TIME) };
}

/** When the carrier's list is to be read next. */
export function nextLook({ startedAt, missedAt }: Doubt, now: number): number {
  if (missedAt === undefined) return Math.max(now, startedAt + FIRST_LOOK);
  return Math.max(now, startedAt + SECOND_LOOK, missedAt + LOOKS_APART);
}

/** What a listing says of one message: it is there, it is not, or something is there that might be it. */
export type Sighting = "found" | "missed" | "unclear";

export type AfterLook =
  | { readonly kind: "found" }
  /** Provably not accepted: may be sent again. */
  | { readonly kind: "absent" }
  | { readonly kind: "look"; readonly dueAt: number; readonly missedAt?: number };

/**
 * What follows from a listing that was begun at `lookedAt` and is over at `now`; `sighting` undefined when it
 * failed. Absent is only what two listings have missed, the second one late enough, and in time.
 */
export function afterLook(
  doubt: Doubt,
  lookedAt: number,
  now: number,
  sighting: Sighting | undefined,
): AfterLook {
  const { startedAt, missedAt, until } = doubt;
  const kept = missedAt === undefined ? {} : { missedAt };
  switch (sighting) {
    case "found":
      return { kind: "found" };
    case undefined:
    case "unclear":
      return { kind: "look", dueAt: now + LOOK_AGAIN, ...kept };
    case "missed":
      if (lookedAt < startedAt + FIRST_LOOK) return { kind: "look", dueAt: nextLook(doubt, now), ...kept };
      if (missedAt === undefined)
        return { kind: "look", dueAt: nextLook({ ...doubt, missedAt: lookedAt }, now), missedAt: lookedAt };
      if (lookedAt < nextLook(doubt, 0) || now >= until)
        return { kind: "look", dueAt: nextLook(doubt, now), ...kept };
      return { kind: "absent" };
  }
}
