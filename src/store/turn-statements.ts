import { and, asc, desc, gt, lte, sql } from "drizzle-orm";
import type { JournalEntry } from "../tool.ts";
import type { TurnState } from "../turn.ts";
import { messages, turnJournal, turns, watches, watchSignals } from "./schema.ts";
import { type Db, is, param, type Read, setTo, upTo, type Write } from "./statement.ts";

/**
 * Crashes after which a turn is one of those that may be their cause. Of these one runs at a time, so that the others
 * do not pay for it; see `turns_suspect` in the schema.
 */
export const SUSPECT_AFTER = 2;

export type TurnRow = typeof turns.$inferSelect;

/** Makes a turn that waits; `head` follows from those of its key that have not ended. */
export type TurnInsert = Write<{
  [Column in Exclude<
    keyof TurnRow,
    "seq" | "state" | "head" | "attempt" | "crashes" | "lookAt"
  >]?: TurnRow[Column];
}>;

export type TurnStatements = ReturnType<typeof prepareTurns>;

/** The statements of the turn queue; `turns.ts` says when each is run. */
export function prepareTurns(db: Db) {
  const insert: TurnInsert = db
    .insert(turns)
    .values({
      id: param("id"),
      key: param("key"),
      channel: param("channel"),
      address: param("address"),
      agent: param("agent"),
      conversationId: param("conversationId"),
      state: "queued",
      attempt: 1,
      crashes: 0,
      texts: param("texts"),
      held: param("held"),
      head: sql`not exists (select 1 from ${turns} where ${turns.key} = +${param("key")}
        and ${turns.channel} = +${param("channel")} and ${turns.endedAt} is null
        and ${turns.state} <> 'parked')`,
      createdAt: param("createdAt"),
      notBefore: param("notBefore"),
      dueAt: param("dueAt"),
      lookAt: param("dueAt"),
      task: param("task"),
    })
    .prepare();
  const active: Read<{ key: string }, TurnRow> = db
    .select()
    .from(turns)
    .where(and(is(turns.key, "key"), sql`${turns.endedAt} is null`))
    .orderBy(asc(turns.seq))
    .prepare();
  /** A turn that has run before keeps its texts: whoever knows its id has answered for them. */
  const joinable: Read<
    { key: string; channel: string; address: string; agent: string },
    Pick<TurnRow, "seq" | "id" | "conversationId" | "texts" | "held" | "createdAt" | "notBefore" | "lookAt">
  > = db
    .select({
      seq: turns.seq,
      id: turns.id,
      conversationId: turns.conversationId,
      texts: turns.texts,
      held: turns.held,
      createdAt: turns.createdAt,
      notBefore: turns.notBefore,
      lookAt: turns.lookAt,
    })
    .from(turns)
    .where(
      and(
        is(turns.key, "key"),
        is(turns.channel, "channel"),
        sql`${turns.endedAt} is null and +${turns.state} = 'queued' and ${turns.attempt} = 1
          and ${turns.task} is null`,
        sql`+${turns.address} = +${param("address")} and ${turns.agent} = +${param("agent")}`,
      ),
    )
    .orderBy(desc(turns.seq))
    .prepare();
  const waiting: Read<{ key: string }, Pick<TurnRow, "state" | "held" | "createdAt">> = db
    .select({ state: turns.state, held: turns.held, createdAt: turns.createdAt })
    .from(turns)
    .where(and(is(turns.key, "key"), sql`${turns.endedAt} is null`))
    .prepare();
  /** Of turns whose `lookAt` is when they are due; see `settleDue`. */
  const recent: Read<{ channel: string; address: string; since: number; limit: number }, { dueAt: number }> =
    db
      .select({ dueAt: turns.lookAt })
      .from(turns)
      .where(
        and(is(turns.channel, "channel"), is(turns.address, "address"), gt(turns.lookAt, param("since"))),
      )
      .orderBy(upTo("limit", desc(turns.lookAt)))
      .prepare();
  /** No text joins the turns of a key any more that wait. */
  const settleDue: Write<{ key: string; channel: string }> = db
    .update(turns)
    .set({ lookAt: sql`${turns.dueAt}` })
    .where(
      and(
        is(turns.key, "key"),
        is(turns.channel, "channel"),
        sql`${turns.endedAt} is null and ${turns.lookAt} < ${turns.dueAt}`,
      ),
    )
    .prepare();
  const hasten: Write<{ seq: number; lookAt: number }> = db
    .update(turns)
    .set({ lookAt: setTo("lookAt") })
    .where(is(turns.seq, "seq"))
    .prepare();
  const join: Write<{ seq: number; dueAt: number; held: number }> = db
    .update(turns)
    .set({
      dueAt: setTo("dueAt"),
      texts: sql`${turns.texts} + 1`,
      held: sql`max(${turns.held}, ${setTo("held")})`,
    })
    .where(is(turns.seq, "seq"))
    .prepare();
  const byId: Read<{ id: string }, TurnRow> = db.select().from(turns).where(is(turns.id, "id")).prepare();
  const lapsed: Read<{ now: number; limit: number }, TurnRow> = db
    .select()
    .from(turns)
    .where(and(sql`${turns.state} = 'running'`, lte(turns.leaseUntil, param("now"))))
    .orderBy(upTo("limit", asc(turns.leaseUntil)))
    .prepare();
  const firstLapse: Read<Record<string, never>, { leaseUntil: number | null }> = db
    .select({ leaseUntil: turns.leaseUntil })
    .from(turns)
    .where(sql`${turns.state} = 'running'`)
    .orderBy(asc(turns.leaseUntil))
    .prepare();
  const running: Read<Record<string, never>, TurnRow> = db
    .select()
    .from(turns)
    .where(sql`${turns.state} = 'running'`)
    .prepare();
  const start: Write<{ seq: number; leaseUntil: number }> = db
    .update(turns)
    .set({ state: "running", leaseUntil: setTo("leaseUntil"), lookAt: sql`${turns.dueAt}` })
    .where(is(turns.seq, "seq"))
    .prepare();
  const extend: Write<{ id: string; leaseUntil: number }> = db
    .update(turns)
    .set({ leaseUntil: setTo("leaseUntil") })
    .where(and(is(turns.id, "id"), sql`+${turns.state} = 'running'`))
    .prepare();
  const hold: Write<{ channel: string }> = db
    .update(turns)
    .set({ held: true })
    .where(
      sql`${turns.endedAt} is null and +${turns.state} = 'queued' and +${turns.channel} = ${param("channel")}`,
    )
    .prepare();
  const requeue: Write<{ seq: number; crashes: number }> = db
    .update(turns)
    .set({
      state: "queued",
      leaseUntil: null,
      attempt: sql`${turns.attempt} + 1`,
      crashes: sql`${turns.crashes} + ${setTo("crashes")}`,
    })
    .where(is(turns.seq, "seq"))
    .prepare();
  const end: Write<{
    seq: number;
    state: TurnState;
    at: number;
    error: string | null;
    inputTokens: number | null;
    outputTokens: number | null;
  }> = db
    .update(turns)
    .set({
      state: setTo("state"),
      head: false,
      leaseUntil: null,
      endedAt: setTo("at"),
      error: setTo("error"),
      inputTokens: setTo("inputTokens"),
      outputTokens: setTo("outputTokens"),
    })
    .where(is(turns.seq, "seq"))
    .prepare();
  /** The next of a key goes to the end of the line, so that who has texted much waits as long as others. */
  const promote: Write<{ key: string; channel: string; at: number }> = db
    .update(turns)
    .set({
      head: true,
      dueAt: sql`max(${turns.dueAt}, ${setTo("at")})`,
      lookAt: sql`max(${turns.dueAt}, ${setTo("at")})`,
    })
    .where(
      sql`${turns.head} = 0 and ${turns.seq} = (select min(${turns.seq}) from ${turns} where ${turns.key} = +${param("key")}
        and ${turns.channel} = +${param("channel")} and ${turns.endedAt} is null
        and ${turns.state} <> 'parked')`,
    )
    .prepare();
  const park: Write<{ seq: number }> = db
    .update(turns)
    .set({ state: "parked", head: false, leaseUntil: null })
    .where(is(turns.seq, "seq"))
    .prepare();
  /** With an attempt beyond the first, so that no text joins it. */
  const resume: Write<{ seq: number; key: string; channel: string; at: number }> = db
    .update(turns)
    .set({
      state: "queued",
      attempt: 2,
      crashes: 0,
      dueAt: setTo("at"),
      lookAt: setTo("at"),
      head: sql`not exists (select 1 from ${turns} as other where other.key = +${param("key")}
        and other.channel = +${param("channel")} and other.ended_at is null and other.state <> 'parked')`,
    })
    .where(is(turns.seq, "seq"))
    .prepare();
  const endWatches: Write<{ turn: string; at: number }> = db
    .update(watches)
    .set({ state: "cancelled", endedAt: setTo("at") })
    .where(and(is(watches.turnId, "turn"), sql`+${watches.state} = 'pending'`))
    .prepare();
  // What the turn got from a text that was erased meanwhile goes with it.
  const forgetPurged: Write<{ turn: number; id: string }> = db
    .delete(turnJournal)
    .where(
      and(
        is(turnJournal.turn, "turn"),
        sql`exists (select 1 from ${watches} join ${watchSignals} on ${watchSignals.watch} = ${watches.seq}
          join ${messages} on ${messages.seq} = ${watchSignals.message}
          where ${watches.turnId} = ${param("id")} and ${messages.text} is null)`,
      ),
    )
    .prepare();
  const journal: Read<{ turn: number }, { entry: JournalEntry }> = db
    .select({ entry: turnJournal.entry })
    .from(turnJournal)
    .where(is(turnJournal.turn, "turn"))
    .orderBy(asc(turnJournal.seq))
    .prepare();
  const write: Write<{ turn: number; entry: JournalEntry }> = db
    .insert(turnJournal)
    .values({ turn: param("turn"), entry: param("entry") })
    .prepare();

  return {
    park,
    resume,
    endWatches,
    forgetPurged,
    journal,
    write,
    insert,
    active,
    joinable,
    waiting,
    recent,
    settleDue,
    hasten,
    join,
    byId,
    lapsed,
    firstLapse,
    running,
    start,
    extend,
    hold,
    requeue,
    end,
    promote,
  };
}
