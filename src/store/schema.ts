import { sql } from "drizzle-orm";
import {
  blob,
  customType,
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";
import type { Annotation } from "../annotation.ts";
import type { ChannelStatus } from "../channel.ts";
import type { Explained } from "../errors.ts";
import type { EventType } from "../event.ts";
import type { LostEvents } from "../event-store.ts";
import type { DeliveryState, InboundState, Media, Route } from "../message.ts";
import type { Scope } from "../token.ts";
import type { JournalEntry } from "../tool.ts";
import type { TurnState, TurnTask } from "../turn.ts";
import type { WatchFilters, WatchOwner, WatchState } from "../watch.ts";

// The tables. Times are epoch milliseconds. `seq` is the rowid: rows are listed by it, newest first, so every
// index ends in it for free, and one on a single column serves a filtered page without sorting.
//
// This file is longer than most: all tables in one place is how a schema is read, and what the generator of
// the migrations compares.

/** JSON in a text column; null where there is nothing, since the mapping of the library would write "null". */
const json = <T>(name: string) =>
  customType<{ data: T; driverData: string | null }>({
    dataType: () => "text",
    toDriver: (value) => (value === null || value === undefined ? null : JSON.stringify(value)),
    fromDriver: (value) => JSON.parse(value ?? "null"),
  })(name);

/** Every text, in and out. */
export const messages = sqliteTable(
  "messages",
  {
    seq: integer("seq").primaryKey(),
    id: text("id").notNull(),
    channel: text("channel").notNull(),
    direction: text("direction").$type<"inbound" | "outbound">().notNull(),
    from: text("from_address").notNull(),
    to: text("to_address").notNull(),
    text: text("text"),
    media: json<readonly Media[]>("media"),
    state: text("state").$type<InboundState | DeliveryState>().notNull(),
    /** The state it was written in, at `created_at`; null where the first of its events says that and why. */
    firstState: text("first_state").$type<InboundState | DeliveryState>(),
    route: text("route").$type<Route>(),
    conversationId: text("conversation_id").references(() => conversations.id),
    turnId: text("turn_id").references(() => turns.id),
    providerSid: text("provider_sid"),
    segments: integer("segments"),
    policies: json<readonly string[]>("policies"),
    error: json<Explained>("error"),
    late: integer("late", { mode: "boolean" }).notNull(),
    /** What was found in a text that watches may see; `unread` until one is offered it (`annotationOf`). */
    annotation: json<Annotation | "unread">("annotation"),
    /** Id of the watch that took it. */
    claimedBy: text("claimed_by"),
    contentSid: text("content_sid"),
    contentVariables: text("content_variables"),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    uniqueIndex("messages_id").on(table.id),
    // Deduplicates what the carrier delivers twice.
    uniqueIndex("messages_inbound_sid").on(table.providerSid).where(sql`${table.direction} = 'inbound'`),
    index("messages_channel").on(table.channel),
    index("messages_direction").on(table.direction),
    index("messages_state").on(table.state),
    index("messages_route").on(table.route).where(sql`${table.route} is not null`),
    index("messages_from").on(table.from),
    index("messages_to").on(table.to),
    index("messages_conversation").on(table.conversationId).where(sql`${table.conversationId} is not null`),
    index("messages_turn").on(table.turnId).where(sql`${table.turnId} is not null`),
    // What a new watch looks back at.
    index("messages_annotated").on(table.createdAt).where(sql`${table.annotation} is not null`),
    index("messages_codes").on(table.createdAt).where(holdsCode(table)),
    index("messages_denied").on(table.createdAt).where(isDenied(table)),
    // What is with the carrier, for channels whose states are polled.
    index("messages_open").on(table.channel, table.createdAt).where(openDelivery(table)),
  ],
);

/** Texts that `retention.codes` is for. */
export function holdsCode(table: {
  readonly annotation: unknown;
  readonly text: unknown;
  readonly route: unknown;
  readonly claimedBy: unknown;
}) {
  return sql`${table.annotation} is not null and ${table.text} is not null and (${table.route} = 'signal' or ${table.claimedBy} is not null)`;
}

/**
 * What is left of a denied text: no words, and a sender that cannot be told. `retention.denied` is for it. The `+`
 * keeps the index of routes from being taken for it, where all signals are.
 */
export function isDenied(table: { readonly from: unknown; readonly route: unknown }) {
  return sql`+${table.route} in ('dropped', 'signal') and instr(${table.from}, '***') > 0`;
}

/** Also the condition of the query, word for word, since a partial index is only used for its own words. */
export function openDelivery(table: { readonly direction: unknown; readonly state: unknown }) {
  return sql`${table.direction} = 'outbound' and ${table.state} in ('queued', 'sent')`;
}

/** The parameters of an inbound text as they came, beside the message so that lists do not read them. */
export const rawParameters = sqliteTable("raw_parameters", {
  message: integer("message")
    .primaryKey()
    .references(() => messages.seq, { onDelete: "cascade" }),
  parameters: text("parameters").notNull(),
});

/** The states of a message after the one it was written in. */
export const messageEvents = sqliteTable(
  "message_events",
  {
    seq: integer("seq").primaryKey(),
    message: integer("message")
      .notNull()
      .references(() => messages.seq, { onDelete: "cascade" }),
    state: text("state").$type<InboundState | DeliveryState>().notNull(),
    at: integer("at").notNull(),
    detail: text("detail"),
  },
  (table) => [index("message_events_message").on(table.message)],
);

export const conversations = sqliteTable(
  "conversations",
  {
    seq: integer("seq").primaryKey(),
    id: text("id").notNull(),
    key: text("key").notNull(),
    channel: text("channel").notNull(),
    address: text("address").notNull(),
    agent: text("agent").notNull(),
    startedAt: integer("started_at").notNull(),
    lastAt: integer("last_at").notNull(),
    endedAt: integer("ended_at"),
    messages: integer("messages").notNull(),
  },
  (table) => [
    uniqueIndex("conversations_id").on(table.id),
    uniqueIndex("conversations_open_key").on(table.key).where(sql`${table.endedAt} is null`),
    index("conversations_open_address").on(table.channel, table.address).where(sql`${table.endedAt} is null`),
    index("conversations_open").on(table.lastAt).where(sql`${table.endedAt} is null`),
    index("conversations_ended").on(table.lastAt).where(sql`${table.endedAt} is not null`),
    index("conversations_activity").on(table.lastAt),
    index("conversations_channel").on(table.channel, table.lastAt),
  ],
);

export const turns = sqliteTable(
  "turns",
  {
    seq: integer("seq").primaryKey(),
    id: text("id").notNull(),
    key: text("key").notNull(),
    channel: text("channel").notNull(),
    address: text("address").notNull(),
    agent: text("agent").notNull(),
    conversationId: text("conversation_id")
      .notNull()
      .references(() => conversations.id),
    state: text("state").$type<TurnState>().notNull(),
    attempt: integer("attempt").notNull(),
    /** Times it was running when the process died. Suspects (`SUSPECT_AFTER`) run one at a time. */
    crashes: integer("crashes").notNull(),
    /** Texts that it has gathered. */
    texts: integer("texts").notNull(),
    held: integer("held", { mode: "boolean" }).notNull(),
    /** The oldest of its key and channel that has not ended: the only one of them that may run. */
    head: integer("head", { mode: "boolean" }).notNull(),
    createdAt: integer("created_at").notNull(),
    /** Not before this, by the sender's limit per minute; joining texts do not move it. */
    notBefore: integer("not_before").notNull(),
    dueAt: integer("due_at").notNull(),
    /**
     * When to look whether it is due: never later than `dueAt`, and that itself from the first look on. Each text that
     * joins a turn moves `dueAt`, and would rewrite two indexes with it.
     */
    lookAt: integer("look_at").notNull(),
    /** What it is to do, where no text began it. */
    task: json<TurnTask>("task"),
    /** The turn whose texts were given a turn each, of which this is one. */
    splitFrom: text("split_from"),
    leaseUntil: integer("lease_until"),
    endedAt: integer("ended_at"),
    error: json<Explained>("error"),
    inputTokens: integer("input_tokens"),
    outputTokens: integer("output_tokens"),
  },
  (table) => [
    uniqueIndex("turns_id").on(table.id),
    // At most one turn of a key runs, whatever the code above believes.
    uniqueIndex("turns_running").on(table.key).where(sql`${table.state} = 'running'`),
    index("turns_lease").on(table.leaseUntil).where(sql`${table.state} = 'running'`),
    // By agent, so that what waits for one is not looked through for another's.
    index("turns_due")
      .on(table.channel, table.agent, table.lookAt)
      .where(sql`${table.state} = 'queued' and ${table.head} = 1`),
    index("turns_suspect")
      .on(table.channel, table.lookAt)
      .where(sql`${table.state} = 'queued' and ${table.head} = 1 and ${table.crashes} >= 2`),
    index("turns_parked").on(table.state).where(sql`${table.state} = 'parked'`),
    index("turns_active").on(table.key, table.channel).where(sql`${table.endedAt} is null`),
    // The sender's recent turns, for the limit per minute.
    index("turns_sender").on(table.channel, table.address, table.lookAt),
    index("turns_conversation").on(table.conversationId),
    index("turns_failed").on(table.conversationId).where(sql`${table.state} = 'failed'`),
  ],
);

/** What an agent's tools did in a turn, in order. */
export const turnJournal = sqliteTable(
  "turn_journal",
  {
    seq: integer("seq").primaryKey(),
    turn: integer("turn")
      .notNull()
      .references(() => turns.seq, { onDelete: "cascade" }),
    entry: json<JournalEntry>("entry").notNull(),
  },
  (table) => [index("turn_journal_turn").on(table.turn)],
);

/** Calls of tools that wait, or waited, until their sender texts a code back. */
export const confirmations = sqliteTable(
  "confirmations",
  {
    seq: integer("seq").primaryKey(),
    turnId: text("turn_id").notNull(),
    callId: text("call_id").notNull(),
    channel: text("channel").notNull(),
    address: text("address").notNull(),
    code: text("code").notNull(),
    state: text("state").$type<"pending" | "confirmed" | "given_up">().notNull(),
    /** Wrong codes so far. */
    tries: integer("tries").notNull(),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
  },
  (table) => [
    uniqueIndex("confirmations_call").on(table.turnId, table.callId),
    index("confirmations_sender").on(table.channel, table.address, table.createdAt),
    index("confirmations_pending").on(table.expiresAt).where(sql`${table.state} = 'pending'`),
    index("confirmations_age").on(table.createdAt),
  ],
);

/** What people asked to be told at a time. A row goes with its last occurrence. */
export const reminders = sqliteTable(
  "reminders",
  {
    seq: integer("seq").primaryKey(),
    id: text("id").notNull(),
    channel: text("channel").notNull(),
    address: text("address").notNull(),
    agent: text("agent").notNull(),
    kind: text("kind").$type<"text" | "prompt">().notNull(),
    content: text("content").notNull(),
    timezone: text("timezone").notNull(),
    /** Null for one that comes once. */
    cron: text("cron"),
    nextAt: integer("next_at").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    uniqueIndex("reminders_id").on(table.id),
    index("reminders_due").on(table.channel, table.nextAt),
    index("reminders_recipient").on(table.channel, table.address),
  ],
);

/** When each schedule of sms.yaml is due next. */
export const scheduleRuns = sqliteTable(
  "schedule_runs",
  {
    name: text("name").primaryKey(),
    /** What its times follow from. */
    rule: text("rule").notNull(),
    /** 0: never again. */
    nextAt: integer("next_at").notNull(),
  },
  (table) => [index("schedule_runs_due").on(table.nextAt)],
);

/** The queue of what is to be sent: a row from `pending` until it is known to be with the carrier, or given up. */
export const outbox = sqliteTable(
  "outbox",
  {
    message: integer("message")
      .primaryKey()
      .references(() => messages.seq, { onDelete: "cascade" }),
    channel: text("channel").notNull(),
    recipient: text("recipient").notNull(),
    state: text("state").$type<"pending" | "sending" | "unknown">().notNull(),
    /** The first of its recipient: the only one that may be sent. */
    head: integer("head", { mode: "boolean" }).notNull(),
    /** Tries so far. */
    attempt: integer("attempt").notNull(),
    dueAt: integer("due_at").notNull(),
    /** `sending`: the lease; `unknown`: how long it holds the recipient's order. */
    until: integer("until_at"),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    index("outbox_due")
      .on(table.channel, table.dueAt)
      .where(sql`${table.state} = 'pending' and ${table.head} = 1`),
    index("outbox_recipient").on(table.channel, table.recipient),
    uniqueIndex("outbox_head").on(table.channel, table.recipient).where(sql`${table.head} = 1`),
    index("outbox_until").on(table.until).where(sql`${table.until} is not null`),
    index("outbox_age").on(table.createdAt).where(sql`${table.state} = 'pending'`),
  ],
);

/** One row per call of the carrier's send, written before the call. */
export const attempts = sqliteTable(
  "attempts",
  {
    message: integer("message")
      .notNull()
      .references(() => messages.seq, { onDelete: "cascade" }),
    attempt: integer("attempt").notNull(),
    startedAt: integer("started_at").notNull(),
    /** The local day whose usage it was counted in. */
    day: text("day"),
    sid: text("sid"),
    /** Null while it is not known what became of it; `absent`: two listings of the carrier did not have it. */
    outcome: text("outcome").$type<"accepted" | "refused" | "retry" | "ambiguous" | "absent">(),
    detail: text("detail"),
  },
  (table) => [
    primaryKey({ columns: [table.message, table.attempt] }),
    index("attempts_sid").on(table.sid).where(sql`${table.sid} is not null`),
  ],
);

/** Attempts of which nobody knows whether the carrier took them, until that is known. */
export const doubts = sqliteTable(
  "doubts",
  {
    message: integer("message")
      .notNull()
      .references(() => messages.seq, { onDelete: "cascade" }),
    attempt: integer("attempt").notNull(),
    channel: text("channel").notNull(),
    recipient: text("recipient").notNull(),
    /**
     * `looking`: the carrier's list is read for it; `untold`: it could not be told, and the operator is to hear of it;
     * `undecided`: the operator has; `again`: the message was sent again, and this attempt may turn up yet.
     */
    state: text("state").$type<"looking" | "untold" | "undecided" | "again">().notNull(),
    startedAt: integer("started_at").notNull(),
    /** When the first listing that had nothing of it was begun. */
    missedAt: integer("missed_at"),
    /** The next look, or the lease of one that is under way. */
    dueAt: integer("due_at"),
    /** Nobody looks any more from then on. */
    until: integer("until_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.message, table.attempt] }),
    index("doubts_due").on(table.channel, table.dueAt).where(sql`${table.dueAt} is not null`),
    index("doubts_recipient").on(table.recipient),
    index("doubts_untold").on(table.message).where(sql`${table.state} = 'untold'`),
    index("doubts_age").on(table.startedAt),
  ],
);

/** Callbacks for sids that are not known yet: the carrier was faster than its own answer. */
export const earlyCallbacks = sqliteTable(
  "early_callbacks",
  {
    seq: integer("seq").primaryKey(),
    sid: text("sid").notNull(),
    status: text("status").notNull(),
    errorCode: integer("error_code"),
    error: json<Explained>("error"),
    at: integer("at").notNull(),
  },
  (table) => [index("early_callbacks_sid").on(table.sid), index("early_callbacks_at").on(table.at)],
);

export const pairedAddresses = sqliteTable(
  "paired_addresses",
  {
    channel: text("channel").notNull(),
    address: text("address").notNull(),
    label: text("label"),
    pairedAt: integer("paired_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.channel, table.address] })],
);

/** The unspent code of a channel. */
export const pairings = sqliteTable("pairings", {
  channel: text("channel").primaryKey(),
  id: text("id").notNull(),
  code: text("code").notNull(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at").notNull(),
});

export const pairingAttempts = sqliteTable(
  "pairing_attempts",
  {
    seq: integer("seq").primaryKey(),
    channel: text("channel").notNull(),
    address: text("address").notNull(),
    at: integer("at").notNull(),
  },
  (table) => [
    index("pairing_attempts_sender").on(table.channel, table.address, table.at),
    index("pairing_attempts_at").on(table.at),
  ],
);

export const pairingLocks = sqliteTable(
  "pairing_locks",
  {
    channel: text("channel").notNull(),
    address: text("address").notNull(),
    until: integer("until_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.channel, table.address] }),
    index("pairing_locks_until").on(table.until),
  ],
);

export const optOuts = sqliteTable(
  "opt_outs",
  {
    channel: text("channel").notNull(),
    address: text("address").notNull(),
    at: integer("at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.channel, table.address] })],
);

/** Parts of a reply that wait for `MORE`. */
export const heldReplies = sqliteTable(
  "held_replies",
  {
    channel: text("channel").notNull(),
    address: text("address").notNull(),
    id: text("id").notNull(),
    /** Of the reply. No references: the parts outlive both. */
    conversationId: text("conversation_id").notNull(),
    turnId: text("turn_id").notNull(),
    parts: json<readonly string[]>("parts").notNull(),
    expiresAt: integer("expires_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.channel, table.address] }),
    index("held_replies_expiry").on(table.expiresAt),
  ],
);

export const idempotencyKeys = sqliteTable(
  "idempotency_keys",
  {
    key: text("key").primaryKey(),
    fingerprint: text("fingerprint").notNull(),
    message: integer("message")
      .notNull()
      .references(() => messages.seq, { onDelete: "cascade" }),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [
    index("idempotency_keys_age").on(table.createdAt),
    index("idempotency_keys_message").on(table.message),
  ],
);

/** Who waits, or waited, for a signal. */
export const watches = sqliteTable(
  "watches",
  {
    seq: integer("seq").primaryKey(),
    id: text("id").notNull(),
    state: text("state").$type<WatchState>().notNull(),
    filters: json<WatchFilters>("filters").notNull(),
    mode: text("mode").$type<"once" | "continuous">().notNull(),
    consume: text("consume").$type<"claim" | "peek">().notNull(),
    backfill: integer("backfill").notNull(),
    owner: json<WatchOwner>("owner").notNull(),
    /** The turn it belongs to, where an agent waits. */
    turnId: text("turn_id"),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
    endedAt: integer("ended_at"),
  },
  (table) => [
    uniqueIndex("watches_id").on(table.id),
    index("watches_pending").on(table.expiresAt).where(sql`${table.state} = 'pending'`),
    index("watches_state").on(table.state),
    index("watches_turn").on(table.turnId).where(sql`${table.turnId} is not null`),
    index("watches_ended").on(table.endedAt).where(sql`${table.endedAt} is not null`),
  ],
);

export const watchSignals = sqliteTable(
  "watch_signals",
  {
    watch: integer("watch")
      .notNull()
      .references(() => watches.seq, { onDelete: "cascade" }),
    message: integer("message")
      .notNull()
      .references(() => messages.seq, { onDelete: "cascade" }),
    at: integer("at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.watch, table.message] }),
    index("watch_signals_message").on(table.message),
  ],
);

/** The queue of texts that wait to be judged for watches with `instructions`. */
export const judgements = sqliteTable(
  "judgements",
  {
    watch: integer("watch")
      .notNull()
      .references(() => watches.seq, { onDelete: "cascade" }),
    message: integer("message")
      .notNull()
      .references(() => messages.seq, { onDelete: "cascade" }),
    /** Tries so far, the one that runs included. */
    attempts: integer("attempts").notNull(),
    dueAt: integer("due_at").notNull(),
    leaseUntil: integer("lease_until"),
  },
  (table) => [
    primaryKey({ columns: [table.watch, table.message] }),
    index("judgements_message").on(table.message),
    index("judgements_due").on(table.dueAt).where(sql`${table.leaseUntil} is null`),
    index("judgements_lease").on(table.leaseUntil).where(sql`${table.leaseUntil} is not null`),
  ],
);

/** Which watch a wait with an idempotency key has made. */
export const watchKeys = sqliteTable(
  "watch_keys",
  {
    key: text("key").primaryKey(),
    fingerprint: text("fingerprint").notNull(),
    watch: integer("watch")
      .notNull()
      .references(() => watches.seq, { onDelete: "cascade" }),
    until: integer("until_at").notNull(),
  },
  (table) => [index("watch_keys_until").on(table.until), index("watch_keys_watch").on(table.watch)],
);

/**
 * The log of events: what has happened to which message, watch or conversation, never a second copy of a text. The
 * newest row always stays, so that no position is used twice.
 */
export const events = sqliteTable(
  "events",
  {
    seq: integer("seq").primaryKey(),
    /** 48 random bits: a restored backup does not give the id of an old event to a new one. */
    nonce: integer("nonce").notNull(),
    type: text("type").$type<EventType>().notNull(),
    at: integer("at").notNull(),
    /** Id of the message or conversation it is about; the channel of a `channel.status`. */
    subject: text("subject"),
    /** The state a message came to. */
    state: text("state").$type<DeliveryState>(),
    /** The watch that got a signal. */
    watch: text("watch"),
    /** What is known of it nowhere else. */
    content: json<EventFacts>("content"),
  },
  (table) => [index("events_alerts").on(table.at).where(sql`${table.type} = 'alert'`)],
);

/** The words of events that are about no row of another table. */
export interface EventFacts {
  readonly status?: ChannelStatus;
  readonly reason?: string;
  readonly cause?: string;
  readonly message?: string;
  readonly fix?: string;
}

/** How far each webhook has been told. */
export const webhooks = sqliteTable("webhooks", {
  /** A digest of its URL, which may hold a secret. */
  key: text("key").primaryKey(),
  position: integer("position").notNull(),
  failures: integer("failures").notNull(),
  failingSince: integer("failing_since"),
  paused: integer("paused", { mode: "boolean" }).notNull(),
  dueAt: integer("due_at").notNull(),
  leaseUntil: integer("lease_until"),
  /** Events that were removed before it was told of them, by type, as far as nobody was told of that. */
  lost: json<LostEvents>("lost"),
});

export const tokens = sqliteTable(
  "tokens",
  {
    seq: integer("seq").primaryKey(),
    id: text("id").notNull(),
    name: text("name").notNull(),
    /** SHA-256 of the token, hexadecimal. */
    hash: text("hash").notNull(),
    scopes: json<readonly Scope[]>("scopes").notNull(),
    channels: json<readonly string[]>("channels"),
    createdAt: integer("created_at").notNull(),
    expiresAt: integer("expires_at"),
    lastUsedAt: integer("last_used_at"),
  },
  (table) => [uniqueIndex("tokens_id").on(table.id), uniqueIndex("tokens_hash").on(table.hash)],
);

/** What went through each channel on each local day (`YYYY-MM-DD`). */
export const usage = sqliteTable(
  "usage",
  {
    day: text("day").notNull(),
    channel: text("channel").notNull(),
    inbound: integer("inbound").notNull(),
    outbound: integer("outbound").notNull(),
    /** Of the outbound texts. */
    segments: integer("segments").notNull(),
    inboundSegments: integer("inbound_segments").notNull(),
    /** Of language models. */
    inputTokens: integer("input_tokens").notNull(),
    outputTokens: integer("output_tokens").notNull(),
  },
  (table) => [primaryKey({ columns: [table.day, table.channel] })],
);

/** One row that is written to find out whether the database can be written. */
export const heartbeat = sqliteTable("heartbeat", {
  id: integer("id").primaryKey(),
  at: integer("at").notNull(),
  /** Written where it has to be known whether there is room. */
  ballast: blob("ballast", { mode: "buffer" }),
});

/** What has happened to the file itself: when the backup it comes from was made, and when that was restored. */
export const fileMarks = sqliteTable("file_marks", {
  name: text("name").$type<"backup" | "restore">().primaryKey(),
  at: integer("at").notNull(),
});
