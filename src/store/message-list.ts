import { and, asc, desc, getTableColumns, isNotNull, lt, type SQL, sql } from "drizzle-orm";
import type { Message, MessageEvent } from "../message.ts";
import type { MessageQuery, Page } from "../store.ts";
import { type HistoryEntry, MAX_TURN_CRASHES } from "../turn.ts";
import { pageSize, readCursor, writeCursor } from "./cursor.ts";
import type { MessageRow } from "./messages.ts";
import { messageEvents, messages, turns } from "./schema.ts";
import { type Db, is, param, type Read, upTo } from "./statement.ts";

export interface MessageList {
  page(query: MessageQuery): Page<Message>;
  one(id: string): (Message & { readonly events: readonly MessageEvent[] }) | undefined;
  history(conversationId: string, limit: number): readonly HistoryEntry[];
}

/** A condition of a page; each has an index of its own that ends in `seq`. */
type Filter = "channel" | "direction" | "state" | "route" | "from" | "to" | "conversationId";
type Filters = readonly (readonly [Filter, string])[];

/**
 * With several conditions, at most this many rows of the narrowest one are looked at for a page. A page can
 * then be short, or empty, and still have a successor; but no question makes the service read a million rows.
 */
const LOOKED_AT = 10_000;

/**
 * To find the narrowest condition, each is counted up to this: enough for conditions that are common. Only when the
 * page is not filled so are they counted as far as rows are looked at.
 */
const ROUGHLY = 100;

const BEFORE_ALL = Number.MAX_SAFE_INTEGER;

export function createMessageList(db: Db): MessageList {
  const columns = getTableColumns(messages);
  const pages = new Map<string, Read<Record<string, unknown>, MessageRow>>();
  const counts = new Map<Filter, Read<{ value: string; before: number; limit: number }, { count: number }>>();
  const ends = new Map<Filter, Read<{ value: string; before: number }, { seq: number }>>();

  /** Rows of the first filter before a position, newest first, reduced by the others. */
  function pageOf(filters: Filters): Read<Record<string, unknown>, MessageRow> {
    const shape = filters.map(([name]) => name).join("+");
    return remembered(pages, shape, () => {
      const [narrowest, ...others] = filters.map(([name]) => name);
      const before = lt(messages.seq, param("before"));
      if (narrowest === undefined)
        return db
          .select()
          .from(messages)
          .where(before)
          .orderBy(upTo("limit", desc(messages.seq)))
          .prepare();
      const driving = db
        .select()
        .from(messages)
        .where(and(is(messages[narrowest], narrowest), before));
      if (others.length === 0) return driving.orderBy(upTo("limit", desc(messages.seq))).prepare();
      const looked = driving.orderBy(desc(messages.seq)).limit(LOOKED_AT).as("looked");
      return db
        .select()
        .from(looked)
        .where(and(...others.map((name) => is(looked[name], name))))
        .orderBy(upTo("limit", desc(looked.seq)))
        .prepare();
    });
  }

  function countOf(filter: Filter) {
    return remembered(counts, filter, () => {
      const some = ofOne(filter)
        .orderBy(upTo("limit", desc(messages.seq)))
        .as("some");
      return db.select({ count: sql<number>`count(*)` }).from(some).prepare();
    });
  }

  /** The last row that a page of several conditions looks at. */
  function endOf(filter: Filter) {
    return remembered(ends, filter, () =>
      ofOne(filter)
        .orderBy(desc(messages.seq))
        .limit(1)
        .offset(LOOKED_AT - 1)
        .prepare(),
    );
  }

  function ofOne(filter: Filter) {
    return db
      .select({ seq: messages.seq })
      .from(messages)
      .where(and(is(messages[filter], "value"), lt(messages.seq, param("before"))));
  }

  /** The conditions with the narrowest first, and how many rows that one has; as far as they were counted. */
  function narrowestFirst(filters: Filters, before: number, limit: number) {
    const counted = filters.map((filter) => {
      return { filter, count: countOf(filter[0]).get({ value: filter[1], before, limit })?.count ?? 0 };
    });
    const narrowest = counted.reduce((least, one) => (one.count < least.count ? one : least));
    const { filter: first, count } = narrowest;
    return { first, count, filters: [first, ...filters.filter((filter) => filter !== first)] };
  }

  /** Up to `limit` rows before a position, and the position where looking ended before the list did. */
  function rowsOf(
    asked: Filters,
    before: number,
    limit: number,
  ): { readonly rows: readonly MessageRow[]; readonly stoppedAt?: number } {
    const rowsBy = (filters: Filters) =>
      pageOf(filters).all({ ...Object.fromEntries(filters), before, limit });
    if (asked.length < 2) return { rows: rowsBy(asked) };
    const roughly = narrowestFirst(asked, before, ROUGHLY);
    const some = rowsBy(roughly.filters);
    if (some.length >= limit || roughly.count < ROUGHLY) return { rows: some };
    const { first, count, filters } = narrowestFirst(asked, before, LOOKED_AT);
    const rows = rowsBy(filters);
    if (rows.length >= limit || count < LOOKED_AT) return { rows };
    const end = endOf(first[0]).get({ value: first[1], before });
    return end === undefined ? { rows } : { rows, stoppedAt: end.seq };
  }

  const byId: Read<{ id: string }, MessageRow> = db
    .select()
    .from(messages)
    .where(is(messages.id, "id"))
    .prepare();
  const events: Read<{ message: number }, EventRow> = db
    .select({ state: messageEvents.state, at: messageEvents.at, detail: messageEvents.detail })
    .from(messageEvents)
    .where(is(messageEvents.message, "message"))
    .orderBy(asc(messageEvents.seq))
    .prepare();
  const history: Read<{ conversationId: string; limit: number }, HistoryRow> = db
    .select({
      direction: columns.direction,
      text: columns.text,
      media: columns.media,
      createdAt: columns.createdAt,
    })
    .from(messages)
    .where(and(is(messages.conversationId, "conversationId"), isNotNull(messages.text), inHistory()))
    .orderBy(upTo("limit", desc(messages.seq)))
    .prepare();

  return {
    page(query) {
      const limit = pageSize(query.limit);
      const before = query.cursor === undefined ? BEFORE_ALL : (readCursor("m", query.cursor, 1)[0] ?? 0);
      // Either side of a message: two lists, merged.
      const sides: readonly Filters[] =
        query.address === undefined ? [[]] : [[["from", query.address]], [["to", query.address]]];
      const filters = filtersOf(query);
      const found = sides.map((side) => rowsOf([...side, ...filters], before, limit + 1));
      // What one list has not looked at yet must not be passed over by the other.
      const stoppedAt = Math.max(-1, ...found.map((side) => side.stoppedAt ?? -1));
      const seen = new Map<number, MessageRow>();
      for (const { rows } of found) for (const row of rows) if (row.seq >= stoppedAt) seen.set(row.seq, row);
      const rows = [...seen.values()].sort((a, b) => b.seq - a.seq);
      const shown = rows.slice(0, limit);
      const last = rows.length > limit ? shown.at(-1)?.seq : stoppedAt >= 0 ? stoppedAt : undefined;
      return {
        items: shown.map(messageOf),
        ...(last === undefined ? {} : { nextCursor: writeCursor("m", [last]) }),
      };
    },
    one(id) {
      const row = byId.get({ id });
      if (row === undefined) return undefined;
      return {
        ...messageOf(row),
        events: [...firstOf(row), ...events.all({ message: row.seq })].map(eventOf),
      };
    },
    history(conversationId, limit) {
      if (limit <= 0) return [];
      return history.all({ conversationId, limit }).reverse().map(entryOf);
    },
  };
}

