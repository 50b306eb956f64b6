import { and, eq, gt, isNull, lte, sql } from "drizzle-orm";
import type { Explained } from "../errors.ts";
import type { NewId } from "../ids.ts";
import { nextOf } from "../reminders.ts";
import { createEvents, type Events } from "./events.ts";
import { createMessages, type Messages } from "./messages.ts";
import {
  confirmations,
  doubts,
  events as eventTable,
  fileMarks,
  messages as messageTable,
  optOuts,
  outbox,
  pairings,
  reminders,
  scheduleRuns,
  turns,
  watches,
  webhooks,
} from "./schema.ts";
import type { Db } from "./statement.ts";

/** What waits for the operator after a restore. */
export interface Waiting {
  /** Texts that were to be sent: `unknown` now. */
  readonly sends: number;
  /** Texts whose turn had not ended: `failed` now, with why. */
  readonly texts: number;
  /** Reminders and schedules that were due since the backup and were left out. */
  readonly missed: number;
}

export interface OptOut {
  readonly channel: string;
  readonly address: string;
  readonly at: number;
}

export interface AfterRestore {
  readonly now: number;
  readonly newId: NewId;
  /** Who had opted out by the database that was replaced. */
  readonly optOuts: readonly OptOut[];
}

/**
 * Makes a database from a backup safe to start with: nothing of it is sent, answered, reminded of or told again by
 * itself, since all of that may have happened after the backup was made. One transaction.
 */
export function settleRestored(db: Db, after: AfterRestore): Waiting {
  const events = createEvents(db);
  const messages = createMessages(db, events, { note() {} });
  return db.$client
    .transaction((): Waiting => {
      const texts = endTurns(db, messages, after.now);
      const due = passReminders(db, messages, after);
      const sends = surrenderSends(db, messages, after.now) + due.sends;
      const missed = due.missed + passSchedules(db, after.now);
      // A code of the backup may be spent since.
      db.delete(pairings).run();
      db.update(confirmations).set({ state: "given_up" }).where(eq(confirmations.state, "pending")).run();
      for (const optOut of after.optOuts) db.insert(optOuts).values(optOut).onConflictDoNothing().run();
      passEvents(db, after.now);
      const waiting = { sends, texts, missed };
      tellOperator(db, events, waiting, after.now);
      db.insert(fileMarks)
        .values({ name: "restore", at: after.now })
        .onConflictDoUpdate({ target: fileMarks.name, set: { at: after.now } })
        .run();
      return waiting;
    })
    .immediate();
}

/** Every turn that had not ended is shown, not run; what it waited for is waited for no more. */
function endTurns(db: Db, messages: Messages, at: number): number {
  const open = db.select({ id: turns.id }).from(turns).where(isNull(turns.endedAt)).all();
  let texts = 0;
  for (const { id } of open) {
    for (const { seq } of messages.waiting(id)) {
      messages.setState(seq, "failed", at, { error: NOT_ANSWERED });
      texts += 1;
    }
    db.update(watches)
      .set({ state: "cancelled", endedAt: at })
      .where(and(eq(watches.turnId, id), eq(watches.state, "pending")))
      .run();
  }
  db.update(turns)
    .set({ state: "shown", head: false, leaseUntil: null, endedAt: at, error: NOT_ANSWERED })
    .where(isNull(turns.endedAt))
    .run();
  return texts;
}

/** What is in the queue becomes `unknown` and leaves it, so that nothing looks for it or sends it by itself. */
function surrenderSends(db: Db, messages: Messages, at: number): number {
  const rows = db.select({ seq: outbox.message }).from(outbox).all();
  for (const { seq } of rows) messages.setState(seq, "unknown", at, { error: NOT_SENT });
  db.delete(outbox).run();
  db.delete(doubts).run();
  return rows.length;
}

/**
 * Reminders that were due since the backup: texts are kept as messages of unknown fate, prompts are left out, and
 * repeating ones go on with their next time.
 */
function passReminders(
  db: Db,
  messages: Messages,
  { now, newId }: AfterRestore,
): { readonly sends: number; readonly missed: number } {
  const due = db.select().from(reminders).where(lte(reminders.nextAt, now)).all();
  let sends = 0;
  for (const row of due) {
    const next = nextOf(row.cron ?? undefined, row.timezone, now);
    if (next === undefined) db.delete(reminders).where(eq(reminders.seq, row.seq)).run();
    else db.update(reminders).set({ nextAt: next }).where(eq(reminders.seq, row.seq)).run();
    if (row.kind !== "text") continue;
    const { channel, address: to, content: text } = row;
    const outbound = { id: newId("msg"), channel, to, text, mediaUrls: [], segments: 0, createdAt: now };
    messages.insertOutbound(outbound, senderOf(db, channel), "unknown", NOT_SENT);
    sends += 1;
  }
  return { sends, missed: due.length - sends };
}

/** What the channel last sent as; "" where it never has. */
function senderOf(db: Db, channel: string): string {
  const [last] = db
    .select({ from: messageTable.from })
    .from(messageTable)
    .where(sql`+${messageTable.channel} = ${channel} and ${messageTable.direction} = 'outbound'`)
    .orderBy(sql`${messageTable.seq} desc`)
    .limit(1)
    .all();
  return last?.from ?? "";
}

/** Forgets the times that have passed: the start takes the schedules as new, with their next time. */
function passSchedules(db: Db, now: number): number {
  return db
    .delete(scheduleRuns)
    .where(and(gt(scheduleRuns.nextAt, 0), lte(scheduleRuns.nextAt, now)))
    .run().changes;
}

/** Webhooks go on with what happens from now on. */
function passEvents(db: Db, now: number): void {
  db.update(webhooks)
    .set({
      position: sql`(select coalesce(max(${eventTable.seq}), 0) from ${eventTable})`,
      failures: 0,
      failingSince: null,
      paused: false,
      dueAt: now,
      leaseUntil: null,
    })
    .run();
}

function tellOperator(db: Db, events: Events, waiting: Waiting, at: number): void {
  const [mark] = db.select().from(fileMarks).where(eq(fileMarks.name, "backup")).all();
  const made = mark === undefined ? "" : ` of ${new Date(mark.at).toISOString()}`;
  events.append({
    type: "alert",
    cause: "restored",
    message: `The database was restored from a backup${made}. ${waiting.sends} texts of unknown fate and ${waiting.texts} unanswered texts wait for you; ${waiting.missed} reminders and schedules that were due since were left out.`,
    fix: "See them with sms-agent messages --state unknown and --state failed. Texts that came since the backup are fetched and wait as failed ones too.",
    at,
  });
}

const NOT_ANSWERED: Explained = {
  meaning:
    "The database was restored from a backup in which this was unfinished. It may have been answered since, so it is not done again by itself.",
  fix: "If it was not answered, have the agent answer it (sms-agent messages resend ID), or do it yourself (sms-agent send).",
};

const NOT_SENT: Explained = {
  meaning:
    "The database was restored from a backup in which this was still to be sent. It may have been sent since, so it is not sent again by itself.",
  fix: "If it was not sent, send it again: sms-agent messages resend ID.",
};
