import { and, asc, gte, sql } from "drizzle-orm";
import type { Conversation } from "../conversation.ts";
import type { AlertEvent, ChannelStatusEvent, ServiceEvent } from "../event.ts";
import {
  EVENTS_KEPT,
  EVENTS_KEPT_FOR,
  type EventPage,
  type EventQuery,
  type EventStore,
} from "../event-store.ts";
import type { Message } from "../message.ts";
import type { Signal } from "../signal.ts";
import { eventId, readEventId } from "./event-id.ts";
import { type EventFacts, events, messages } from "./schema.ts";
import { type Db, is, param, type Read, upTo, type Write } from "./statement.ts";

type EventRow = typeof events.$inferSelect;

/** The log of events. What adds runs inside a write. */
export interface Events {
  received(messageId: string, at: number): void;
  /** Adds nothing for an inbound message. */
  status(message: number, state: string, at: number): void;
  matched(watchId: string, messageId: string, at: number): void;
  ended(conversationId: string, at: number): void;
  append(event: (ChannelStatusEvent | AlertEvent) & { readonly at: number }): void;
  last(): number;
  position(id: string): number | undefined;
  page(query: EventQuery, referents: Referents): EventPage;
  /** The first event of these types after a position. */
  first(
    after: number,
    types: EventQuery["types"],
  ): { readonly position: number; readonly at: number } | undefined;
  /** Events of these types after a position up to a time: how many, and the last event of that time. */
  before(
    after: number,
    at: number,
    types: NonNullable<EventQuery["types"]>,
  ): { readonly count: number; readonly position: number };
  /** Events of these types after a position, counted up to `limit`. */
  count(after: number, types: NonNullable<EventQuery["types"]>, limit: number): number;
  alerts(since: number): Awaited<ReturnType<EventStore["alerts"]>>;
  /**
   * Removes some of what is too old or too much, but never the newest; true while there is more. `removing` is told
   * before it goes.
   */
  sweep(now: number, step: number, removing: (rows: readonly EventRow[]) => void): boolean;
  listen(listener: () => void): () => void;
  /** Called after each commit: tells those who listen, where events were added. */
  committed(): void;
}

/** What events are about, as it is now. */
export interface Referents {
  message(id: string): Message | undefined;
  signal(messageId: string): Signal | undefined;
  conversation(id: string): Conversation | undefined;
}

const NONCE = sql`random() & 281474976710655`;

