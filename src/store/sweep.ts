import { and, lte, sql } from "drizzle-orm";
import { ATTEMPT_WINDOW } from "../pairing.ts";
import type { Events } from "./events.ts";
import type { Outbox } from "./outbox.ts";
import {
  confirmations,
  doubts,
  earlyCallbacks,
  heldReplies,
  idempotencyKeys,
  pairingAttempts,
  pairingLocks,
  turnJournal,
  turns,
  watches,
  watchKeys,
  watchSignals,
} from "./schema.ts";
import { type Db, param, type Write } from "./statement.ts";
import type { WebhookLosses } from "./webhook-losses.ts";

/** Rows of each kind that one step removes: a few milliseconds. */
const STEP = 200;

/** Free pages that one step gives back to the disk. */
const PAGES = 64;

const DAY = 24 * 3_600_000;

/** Nobody looks for it any more, and it could only be taken for a later one. */
const DOUBTS_KEPT = DAY;
/** A repeated request is recognised for a day. */
const KEY_KEPT = DAY;
/** The carrier's own answer comes within seconds; a callback without one is for nothing of ours. */
const EARLY_KEPT = DAY;
/** Far longer than a code is good for, and than its wrong guesses count. */
const CONFIRMATIONS_KEPT = DAY;

/** Waits that caught nothing are of no interest for long; a busy waiter makes one every half minute. */
const EMPTY_WATCHES_KEPT = 3_600_000;
/** What a watch caught can be looked up for a week after its end; the texts have their own retention. */
const WATCHES_KEPT = 7 * DAY;

/** One step of removing what has expired; answers whether there may be more. Runs inside a write. */
export function createSweep(
  db: Db,
  outbox: Outbox,
  events: Events,
  losses: WebhookLosses,
): (now: number) => boolean {
  const before = param("before");
  // A key leads to its watch as long as it lives, and a turn needs its own until it has ended.
  const unneeded = sql`not exists (select 1 from ${watchKeys} where ${watchKeys.watch} = ${watches.seq})
    and not exists (select 1 from ${turns} where ${turns.id} = ${watches.turnId} and ${turns.endedAt} is null)`;
  const empty = sql`not exists (select 1 from ${watchSignals} where ${watchSignals.watch} = ${watches.seq})`;
  // By what the watch caught, the erasing of codes finds the journals that tell them.
  const untold = sql`not exists (select 1 from ${turns} join ${turnJournal} on ${turnJournal.turn} = ${turns.seq}
    where ${turns.id} = ${watches.turnId})`;
  const removals: readonly { readonly remove: Write<{ before: number }>; readonly kept: number }[] = [
    {
      remove: db.delete(idempotencyKeys).where(lte(idempotencyKeys.createdAt, before)).limit(STEP).prepare(),
      kept: KEY_KEPT,
    },
    {
      remove: db.delete(earlyCallbacks).where(lte(earlyCallbacks.at, before)).limit(STEP).prepare(),
      kept: EARLY_KEPT,
    },
    {
      remove: db
        .delete(doubts)
        .where(and(lte(doubts.startedAt, before), sql`${doubts.state} in ('undecided', 'again')`))
        .limit(STEP)
        .prepare(),
      kept: DOUBTS_KEPT,
    },
    {
      remove: db.delete(confirmations).where(lte(confirmations.createdAt, before)).limit(STEP).prepare(),
      kept: CONFIRMATIONS_KEPT,
    },
    {
      remove: db.delete(pairingAttempts).where(lte(pairingAttempts.at, before)).limit(STEP).prepare(),
      kept: ATTEMPT_WINDOW,
    },
    {
      remove: db.delete(pairingLocks).where(lte(pairingLocks.until, before)).limit(STEP).prepare(),
      kept: 0,
    },
    {
      remove: db.delete(watchKeys).where(lte(watchKeys.until, before)).limit(STEP).prepare(),
      kept: 0,
    },
    {
      remove: db
        .delete(watches)
        .where(and(lte(watches.endedAt, before), empty, unneeded))
        .limit(STEP)
        .prepare(),
      kept: EMPTY_WATCHES_KEPT,
    },
    {
      remove: db
        .delete(watches)
        .where(and(lte(watches.endedAt, before), untold, unneeded))
        .limit(STEP)
        .prepare(),
      kept: WATCHES_KEPT,
    },
    {
      remove: db.delete(heldReplies).where(lte(heldReplies.expiresAt, before)).limit(STEP).prepare(),
      kept: 0,
    },
  ];

  return (now) => {
    let more = outbox.giveUp(now, STEP) === STEP;
    if (events.sweep(now, STEP, losses.removing)) more = true;
    for (const { remove, kept } of removals) {
      if (remove.run({ before: now - kept }).changes === STEP) more = true;
    }
    const free = Number(db.$client.pragma("freelist_count", { simple: true }));
    if (free > 0) db.$client.pragma(`incremental_vacuum(${PAGES})`);
    return more || free > PAGES;
  };
}
