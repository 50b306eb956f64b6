import { and, asc, desc, gte, isNull, lt, type SQL, sql } from "drizzle-orm";
import type { Conversation } from "../conversation.ts";
import type { ConversationStore, Page } from "../store.ts";
import { pageSize, readCursor, writeCursor } from "./cursor.ts";
import type { Events } from "./events.ts";
import { conversations, messages, turns } from "./schema.ts";
import { type Db, is, param, type Read, setTo, upTo, type Write } from "./statement.ts";

type ConversationRow = typeof conversations.$inferSelect;

export interface Conversations {
  open(conversation: NewConversation): void;
  openOf(key: string): ConversationRow | undefined;
  byId(id: string): ConversationRow | undefined;
  end(id: string, at: number): void;
  /** `messages` more of it. */
  grew(id: string, messages: number): void;
  /** As `grew`, with activity at `at`. */
  wentOn(id: string, messages: number, at: number): void;
  inConversation(channel: string, address: string): boolean;
  /** Ends those idle since before `before` that have no turn waiting or running. */
  endIdle(channel: string, before: number, now: number): readonly Conversation[];
  /** True where `endIdle` would end one. */
  anyIdle(channel: string, before: number): boolean;
  oldestActivity(channel: string, since: number): number | undefined;
  page(query: Parameters<ConversationStore["conversations"]>[0]): Page<Conversation>;
}

interface NewConversation {
  readonly id: string;
  readonly key: string;
  readonly channel: string;
  readonly address: string;
  readonly agent: string;
  readonly at: number;
}

/** Most conversations that one call ends. */
const IDLE_BATCH = 500;

