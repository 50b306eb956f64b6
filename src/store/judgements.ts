import { and, asc, lte, sql } from "drizzle-orm";
import { redactAddress } from "../address.ts";
import type { ClaimedJudgement, JudgementStore, SettleJudgement } from "../judgement.ts";
import type { OfferOutcome } from "../signal-store.ts";
import type { TokenUsage } from "../tool.ts";
import { watchJudge } from "../watch.ts";
import { isDenied, type MessageRow, type Messages } from "./messages.ts";
import { earliest } from "./outbox.ts";
import { judgements, messages as messageTable, watches as watchTable } from "./schema.ts";
import { type Db, is, param, type Read, setTo, upTo, type Write } from "./statement.ts";
import { signalOf, type WatchSignals } from "./watch-signals.ts";
import type { WatchRow } from "./watches.ts";

/** The queue of texts to be judged. All methods run inside a write, but `nextDue`. */
export interface Judgements {
  /** False when it is there already. */
  put(watch: number, message: number, at: number): boolean;
  claim(claim: Parameters<JudgementStore["claimJudgements"]>[0]): readonly ClaimedJudgement[];
  nextDue(): number | undefined;
  open(watch: number, message: number): JudgementRow | undefined;
  remove(row: JudgementRow): void;
  /** Puts it back, to be tried at `dueAt`. */
  delay(row: JudgementRow, dueAt: number, attempts: number): void;
  /** Erases a denied sender's text that no judgement needs any more. */
  letGo(message: MessageRow): void;
  /** The watch has ended: what waits to be judged for it goes. */
  ended(watch: number): void;
  /** Removes the judgements of all watches that have ended, and of texts that are gone. */
  prune(): void;
  /** Ends every lease: whoever held it is gone. */
  release(): void;
}

type JudgementRow = typeof judgements.$inferSelect;
type Joined = { readonly judgement: JudgementRow; readonly watch: WatchRow; readonly message: MessageRow };

