import { and, asc, gte, lt, sql } from "drizzle-orm";
import { type Annotation, annotate } from "../annotation.ts";
import { annotatedLater, type Signal, signalId } from "../signal.ts";
import type { OfferOutcome, OfferSignal, RecentQuery, RecentSignal } from "../signal-store.ts";
import type { Watch } from "../watch.ts";
import type { Events } from "./events.ts";
import type { Judgements } from "./judgements.ts";
import { isDenied, type MessageRow, type Messages } from "./messages.ts";
import {
  holdsCode,
  messages as messageTable,
  turnJournal,
  turns,
  watchSignals,
  watches as watchTable,
} from "./schema.ts";
import { type Db, encoded, is, param, type Read, setTo, upTo, type Write } from "./statement.ts";
import type { Watches, WatchRow } from "./watches.ts";

/** What watches caught: which message went to which watch, and who claimed it. */
export interface WatchSignals {
  /** Runs inside a write; see OfferSignal. */
  offer(offer: OfferSignal): OfferOutcome & { readonly claimedFromAgent: boolean };
  recent(query: RecentQuery): readonly RecentSignal[];
  /** The watch with what it caught. */
  assemble(row: WatchRow): Watch;
  /** Erases some codes older than `before`; true while there are more. Runs inside a write. */
  purge(before: number): boolean;
}

/** Messages that one call of `purge` erases. */
const PURGE_BATCH = 50;

type Revealed = {
  readonly seq: number;
  readonly from: string;
  readonly text: string;
  readonly media: string | null;
  readonly annotation: string | null;
};