export function createConversations(db: Db, events: Pick<Events, "ended">): Conversations {
  const insert: Write<NewConversation & Record<string, unknown>> = db
    .insert(conversations)
    .values({
      id: param("id"),
      key: param("key"),
      channel: param("channel"),
      address: param("address"),
      agent: param("agent"),
      startedAt: param("at"),
      lastAt: param("at"),
      messages: 0,
    })
    .prepare();
  const openOf: Read<{ key: string }, ConversationRow> = db
    .select()
    .from(conversations)
    .where(and(is(conversations.key, "key"), isNull(conversations.endedAt)))
    .prepare();
  const byId: Read<{ id: string }, ConversationRow> = db
    .select()
    .from(conversations)
    .where(is(conversations.id, "id"))
    .prepare();
  const end: Write<{ id: string; at: number }> = db
    .update(conversations)
    .set({ endedAt: setTo("at") })
    .where(and(is(conversations.id, "id"), isNull(conversations.endedAt)))
    .prepare();
  const grew: Write<{ id: string; messages: number }> = db
    .update(conversations)
    .set({ messages: sql`${conversations.messages} + ${setTo("messages")}` })
    .where(is(conversations.id, "id"))
    .prepare();
  const wentOn: Write<{ id: string; messages: number; at: number }> = db
    .update(conversations)
    .set({
      messages: sql`${conversations.messages} + ${setTo("messages")}`,
      lastAt: sql`max(${conversations.lastAt}, ${setTo("at")})`,
    })
    .where(is(conversations.id, "id"))
    .prepare();
  const ofAddress: Read<{ channel: string; address: string }, { seq: number }> = db
    .select({ seq: conversations.seq })
    .from(conversations)
    .where(
      and(
        is(conversations.channel, "channel"),
        is(conversations.address, "address"),
        isNull(conversations.endedAt),
        // One that the agent began by a text of its own gives it no leave for the next one.
        sql`exists (select 1 from ${messages} where ${messages.conversationId} = ${conversations.id}
          and ${messages.direction} = 'inbound' and ${messages.from} = ${conversations.address})`,
      ),
    )
    .prepare();
  const idle: Read<{ channel: string; before: number }, ConversationRow> = db
    .select()
    .from(conversations)
    .where(
      and(
        isNull(conversations.endedAt),
        lt(conversations.lastAt, param("before")),
        sql`+${conversations.channel} = +${param("channel")}`,
        sql`not exists (select 1 from ${turns} where ${turns.key} = ${conversations.key}
          and ${turns.endedAt} is null)`,
      ),
    )
    .orderBy(asc(conversations.lastAt))
    .limit(IDLE_BATCH)
    .prepare();

  // A `+` keeps the indexes of open ones from being used: those of other channels would be passed over one by one.
  const oldest: Read<{ channel: string; since: number }, { lastAt: number }> = db
    .select({ lastAt: conversations.lastAt })
    .from(conversations)
    .where(
      and(
        is(conversations.channel, "channel"),
        gte(conversations.lastAt, param("since")),
        sql`+${conversations.endedAt} is null`,
      ),
    )
    .orderBy(asc(conversations.lastAt))
    .limit(1)
    .prepare();

  function endOne(id: string, at: number): void {
    if (end.run({ id, at }).changes > 0) events.ended(id, at);
  }

  const pages = new Map<string, Read<Record<string, unknown>, ConversationRow>>();

  /** The open ones are few, so a channel is looked for among them; the rest has an index by channel. */
  function pageOf(
    byChannel: boolean,
    open: boolean | undefined,
  ): Read<Record<string, unknown>, ConversationRow> {
    const shape = `${byChannel} ${open}`;
    const found = pages.get(shape);
    if (found !== undefined) return found;
    const channel: SQL = open
      ? sql`+${conversations.channel} = +${param("channel")}`
      : is(conversations.channel, "channel");
    const made = db
      .select()
      .from(conversations)
      .where(
        and(
          byChannel ? channel : undefined,
          open === true ? isNull(conversations.endedAt) : undefined,
          // By channel, its own index passes over the open ones, which are few.
          open === false
            ? sql`${byChannel ? sql.raw("+") : sql``}${conversations.endedAt} is not null`
            : undefined,
          sql`(${conversations.lastAt}, ${conversations.seq}) < (${param("lastAt")}, ${param("seq")})`,
        ),
      )
      .orderBy(desc(conversations.lastAt), upTo("limit", desc(conversations.seq)))
      .prepare();
    pages.set(shape, made);
    return made;
  }

  return {
    open: (conversation) => void insert.run({ ...conversation }),
    openOf: (key) => openOf.get({ key }),
    byId: (id) => byId.get({ id }),
    end: endOne,
    grew: (id, messages) => void grew.run({ id, messages }),
    wentOn: (id, messages, at) => void wentOn.run({ id, messages, at }),
    inConversation: (channel, address) => ofAddress.get({ channel, address }) !== undefined,
    endIdle(channel, before, now) {
      const rows = idle.all({ channel, before });
      for (const row of rows) endOne(row.id, now);
      return rows.map((row) => conversationOf({ ...row, endedAt: now }));
    },
    anyIdle: (channel, before) => idle.get({ channel, before }) !== undefined,
    oldestActivity: (channel, since) => oldest.get({ channel, since })?.lastAt,
    page(query) {
      const limit = pageSize(query.limit);
      const [lastAt, seq] =
        query.cursor === undefined
          ? [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
          : readCursor("c", query.cursor, 2);
      const rows = pageOf(query.channel !== undefined, query.open).all({
        channel: query.channel,
        lastAt,
        seq,
        limit: limit + 1,
      });
      const shown = rows.slice(0, limit);
      const last = rows.length > limit ? shown.at(-1) : undefined;
      return {
        items: shown.map(conversationOf),
        ...(last === undefined ? {} : { nextCursor: writeCursor("c", [last.lastAt, last.seq]) }),
      };
    },
  };
}

export function conversationOf(row: ConversationRow): Conversation {
  return {
    id: row.id,
    channel: row.channel,
    address: row.address,
    agent: row.agent,
    startedAt: row.startedAt,
    lastAt: row.lastAt,
    ...(row.endedAt === null ? {} : { endedAt: row.endedAt }),
    messages: row.messages,
  };
}
