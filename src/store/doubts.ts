import { and, asc, lte, sql } from "drizzle-orm";
import { AUDIT_AFTER, AUDIT_WITHIN, type Doubt, nextLook, openDoubt, resumeDoubt } from "../doubt.ts";
import type { Claim } from "../store.ts";
import { earliest } from "./outbox.ts";
import { doubts } from "./schema.ts";
import { type Db, is, param, type Read, setTo, upTo, type Write } from "./statement.ts";

export type DoubtRow = typeof doubts.$inferSelect;

/** The rows of doubtful attempts. All methods run inside a write, but `nextDue` and `looking`. */
export interface Doubts {
  /** Answers until when it is looked for. */
  open(attempt: OpenedDoubt, now: number): number;
  get(message: number, attempt: number): DoubtRow | undefined;
  /** The attempt of a message that is still looked for. */
  looking(message: number): DoubtRow | undefined;
  /** Every doubtful attempt to a recipient. */
  to(recipient: string): readonly DoubtRow[];
  claim(claim: Claim): readonly DoubtRow[];
  nextDue(channels: readonly string[]): number | undefined;
  /** The next look of an attempt. */
  defer(row: DoubtRow, dueAt: number, missedAt: number | undefined): void;
  /** The time of what is still looked for is over; the operator is to be told. */
  giveUp(message: number): void;
  /** What the operator is to be told of; told only once. */
  takeUntold(limit: number): readonly DoubtRow[];
  /** The message is sent again, or has been found by another attempt: these may yet turn up. */
  again(message: number, now: number): void;
  /** What became of the attempt is known. */
  end(message: number, attempt: number): void;
  /** Goes on with what a dead process was looking for; answers until when each message is looked for. */
  resume(now: number): readonly { readonly message: number; readonly until: number }[];
}

interface OpenedDoubt extends Pick<DoubtRow, "message" | "attempt" | "channel" | "recipient"> {
  readonly startedAt: number;
}

export function createDoubts(db: Db): Doubts {
  const ofAttempt = and(is(doubts.message, "message"), is(doubts.attempt, "attempt"));
  const insert: Write<DoubtRow> = db
    .insert(doubts)
    .values({
      message: param("message"),
      attempt: param("attempt"),
      channel: param("channel"),
      recipient: param("recipient"),
      state: param("state"),
      startedAt: param("startedAt"),
      missedAt: param("missedAt"),
      dueAt: param("dueAt"),
      until: param("until"),
    })
    .onConflictDoNothing()
    .prepare();
  const one: Read<{ message: number; attempt: number }, DoubtRow> = db
    .select()
    .from(doubts)
    .where(ofAttempt)
    .prepare();
  const ofMessage: Read<{ message: number }, DoubtRow> = db
    .select()
    .from(doubts)
    .where(is(doubts.message, "message"))
    .prepare();
  const ofRecipient: Read<{ recipient: string }, DoubtRow> = db
    .select()
    .from(doubts)
    .where(is(doubts.recipient, "recipient"))
    .prepare();
  const due: Read<{ channel: string; now: number; limit: number }, DoubtRow> = db
    .select()
    .from(doubts)
    .where(
      and(sql`${doubts.dueAt} is not null`, is(doubts.channel, "channel"), lte(doubts.dueAt, param("now"))),
    )
    .orderBy(upTo("limit", asc(doubts.dueAt)))
    .prepare();
  const firstDue: Read<{ channel: string }, { dueAt: number | null }> = db
    .select({ dueAt: doubts.dueAt })
    .from(doubts)
    .where(and(sql`${doubts.dueAt} is not null`, is(doubts.channel, "channel")))
    .orderBy(asc(doubts.dueAt))
    .prepare();
  const untold: Read<{ limit: number }, DoubtRow> = db
    .select()
    .from(doubts)
    .where(sql`${doubts.state} = 'untold'`)
    .orderBy(upTo("limit", asc(doubts.message)))
    .prepare();
  const unfinished: Read<Record<string, never>, DoubtRow> = db
    .select()
    .from(doubts)
    .where(sql`${doubts.dueAt} is not null`)
    .prepare();
  const change: Write<DoubtRow> = db
    .update(doubts)
    .set({
      state: setTo("state"),
      startedAt: setTo("startedAt"),
      missedAt: setTo("missedAt"),
      dueAt: setTo("dueAt"),
      until: setTo("until"),
    })
    .where(ofAttempt)
    .prepare();
  const remove: Write<{ message: number; attempt: number }> = db.delete(doubts).where(ofAttempt).prepare();

  return {
    open({ startedAt, ...attempt }, now) {
      const doubt = openDoubt(startedAt, now);
      insert.run({
        ...attempt,
        state: "looking",
        startedAt: doubt.startedAt,
        missedAt: null,
        dueAt: nextLook(doubt, now),
        until: doubt.until,
      });
      return doubt.until;
    },
    get: (message, attempt) => one.get({ message, attempt }),
    looking: (message) => ofMessage.all({ message }).find(({ state }) => state === "looking"),
    to: (recipient) => ofRecipient.all({ recipient }),
    claim({ channels, now, lease, limit }) {
      const rows = channels
        .flatMap((channel) => due.all({ channel, now, limit }))
        .sort((a, b) => (a.dueAt ?? 0) - (b.dueAt ?? 0) || a.message - b.message)
        .slice(0, limit);
      // A look that dies with its process is due again when its lease is over, or at the next start.
      for (const row of rows) change.run({ ...row, dueAt: now + lease });
      return rows;
    },
    nextDue(channels) {
      const first = channels.map((channel) => firstDue.get({ channel })?.dueAt ?? undefined);
      return earliest([...first, untold.all({ limit: 1 }).length > 0 ? 0 : undefined]);
    },
    defer(row, dueAt, missedAt) {
      change.run({ ...row, dueAt, missedAt: missedAt ?? null });
    },
    giveUp(message) {
      for (const row of ofMessage.all({ message }))
        if (row.state === "looking") change.run({ ...row, state: "untold", dueAt: null });
    },
    takeUntold(limit) {
      const rows = untold.all({ limit });
      for (const row of rows) change.run({ ...row, state: "undecided" });
      return rows;
    },
    again(message, now) {
      for (const row of ofMessage.all({ message }))
        if (row.state !== "again")
          change.run({
            ...row,
            state: "again",
            dueAt: now + AUDIT_AFTER,
            until: now + AUDIT_AFTER + AUDIT_WITHIN,
          });
    },
    end: (message, attempt) => void remove.run({ message, attempt }),
    resume(now) {
      return unfinished.all({}).flatMap((row) => {
        if (row.state !== "looking") return [];
        const doubt = resumeDoubt(doubtOf(row), now);
        const { startedAt, missedAt = null, until } = doubt;
        change.run({ ...row, startedAt, missedAt, until, dueAt: nextLook(doubt, now) });
        return [{ message: row.message, until: doubt.until }];
      });
    },
  };
}

export function doubtOf({ startedAt, missedAt, until }: DoubtRow): Doubt {
  return { startedAt, until, ...(missedAt === null ? {} : { missedAt }) };
}