export function createEvents(db: Db): Events {
  const insert: Write<Pick<EventRow, "type" | "at" | "subject" | "watch" | "content">> = db
    .insert(events)
    .values({
      nonce: NONCE,
      type: param("type"),
      at: param("at"),
      subject: param("subject"),
      watch: param("watch"),
      content: param("content"),
    })
    .prepare();
  const insertStatus: Write<{ seq: number; state: string; at: number }> = db
    .insert(events)
    .select(
      sql`select null, ${NONCE}, 'message.status', ${param("at")}, ${messages.id}, ${param("state")}, null, null
        from ${messages} where ${is(messages.seq, "seq")} and ${messages.direction} = 'outbound'`,
    )
    .prepare();
  const newest: Read<Record<string, never>, { seq: number | null }> = db
    .select({ seq: sql<number | null>`max(${events.seq})` })
    .from(events)
    .prepare();
  const oldest: Read<Record<string, never>, { seq: number | null }> = db
    .select({ seq: sql<number | null>`min(${events.seq})` })
    .from(events)
    .prepare();
  const bySeq: Read<{ seq: number }, EventRow> = db
    .select()
    .from(events)
    .where(is(events.seq, "seq"))
    .prepare();
  const behind: Read<{ after: number; limit: number }, EventRow> = db
    .select()
    .from(events)
    .where(sql`${events.seq} > ${param("after")}`)
    .orderBy(upTo("limit", asc(events.seq)))
    .prepare();
  const someBehind: Read<{ after: number; types: string; limit: number }, EventRow> = db
    .select()
    .from(events)
    .where(
      sql`${events.seq} > ${param("after")} and ${events.type} in (select value from json_each(${param("types")}))`,
    )
    .orderBy(upTo("limit", asc(events.seq)))
    .prepare();
  const before: Read<
    { after: number; at: number; types: string },
    { count: number; position: number | null }
  > = db
    .select({
      count: sql<number>`coalesce(sum(${events.type} in (select value from json_each(${param("types")}))), 0)`,
      position: sql<number | null>`max(${events.seq})`,
    })
    .from(events)
    .where(sql`${events.seq} > ${param("after")} and ${events.at} <= ${param("at")}`)
    .prepare();
  const counted: Read<{ after: number; types: string; limit: number }, { count: number }> = db
    .select({ count: sql<number>`count(*)` })
    .from(
      sql`(select 1 from ${events} where ${events.seq} > ${param("after")}
        and ${events.type} in (select value from json_each(${param("types")})) limit +${param("limit")}) as some`,
    )
    .prepare();
  const alerts: Read<{ since: number }, EventRow> = db
    .select()
    .from(events)
    .where(and(sql`${events.type} = 'alert'`, gte(events.at, param("since"))))
    .orderBy(asc(events.at), asc(events.seq))
    .prepare();
  const remove: Write<{ until: number }> = db
    .delete(events)
    .where(sql`${events.seq} <= ${param("until")}`)
    .prepare();

  const listeners = new Set<() => void>();
  let added = false;

  function add(row: Partial<EventRow> & Pick<EventRow, "type" | "at">): void {
    insert.run({ subject: null, watch: null, content: null, ...row });
    added = true;
  }

  const last = () => newest.get({})?.seq ?? 0;

  function rowsBehind({ after, types, limit }: EventQuery): readonly EventRow[] {
    return types === undefined
      ? behind.all({ after, limit })
      : someBehind.all({ after, types: JSON.stringify(types), limit });
  }

  return {
    received: (messageId, at) => add({ type: "message.received", at, subject: messageId }),
    status(message, state, at) {
      insertStatus.run({ seq: message, state, at });
      added = true;
    },
    matched: (watchId, messageId, at) =>
      add({ type: "signal.matched", at, subject: messageId, watch: watchId }),
    ended: (conversationId, at) => add({ type: "conversation.ended", at, subject: conversationId }),
    append({ type, at, channel, ...facts }) {
      add({ type, at, subject: channel ?? null, content: facts });
    },
    last,
    position(id) {
      const wanted = readEventId(id);
      if (wanted === undefined) return undefined;
      const row = bySeq.get({ seq: wanted.seq });
      if (row !== undefined) return row.nonce === wanted.nonce ? row.seq : 0;
      return wanted.seq < (oldest.get({})?.seq ?? 0) ? wanted.seq : 0;
    },
    page(query, referents) {
      const rows = rowsBehind(query);
      const more = rows.length === query.limit;
      const end = rows.at(-1)?.seq;
      return {
        events: rows.flatMap((row) => eventOf(row, referents) ?? []),
        position: more && end !== undefined ? end : Math.max(query.after, last()),
        more,
      };
    },
    first(after, types) {
      const [row] = rowsBehind({ after, limit: 1, ...(types === undefined ? {} : { types }) });
      return row === undefined ? undefined : { position: row.seq, at: row.at };
    },
    before(after, at, types) {
      const found = before.get({ after, at, types: JSON.stringify(types) });
      return { count: found?.count ?? 0, position: found?.position ?? after };
    },
    count: (after, types, limit) => counted.get({ after, types: JSON.stringify(types), limit })?.count ?? 0,
    alerts: (since) =>
      alerts.all({ since }).flatMap((row) => {
        const alert = alertOf(row);
        return alert === undefined ? [] : [{ ...alert, at: row.at }];
      }),
    sweep(now, step, removing) {
      const end = last();
      const rows = behind.all({ after: 0, limit: step });
      const kept = rows.findIndex(
        ({ seq, at }) => seq === end || (seq > end - EVENTS_KEPT && at > now - EVENTS_KEPT_FOR),
      );
      const until = rows.at(kept < 0 ? -1 : kept - 1)?.seq;
      if (until !== undefined && kept !== 0) {
        removing(kept < 0 ? rows : rows.slice(0, kept));
        remove.run({ until });
      }
      return kept < 0 && rows.length === step;
    },
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    committed() {
      if (!added) return;
      added = false;
      for (const listener of listeners) listener();
    },
  };
}

/** Undefined where it may no longer be told, or is about something that is not kept any more. */
function eventOf(row: EventRow, referents: Referents): ServiceEvent | undefined {
  const common = { id: eventId(row.seq, row.nonce), position: row.seq, at: row.at };
  const subject = row.subject ?? "";
  switch (row.type) {
    case "message.received": {
      const message = referents.message(subject);
      return message?.route === "message" ? { ...common, type: row.type, message } : undefined;
    }
    case "message.status": {
      const message = referents.message(subject);
      if (message === undefined || row.state === null) return undefined;
      return { ...common, type: row.type, message, state: row.state };
    }
    case "signal.matched": {
      const signal = referents.signal(subject);
      return signal && { ...common, type: row.type, watchId: row.watch ?? "", signal };
    }
    case "conversation.ended": {
      const conversation = referents.conversation(subject);
      return conversation && { ...common, type: row.type, conversation };
    }
    case "channel.status": {
      const { status, reason, fix } = row.content ?? NO_FACTS;
      if (status === undefined) return undefined;
      return {
        ...common,
        type: row.type,
        channel: subject,
        status,
        ...(reason === undefined ? {} : { reason }),
        ...(fix === undefined ? {} : { fix }),
      };
    }
    case "alert": {
      const alert = alertOf(row);
      return alert && { ...common, ...alert };
    }
  }
}

const NO_FACTS: EventFacts = {};

function alertOf({ content, subject }: EventRow): AlertEvent | undefined {
  const { cause, message, fix } = content ?? NO_FACTS;
  if (cause === undefined || message === undefined || fix === undefined) return undefined;
  return { type: "alert", cause, message, fix, ...(subject === null ? {} : { channel: subject }) };
}
