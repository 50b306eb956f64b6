import { and, desc, sql } from "drizzle-orm";
import { attempts } from "./schema.ts";
import { type Db, is, param, type Read, type Write } from "./statement.ts";

export type AttemptRow = typeof attempts.$inferSelect;

/** The tries of sending a message, each written down before the carrier is called. */
export interface Attempts {
  /** `day`: the local day whose usage it counts in. */
  start(message: number, attempt: number, at: number, day: string): void;
  /** The day a try is counted in, as long as it may have been sent. */
  countedOn(message: number, attempt: number): CountedAttempt | undefined;
  /** Also for an attempt that is not written down, as after a restored backup. A sid that is known stays. */
  settle(message: number, attempt: number, outcome: AttemptOutcome, at: number): void;
  get(message: number, attempt: number): AttemptRow | undefined;
  /** What was sent under this sid. */
  ofSid(sid: string): Pick<AttemptRow, "message" | "attempt"> | undefined;
  /** Whether another try of the message has a sid. */
  hasOtherSid(message: number, attempt: number): boolean;
  /** The number of the last try; 0 before the first. */
  last(message: number): number;
}

interface AttemptOutcome {
  readonly outcome: NonNullable<AttemptRow["outcome"]>;
  readonly sid?: string;
  readonly detail?: string;
}

/** `open`: nothing is known of its fate yet. */
export interface CountedAttempt {
  readonly day: string;
  readonly open: boolean;
}

export function createAttempts(db: Db): Attempts {
  const start: Write<{ message: number; attempt: number; startedAt: number; day: string }> = db
    .insert(attempts)
    .values({
      message: param("message"),
      attempt: param("attempt"),
      startedAt: param("startedAt"),
      day: param("day"),
    })
    .prepare();
  const byNumber: Read<{ message: number; attempt: number }, AttemptRow> = db
    .select()
    .from(attempts)
    .where(and(is(attempts.message, "message"), is(attempts.attempt, "attempt")))
    .prepare();
  const settle: Write<{ [Column in Exclude<keyof AttemptRow, "day">]: AttemptRow[Column] }> = db
    .insert(attempts)
    .values({
      message: param("message"),
      attempt: param("attempt"),
      startedAt: param("startedAt"),
      sid: param("sid"),
      outcome: param("outcome"),
      detail: param("detail"),
    })
    .onConflictDoUpdate({
      target: [attempts.message, attempts.attempt],
      set: {
        sid: sql`coalesce(${attempts.sid}, excluded.sid)`,
        // A callback has proved it accepted; a late time-out of the call does not undo that.
        outcome: sql`case ${attempts.outcome} when 'accepted' then ${attempts.outcome} else excluded.outcome end`,
        detail: sql`coalesce(excluded.detail, ${attempts.detail})`,
      },
    })
    .prepare();
  const ofSid: Read<{ sid: string }, Pick<AttemptRow, "message" | "attempt">> = db
    .select({ message: attempts.message, attempt: attempts.attempt })
    .from(attempts)
    .where(is(attempts.sid, "sid"))
    .prepare();
  const otherSids: Read<{ message: number; attempt: number }, { attempt: number }> = db
    .select({ attempt: attempts.attempt })
    .from(attempts)
    .where(
      and(
        is(attempts.message, "message"),
        sql`${attempts.sid} is not null and ${attempts.attempt} <> ${param("attempt")}`,
      ),
    )
    .prepare();
  const last: Read<{ message: number }, { attempt: number }> = db
    .select({ attempt: attempts.attempt })
    .from(attempts)
    .where(is(attempts.message, "message"))
    .orderBy(desc(attempts.attempt))
    .prepare();

  return {
    start: (message, attempt, startedAt, day) => void start.run({ message, attempt, startedAt, day }),
    countedOn(message, attempt) {
      const row = byNumber.get({ message, attempt });
      if (row === undefined || row.day === null) return undefined;
      return { day: row.day, open: row.outcome === null || row.outcome === "ambiguous" };
    },
    settle(message, attempt, { outcome, sid, detail }, at) {
      settle.run({ message, attempt, startedAt: at, sid: sid ?? null, outcome, detail: detail ?? null });
    },
    get: (message, attempt) => byNumber.get({ message, attempt }),
    ofSid: (sid) => ofSid.get({ sid }),
    hasOtherSid: (message, attempt) => otherSids.get({ message, attempt }) !== undefined,
    last: (message) => last.get({ message })?.attempt ?? 0,
  };
}
