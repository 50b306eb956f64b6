import { and, asc, gt, lte, sql } from "drizzle-orm";
import {
  type AskOutcome,
  CONFIRMATION_WINDOW,
  MAX_PENDING,
  MAX_WRONG_CODES,
  type NewConfirmation,
  type PendingConfirmation,
  unconfirmed,
} from "../confirmation.ts";
import type { NewOutbound } from "../message.ts";
import type { Outbox } from "./outbox.ts";
import { confirmations, turns as turnsTable } from "./schema.ts";
import type { Senders } from "./senders.ts";
import { type Db, is, param, type Read, setTo, type Write } from "./statement.ts";
import type { Turns } from "./turns.ts";

type Row = typeof confirmations.$inferSelect;
type Sender = { channel: string; address: string };

/** Calls that wait for a texted code. All methods but `pendingOf` and `nextExpiry` run inside a write. */
export interface Confirmations {
  /** Those of turns that have not ended, oldest first. */
  pendingOf(channel: string, address: string, now: number): readonly PendingConfirmation[];
  ask(confirmation: NewConfirmation, outbound: NewOutbound): AskOutcome;
  /** False when it is no longer pending or its turn has ended. */
  confirm(turnId: string, callId: string, at: number): boolean;
  /** Counts a wrong code against all that are pending; true when a turn goes on because its call was given up. */
  wrong(channel: string, address: string, at: number): boolean;
  /** Answers how many turns go on. */
  expire(now: number): number;
  nextExpiry(): number | undefined;
}

export interface ConfirmationParts {
  readonly turns: Turns;
  readonly outbox: Outbox;
  readonly senders: Senders;
}

export function createConfirmations(db: Db, parts: ConfirmationParts): Confirmations {
  const { turns, outbox, senders } = parts;
  const pending = sql`${confirmations.state} = 'pending'`;
  const ofSender = and(is(confirmations.channel, "channel"), is(confirmations.address, "address"));

  const insert: Write<Omit<Row, "seq" | "state" | "tries">> = db
    .insert(confirmations)
    .values({
      turnId: param("turnId"),
      callId: param("callId"),
      channel: param("channel"),
      address: param("address"),
      code: param("code"),
      state: "pending",
      tries: 0,
      createdAt: param("createdAt"),
      expiresAt: param("expiresAt"),
    })
    .prepare();
  const ofCall: Read<{ turnId: string; callId: string }, Row> = db
    .select()
    .from(confirmations)
    .where(and(is(confirmations.turnId, "turnId"), is(confirmations.callId, "callId")))
    .prepare();
  const waiting: Read<Sender & { now: number }, { row: Row }> = db
    .select({ row: confirmations })
    .from(confirmations)
    .innerJoin(turnsTable, sql`${turnsTable.id} = ${confirmations.turnId} and ${turnsTable.endedAt} is null`)
    .where(and(ofSender, pending, gt(confirmations.expiresAt, param("now"))))
    .orderBy(asc(confirmations.createdAt), asc(confirmations.seq))
    .prepare();
  const wrongTries: Read<Sender & { since: number }, { tries: number | null }> = db
    .select({ tries: sql<number | null>`sum(${confirmations.tries})` })
    .from(confirmations)
    .where(and(ofSender, gt(confirmations.createdAt, param("since"))))
    .prepare();
  const overdue: Read<{ now: number }, Row> = db
    .select()
    .from(confirmations)
    .where(and(pending, lte(confirmations.expiresAt, param("now"))))
    .prepare();
  const firstExpiry: Read<Record<string, never>, { expiresAt: number }> = db
    .select({ expiresAt: confirmations.expiresAt })
    .from(confirmations)
    .where(and(pending, gt(confirmations.expiresAt, sql`0`)))
    .orderBy(asc(confirmations.expiresAt))
    .prepare();
  const change: Write<{ seq: number; state: Row["state"]; tries: number }> = db
    .update(confirmations)
    .set({ state: setTo("state"), tries: setTo("tries") })
    .where(is(confirmations.seq, "seq"))
    .prepare();
  const turnOf: Read<{ id: string }, { endedAt: number | null }> = db
    .select({ endedAt: turnsTable.endedAt })
    .from(turnsTable)
    .where(is(turnsTable.id, "id"))
    .prepare();

  function pendingRows(sender: Sender, now: number): readonly Row[] {
    return waiting.all({ ...sender, now }).map(({ row }) => row);
  }

  return {
    pendingOf: (channel, address, now) =>
      pendingRows({ channel, address }, now).map(({ turnId, callId, code, expiresAt }) => ({
        turnId,
        callId,
        code,
        expiresAt,
      })),
    ask(confirmation, outbound) {
      const { turnId, callId, channel, address, createdAt } = confirmation;
      const known = ofCall.get({ turnId, callId });
      if (known !== undefined) return { kind: "known", state: known.state };
      if (turnOf.get({ id: turnId })?.endedAt !== null) return { kind: "refused", why: "turn_ended" };
      if (senders.optedOut(channel, address)) return { kind: "refused", why: "opted_out" };
      const tries = wrongTries.get({ channel, address, since: createdAt - CONFIRMATION_WINDOW })?.tries ?? 0;
      if (tries >= MAX_WRONG_CODES) return { kind: "refused", why: "guessing" };
      const others = pendingRows({ channel, address }, createdAt);
      if (others.length >= MAX_PENDING) return { kind: "refused", why: "too_many" };
      if (others.some(({ code }) => code === confirmation.code)) return { kind: "taken" };
      senders.remarked(channel, address);
      insert.run({ ...confirmation });
      outbox.put(outbound);
      return { kind: "asked" };
    },
    confirm(turnId, callId, at) {
      const row = ofCall.get({ turnId, callId });
      if (row?.state !== "pending" || row.expiresAt <= at) return false;
      if (!turns.resume(turnId, [{ kind: "call_confirmed", callId }], at)) return false;
      change.run({ seq: row.seq, state: "confirmed", tries: row.tries });
      return true;
    },
    wrong(channel, address, at) {
      let resumed = false;
      for (const { seq, turnId, callId, tries } of pendingRows({ channel, address }, at)) {
        const over = tries + 1 >= MAX_WRONG_CODES;
        change.run({ seq, state: over ? "given_up" : "pending", tries: tries + 1 });
        if (over && turns.resume(turnId, [unconfirmed(callId, "guessing")], at)) resumed = true;
      }
      return resumed;
    },
    expire(now) {
      const rows = overdue.all({ now });
      for (const { seq, tries } of rows) change.run({ seq, state: "given_up", tries });
      return rows.filter(({ turnId, callId }) => turns.resume(turnId, [unconfirmed(callId, "expired")], now))
        .length;
    },
    nextExpiry: () => firstExpiry.get({})?.expiresAt,
  };
}