export function createWatchSignals(
  db: Db,
  parts: {
    readonly messages: Messages;
    readonly watches: Watches;
    readonly judgements: Judgements;
    readonly events: Pick<Events, "matched">;
    readonly onErased: () => void;
  },
): WatchSignals {
  const { messages, watches, judgements, events } = parts;
  const insert: Write<{ watch: number; message: number; at: number }> = db
    .insert(watchSignals)
    .values({ watch: param("watch"), message: param("message"), at: param("at") })
    .onConflictDoNothing()
    .prepare();
  const caught: Read<{ watch: number }, { message: MessageRow }> = db
    .select({ message: messageTable })
    .from(watchSignals)
    .innerJoin(messageTable, sql`${messageTable.seq} = ${watchSignals.message}`)
    .where(is(watchSignals.watch, "watch"))
    .orderBy(asc(watchSignals.message))
    .prepare();
  const claim: Write<{ seq: number; watch: string }> = db
    .update(messageTable)
    .set({ claimedBy: setTo("watch") })
    .where(is(messageTable.seq, "seq"))
    .prepare();
  const reveal: Write<Revealed> = db
    .update(messageTable)
    .set({
      from: setTo("from"),
      text: setTo("text"),
      media: setTo("media"),
      annotation: setTo("annotation"),
    })
    .where(is(messageTable.seq, "seq"))
    .prepare();
  const pardon: Write<{ seq: number }> = db
    .update(messageTable)
    .set({ error: null })
    .where(is(messageTable.seq, "seq"))
    .prepare();
  const seen: Read<{ watch: number; message: number }, { at: number }> = db
    .select({ at: watchSignals.at })
    .from(watchSignals)
    .where(and(is(watchSignals.watch, "watch"), is(watchSignals.message, "message")))
    .prepare();
  const takeFromAgent: Write<{ seq: number }> = db
    .update(messageTable)
    .set({ route: sql`'signal'` })
    .where(is(messageTable.seq, "seq"))
    .prepare();
  const recent: Read<{ since: number; channel: string | null }, MessageRow> = db
    .select()
    .from(messageTable)
    .where(
      and(
        sql`${messageTable.annotation} is not null`,
        gte(messageTable.createdAt, param("since")),
        sql`${messageTable.claimedBy} is null`,
        sql`+${messageTable.channel} = coalesce(${param("channel")}, ${messageTable.channel})`,
      ),
    )
    .orderBy(asc(messageTable.createdAt), asc(messageTable.seq))
    .prepare();
  const old: Read<{ before: number; limit: number }, MessageRow> = db
    .select()
    .from(messageTable)
    .where(and(holdsCode(messageTable), lt(messageTable.createdAt, param("before"))))
    .orderBy(upTo("limit", asc(messageTable.createdAt)))
    .prepare();
  const forget: Write<{ seq: number; annotation: string | null }> = db
    .update(messageTable)
    .set({ annotation: setTo("annotation") })
    .where(is(messageTable.seq, "seq"))
    .prepare();
  // A turn that has not ended still needs its journal; it is erased at its end.
  const forgetJournals: Write<{ seq: number }> = db
    .delete(turnJournal)
    .where(
      sql`${turnJournal.turn} in (select ${turns.seq} from ${watchSignals}
        join ${watchTable} on ${watchTable.seq} = ${watchSignals.watch}
        join ${turns} on ${turns.id} = ${watchTable.turnId}
        where ${watchSignals.message} = ${param("seq")} and ${turns.endedAt} is not null)`,
    )
    .prepare();

  function offer(offer: OfferSignal): OfferOutcome & { readonly claimedFromAgent: boolean } {
    const row = messages.byId(offer.messageId);
    if (row === undefined) throw new Error(`there is no message ${offer.messageId}`);
    let claimed = row.claimedBy !== null;
    let fromAgent = false;
    if (isDenied(row) && row.text === null && offer.reveal === undefined)
      return { delivered: [], claimed, claimedFromAgent: fromAgent };
    const delivered: { watchId: string; ended: boolean }[] = [];
    const over: number[] = [];
    for (const { watchId, claims, claimsFromAgent } of offer.offers) {
      const watch = watches.byId(watchId);
      if (watch === undefined || watch.state !== "pending" || (claims && claimed)) continue;
      if (insert.run({ watch: watch.seq, message: row.seq, at: offer.at }).changes === 0) continue;
      events.matched(watchId, row.id, offer.at);
      if (claims) {
        claimed = true;
        claim.run({ seq: row.seq, watch: watchId });
        if (claimsFromAgent && row.route === "message" && row.turnId === null) {
          fromAgent = true;
          takeFromAgent.run({ seq: row.seq });
        }
      }
      const ended = watch.mode === "once";
      if (ended) {
        watches.end(watch.seq, "matched", offer.at);
        over.push(watch.seq);
      }
      delivered.push({ watchId, ended });
    }
    const judging = queued(row, offer);
    if (delivered.length > 0 || judging) keep(row, offer);
    if (delivered.length > 0) taken(row, offer, fromAgent || (claimed && row.route === "signal"));
    for (const watch of over) judgements.ended(watch);
    return {
      delivered,
      claimed,
      ...(judging ? { judging: true as const } : {}),
      claimedFromAgent: fromAgent,
    };
  }

  /** True when it is to be judged for a watch. */
  function queued(row: MessageRow, offer: OfferSignal): boolean {
    let any = false;
    for (const watchId of offer.judged ?? []) {
      const watch = watches.byId(watchId);
      if (watch === undefined || watch.state !== "pending") continue;
      if (seen.get({ watch: watch.seq, message: row.seq }) !== undefined) continue;
      if (judgements.put(watch.seq, row.seq, offer.at)) any = true;
    }
    return any;
  }

  function keep(row: MessageRow, { reveal: kept }: OfferSignal): void {
    if (kept === undefined || row.text !== null) return;
    reveal.run({
      seq: row.seq,
      from: kept.from,
      text: kept.text,
      media: kept.media.length === 0 ? null : encoded(kept.media),
      annotation: encoded(kept.annotation),
    });
  }

  function taken(row: MessageRow, offer: OfferSignal, handled: boolean): void {
    const denied = isDenied(row);
    if (denied) pardon.run({ seq: row.seq });
    if ((handled || denied) && row.state !== "handled")
      messages.setState(row.seq, "handled", offer.at, { detail: "A waiting watch got it." });
  }

  return {
    offer,
    recent: ({ since, channel }) =>
      recent.all({ since, channel: channel ?? null }).flatMap((row) => {
        const signal = signalOf(row);
        return signal === undefined ? [] : [{ signal, inTurn: row.turnId !== null }];
      }),
    assemble(row) {
      const { id, state, filters, mode, consume, backfill, owner, createdAt, expiresAt } = row;
      const signals = caught.all({ watch: row.seq }).flatMap(({ message }) => signalOf(message) ?? []);
      return { id, state, filters, mode, consume, backfill, owner, createdAt, expiresAt, signals };
    },
    purge(before) {
      const rows = old.all({ before, limit: PURGE_BATCH });
      for (const row of rows) {
        messages.erase(row.seq);
        forget.run({ seq: row.seq, annotation: encoded(bare(annotationOf(row))) });
        forgetJournals.run({ seq: row.seq });
      }
      if (rows.length > 0) parts.onErased();
      return rows.length === PURGE_BATCH;
    },
  };
}

/** A message as a signal; its text is "" once that was erased. */
export function signalOf(row: MessageRow): Signal | undefined {
  if (row.annotation === null) return undefined;
  const signal = {
    id: signalId(row.id),
    messageId: row.id,
    channel: row.channel,
    from: row.from,
    receivedAt: row.createdAt,
    text: row.text ?? "",
    numMedia: row.media?.length ?? 0,
  };
  return row.annotation === "unread" ? annotatedLater(signal) : { ...signal, annotation: row.annotation };
}

/** What is in the text, which was not looked for while no watch was offered it. */
function annotationOf({ annotation, text, from }: MessageRow): Annotation | null {
  return annotation === "unread" ? annotate(text ?? "", from) : annotation;
}

/** What may stay of an annotation after its code is erased. */
function bare(annotation: Annotation | null): Annotation | null {
  return annotation && { category: annotation.category, confidence: annotation.confidence, candidates: [] };
}