function firstOf({ firstState, createdAt }: MessageRow): readonly EventRow[] {
  return firstState === null ? [] : [{ state: firstState, at: createdAt, detail: null }];
}

type EventRow = Pick<typeof messageEvents.$inferSelect, "state" | "at" | "detail">;
type HistoryRow = Pick<MessageRow, "direction" | "text" | "media" | "createdAt">;

/**
 * Texts that a turn has dealt with, and answers that the person got or will get. Of those that an agent has failed only
 * the last turn's: a text that no agent can take would fail every later turn of its conversation. One that crashed the
 * service, or failed alone after it had failed among others, is never shown again.
 */
function inHistory(): SQL {
  return sql`case ${messages.direction} when 'inbound' then ${messages.state} = 'handled'
    or (${messages.state} = 'failed' and not exists (select 1 from ${turns} as failed
      where failed.id = ${messages.turnId} and failed.state = 'failed' and (failed.crashes >= ${MAX_TURN_CRASHES}
        or failed.split_from is not null or exists (select 1 from ${turns} as later where later.conversation_id = failed.conversation_id
          and later.state = 'failed' and later.seq > failed.seq))))
    else ${messages.state} not in ('suppressed', 'canceled', 'failed') end`;
}

function filtersOf(query: MessageQuery): Filters {
  const { channel, direction, state, route, conversationId } = query;
  const filters: [Filter, string][] = [];
  if (conversationId !== undefined) filters.push(["conversationId", conversationId]);
  if (state !== undefined) filters.push(["state", state]);
  if (route !== undefined) filters.push(["route", route]);
  if (channel !== undefined) filters.push(["channel", channel]);
  if (direction !== undefined) filters.push(["direction", direction]);
  return filters;
}

function remembered<Key, Value>(known: Map<Key, Value>, key: Key, make: () => Value): Value {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  known.set(key, made);
  return made;
}

export function messageOf(row: MessageRow): Message {
  return {
    id: row.id,
    channel: row.channel,
    direction: row.direction,
    from: row.from,
    to: row.to,
    ...(row.text === null ? {} : { text: row.text }),
    media: row.media ?? [],
    state: row.state,
    ...(row.route === null ? {} : { route: row.route }),
    ...(row.conversationId === null ? {} : { conversationId: row.conversationId }),
    ...(row.turnId === null ? {} : { turnId: row.turnId }),
    ...(row.providerSid === null ? {} : { providerSid: row.providerSid }),
    ...(row.segments === null ? {} : { segments: row.segments }),
    ...(row.policies === null ? {} : { policies: row.policies }),
    ...(row.error === null ? {} : { error: row.error }),
    ...(row.late ? { late: true } : {}),
    createdAt: row.createdAt,
  };
}

function eventOf(row: EventRow): MessageEvent {
  return { state: row.state, at: row.at, ...(row.detail === null ? {} : { detail: row.detail }) };
}

function entryOf(row: HistoryRow): HistoryEntry {
  return {
    role: row.direction === "inbound" ? "user" : "assistant",
    text: row.text ?? "",
    media: row.media ?? [],
    at: row.createdAt,
  };
}