export function createJudgements(
  db: Db,
  parts: { readonly messages: Messages; readonly onErased: () => void },
): Judgements {
  const { messages } = parts;
  const insert: Write<{ watch: number; message: number; at: number }> = db
    .insert(judgements)
    .values({ watch: param("watch"), message: param("message"), attempts: 0, dueAt: param("at") })
    .onConflictDoNothing()
    .prepare();
  const remove: Write<{ watch: number; message: number }> = db
    .delete(judgements)
    .where(and(is(judgements.watch, "watch"), is(judgements.message, "message")))
    .prepare();
  const one: Read<{ watch: number; message: number }, JudgementRow> = db
    .select()
    .from(judgements)
    .where(and(is(judgements.watch, "watch"), is(judgements.message, "message")))
    .prepare();
  const ofMessage: Read<{ message: number }, JudgementRow> = db
    .select()
    .from(judgements)
    .where(is(judgements.message, "message"))
    .limit(1)
    .prepare();
  const ofWatch: Read<{ watch: number }, JudgementRow> = db
    .select()
    .from(judgements)
    .where(is(judgements.watch, "watch"))
    .prepare();
  const vain: Read<Record<string, never>, Pick<Joined, "judgement">> = db
    .select({ judgement: judgements })
    .from(judgements)
    .innerJoin(watchTable, sql`${watchTable.seq} = ${judgements.watch}`)
    .innerJoin(messageTable, sql`${messageTable.seq} = ${judgements.message}`)
    .where(sql`${watchTable.state} <> 'pending' or ${messageTable.text} is null`)
    .prepare();
  const due: Read<{ now: number; limit: number }, Joined> = db
    .select({ judgement: judgements, watch: watchTable, message: messageTable })
    .from(judgements)
    .innerJoin(watchTable, sql`${watchTable.seq} = ${judgements.watch}`)
    .innerJoin(messageTable, sql`${messageTable.seq} = ${judgements.message}`)
    .where(and(sql`${judgements.leaseUntil} is null`, lte(judgements.dueAt, param("now"))))
    .orderBy(upTo("limit", asc(judgements.dueAt)))
    .prepare();
  const firstDue: Read<Record<string, never>, { at: number | null }> = db
    .select({ at: sql<number | null>`min(${judgements.dueAt})` })
    .from(judgements)
    .where(sql`${judgements.leaseUntil} is null`)
    .prepare();
  const firstLapse: Read<Record<string, never>, { at: number | null }> = db
    .select({ at: sql<number | null>`min(${judgements.leaseUntil})` })
    .from(judgements)
    .where(sql`${judgements.leaseUntil} is not null`)
    .prepare();
  const change: Write<JudgementRow> = db
    .update(judgements)
    .set({ attempts: setTo("attempts"), dueAt: setTo("dueAt"), leaseUntil: setTo("leaseUntil") })
    .where(and(is(judgements.watch, "watch"), is(judgements.message, "message")))
    .prepare();
  const release: Write<{ until: number }> = db
    .update(judgements)
    .set({ leaseUntil: null })
    .where(and(sql`${judgements.leaseUntil} is not null`, lte(judgements.leaseUntil, param("until"))))
    .prepare();
  const redact: Write<{ seq: number; from: string }> = db
    .update(messageTable)
    .set({ from: setTo("from"), annotation: null })
    .where(is(messageTable.seq, "seq"))
    .prepare();

  function letGo(message: MessageRow): void {
    if (!isDenied(message) || (message.text === null && message.annotation === null)) return;
    if (ofMessage.get({ message: message.seq }) !== undefined) return;
    messages.erase(message.seq);
    redact.run({ seq: message.seq, from: redactAddress(message.from) });
    parts.onErased();
  }

  function drop(rows: readonly JudgementRow[]): void {
    for (const row of rows) {
      remove.run(row);
      letGo(messages.bySeq(row.message));
    }
  }

  return {
    put: (watch, message, at) => insert.run({ watch, message, at }).changes > 0,
    claim({ now, lease, limit }) {
      release.run({ until: now });
      return due.all({ now, limit }).flatMap(({ judgement, watch, message }) => {
        const signal = message.text === null ? undefined : signalOf(message);
        const { instructions } = watch.filters;
        if (watch.state !== "pending" || signal === undefined || instructions === undefined) {
          drop([judgement]);
          return [];
        }
        const attempt = judgement.attempts + 1;
        change.run({ ...judgement, attempts: attempt, leaseUntil: now + lease });
        const judge = watchJudge(watch.owner);
        return [
          {
            watchId: watch.id,
            instructions,
            ...(judge === undefined ? {} : { judge }),
            signal,
            numMedia: message.media?.length ?? 0,
            attempt,
          },
        ];
      });
    },
    nextDue: () => earliest([firstDue.get({})?.at ?? undefined, firstLapse.get({})?.at ?? undefined]),
    open: (watch, message) => one.get({ watch, message }),
    remove: ({ watch, message }) => void remove.run({ watch, message }),
    delay: (row, dueAt, attempts) => void change.run({ ...row, dueAt, attempts, leaseUntil: null }),
    letGo,
    ended: (watch) => drop(ofWatch.all({ watch })),
    prune: () => drop(vain.all({}).map(({ judgement }) => judgement)),
    release: () => void release.run({ until: Number.MAX_SAFE_INTEGER }),
  };
}

const NOTHING: OfferOutcome = { delivered: [], claimed: false };

/** Runs inside a write; see JudgementStore. */
export function settleJudgement(
  settle: SettleJudgement,
  parts: {
    readonly judgements: Judgements;
    readonly messages: Messages;
    readonly signals: Pick<WatchSignals, "offer">;
    readonly watchSeq: (id: string) => number | undefined;
    /** Told what a model was asked with on the channel of the text. */
    readonly onSpent: (channel: string, usage: TokenUsage) => void;
  },
): OfferOutcome {
  const { judgements, messages, signals } = parts;
  const { watchId, messageId, end, at, usage } = settle;
  const message = messages.byId(messageId);
  // Paid for, whatever has become of the watch meanwhile.
  if (message !== undefined && usage !== undefined) parts.onSpent(message.channel, usage);
  const watch = parts.watchSeq(watchId);
  const row = watch === undefined || message === undefined ? undefined : judgements.open(watch, message.seq);
  if (row === undefined || message === undefined) return NOTHING;
  switch (end.kind) {
    case "retry":
      judgements.delay(row, end.dueAt, row.attempts);
      return NOTHING;
    case "released":
      judgements.delay(row, end.dueAt, row.attempts - 1);
      return NOTHING;
    case "match": {
      judgements.remove(row);
      const offer = { watchId, claims: false, claimsFromAgent: false };
      const outcome = signals.offer({ kind: "offer_signal", messageId, offers: [offer], at });
      judgements.letGo(messages.bySeq(message.seq));
      return outcome;
    }
    case "no_match":
      judgements.remove(row);
      judgements.letGo(message);
      return NOTHING;
    case "given_up":
      judgements.remove(row);
      messages.addEvent(message.seq, message.state, at, end.reason);
      judgements.letGo(message);
      return NOTHING;
  }
}
