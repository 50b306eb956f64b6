import { and, asc, desc, sql } from "drizzle-orm";
import type { Explained } from "../errors.ts";
import type { DeliveryState, Media, NewOutbound, Route } from "../message.ts";
import type { NewInbound } from "../store.ts";
import type { Changes } from "./changes.ts";
import type { Events } from "./events.ts";
import { messageEvents, messages, rawParameters } from "./schema.ts";
import { type Db, encoded, is, param, type Read, setTo, type Write } from "./statement.ts";

export type MessageRow = typeof messages.$inferSelect;

/** The rows of messages and their events, for the writes of the other files. */
export interface Messages {
  /** Undefined when there is a message with this sid or id. */
  insertInbound(message: NewInbound, place?: Place): number | undefined;
  insertOutbound(message: NewOutbound, from: string, state: DeliveryState, error?: Explained): number;
  addEvent(seq: number, state: MessageRow["state"], at: number, detail?: string): void;
  byId(id: string): MessageRow | undefined;
  bySeq(seq: number): MessageRow;
  /** Where the newest text of this address went. */
  lastTexted(channel: string, address: string): string | undefined;
  /** The id of the inbound text with this sid. */
  inboundId(sid: string): string | undefined;
  /** Sets the state and adds the event; an error that is not given stays as it is, but that of `unknown`. */
  setState(seq: number, state: MessageRow["state"], at: number, why?: StateReason): void;
  /** What the carrier has told; a sid that is known stays. */
  setCarrier(seq: number, sid: string, segments: number | undefined): void;
  /** Outbound: to be sent anew, as if nothing had come of it. */
  reopen(seq: number, at: number, detail: string): void;
  setTurn(seq: number, turnId: string, conversationId: string): void;
  /** Texts of a turn that wait for its end, oldest first. */
  waiting(turnId: string): readonly MessageRow[];
  /** A text that has failed waits for a turn again; nothing of its failure stays but its timeline. */
  requeue(seq: number, at: number, detail: string): void;
  /** Takes a text out of its turn and conversation. */
  reroute(seq: number, to: Rerouted): void;
  /** Nothing of the text stays, its parameters included. */
  erase(seq: number): void;
}

/** Where a text goes. */
export interface Place {
  readonly turnId: string;
  readonly conversationId: string;
}

interface StateReason {
  readonly error?: Explained;
  readonly detail?: string;
}

interface Rerouted {
  readonly route: Route;
  readonly from: string;
  readonly policies: readonly string[];
}

type Moved = Pick<MessageRow, "id" | "channel" | "direction" | "to" | "turnId">;

export function createMessages(
  db: Db,
  events: Pick<Events, "status">,
  changes: Pick<Changes, "note">,
): Messages {
  const insert: Write<Omit<MessageRow, "seq" | "claimedBy">> = db
    .insert(messages)
    .values({
      id: param("id"),
      channel: param("channel"),
      direction: param("direction"),
      from: param("from"),
      to: param("to"),
      text: param("text"),
      media: param("media"),
      state: param("state"),
      firstState: param("firstState"),
      route: param("route"),
      conversationId: param("conversationId"),
      turnId: param("turnId"),
      providerSid: param("providerSid"),
      segments: param("segments"),
      policies: param("policies"),
      error: param("error"),
      late: param("late"),
      annotation: param("annotation"),
      claimedBy: null,
      contentSid: param("contentSid"),
      contentVariables: param("contentVariables"),
      createdAt: param("createdAt"),
    })
    .onConflictDoNothing()
    .prepare();
  /** Half of the columns are the same for every inbound text, and binding one takes as long as writing it. */
  const insertText: Write<
    Omit<
      MessageRow,
      "seq" | "direction" | "late" | "claimedBy" | "contentSid" | "contentVariables" | "media" | "error"
    > & { late: number; media: string | null; error: string | null }
  > = db
    .insert(messages)
    .values({
      id: param("id"),
      channel: param("channel"),
      direction: sql`'inbound'`,
      from: param("from"),
      to: param("to"),
      text: param("text"),
      media: setTo("media"),
      state: param("state"),
      firstState: param("firstState"),
      route: param("route"),
      conversationId: param("conversationId"),
      turnId: param("turnId"),
      providerSid: param("providerSid"),
      segments: param("segments"),
      policies: param("policies"),
      error: setTo("error"),
      late: setTo("late"),
      annotation: param("annotation"),
      claimedBy: sql`null`,
      contentSid: sql`null`,
      contentVariables: sql`null`,
      createdAt: param("createdAt"),
    })
    .onConflictDoNothing()
    .prepare();
  const insertRaw: Write<{ message: number; parameters: string }> = db
    .insert(rawParameters)
    .values({ message: param("message"), parameters: param("parameters") })
    .prepare();
  const deleteRaw: Write<{ message: number }> = db
    .delete(rawParameters)
    .where(is(rawParameters.message, "message"))
    .prepare();
  const insertEvent: Write<{ message: number; state: string; at: number; detail: string | null }> = db
    .insert(messageEvents)
    .values({ message: param("message"), state: param("state"), at: param("at"), detail: param("detail") })
    .prepare();
  const byId: Read<{ id: string }, MessageRow> = db
    .select()
    .from(messages)
    .where(is(messages.id, "id"))
    .prepare();
  const bySeq: Read<{ seq: number }, MessageRow> = db
    .select()
    .from(messages)
    .where(is(messages.seq, "seq"))
    .prepare();
  const lastTo: Read<{ channel: string; from: string }, { to: string }> = db
    .select({ to: messages.to })
    .from(messages)
    .where(
      and(
        is(messages.from, "from"),
        sql`+${messages.channel} = +${param("channel")} and +${messages.direction} = 'inbound'`,
      ),
    )
    .orderBy(desc(messages.seq))
    .limit(1)
    .prepare();
  const inboundId: Read<{ sid: string }, { id: string }> = db
    .select({ id: messages.id })
    .from(messages)
    .where(and(sql`${messages.direction} = 'inbound'`, is(messages.providerSid, "sid")))
    .prepare();
  const setState: Read<{ seq: number; state: string; error: string | null }, Moved> = db
    .update(messages)
    .set({
      state: setTo("state"),
      // Why nobody knew is no error of what became of it.
      error: sql`coalesce(${setTo("error")}, iif(${messages.state} = 'unknown', null, ${messages.error}))`,
    })
    .where(is(messages.seq, "seq"))
    .returning({
      id: messages.id,
      channel: messages.channel,
      direction: messages.direction,
      to: messages.to,
      turnId: messages.turnId,
    })
    .prepare();
  const setCarrier: Write<{ seq: number; sid: string; segments: number | null }> = db
    .update(messages)
    .set({
      providerSid: sql`coalesce(${messages.providerSid}, ${setTo("sid")})`,
      segments: sql`coalesce(${setTo("segments")}, ${messages.segments})`,
    })
    .where(is(messages.seq, "seq"))
    .prepare();
  const reopen: Write<{ seq: number }> = db
    .update(messages)
    .set({ state: "pending", error: null, providerSid: null })
    .where(is(messages.seq, "seq"))
    .prepare();
  const requeue: Write<{ seq: number }> = db
    .update(messages)
    .set({ state: "queued", error: null })
    .where(is(messages.seq, "seq"))
    .prepare();
  const setTurn: Write<{ seq: number; turnId: string; conversationId: string }> = db
    .update(messages)
    .set({ turnId: setTo("turnId"), conversationId: setTo("conversationId") })
    .where(is(messages.seq, "seq"))
    .prepare();
  // A `+` keeps an index from being used, so that the narrow one is.
  const waiting: Read<{ turnId: string }, MessageRow> = db
    .select()
    .from(messages)
    .where(
      and(
        is(messages.turnId, "turnId"),
        sql`+${messages.direction} = 'inbound' and +${messages.state} = 'queued'`,
      ),
    )
    .orderBy(asc(messages.seq))
    .prepare();
  const reroute: Write<{ seq: number; route: string; from: string; policies: string | null }> = db
    .update(messages)
    .set({
      route: setTo("route"),
      from: setTo("from"),
      policies: setTo("policies"),
      turnId: null,
      conversationId: null,
    })
    .where(is(messages.seq, "seq"))
    .prepare();
  const erase: Write<{ seq: number }> = db
    .update(messages)
    .set({ text: null, media: null, annotation: null })
    .where(is(messages.seq, "seq"))
    .prepare();

  function addEvent(seq: number, state: MessageRow["state"], at: number, detail?: string): void {
    insertEvent.run({ message: seq, state, at, detail: detail ?? null });
  }

  function noteMove(moved: Moved, state: MessageRow["state"], meaning: string | undefined): void {
    if (moved.direction === "inbound" || !isDeliveryState(state)) return;
    changes.note({
      kind: "delivery",
      messageId: moved.id,
      channel: moved.channel,
      to: moved.to,
      ...(moved.turnId === null ? {} : { turnId: moved.turnId }),
      state,
      ...(meaning === undefined ? {} : { meaning }),
    });
  }

  return {
    insertInbound(message, place) {
      const done = insertText.run({
        id: message.id,
        channel: message.channel,
        from: message.from,
        to: message.to,
        text: message.text ?? null,
        media: encoded(someOf(message.media)),
        state: message.state,
        firstState: message.error === undefined ? message.state : null,
        route: message.route,
        conversationId: place?.conversationId ?? null,
        turnId: place?.turnId ?? null,
        providerSid: message.sid,
        segments: message.segments ?? null,
        policies: message.policies,
        error: encoded(message.error),
        late: message.late ? 1 : 0,
        annotation: message.annotation ?? null,
        createdAt: message.createdAt,
      });
      if (done.changes === 0) return undefined;
      const seq = Number(done.lastInsertRowid);
      if (message.raw !== undefined) insertRaw.run({ message: seq, parameters: message.raw });
      if (message.error !== undefined) addEvent(seq, message.state, message.createdAt, message.error.meaning);
      return seq;
    },
    insertOutbound(message, from, state, error) {
      const done = insert.run({
        id: message.id,
        channel: message.channel,
        direction: "outbound",
        from,
        to: message.to,
        text: message.text,
        media: someOf(message.mediaUrls.map(untyped)),
        state,
        firstState: error === undefined ? state : null,
        route: null,
        conversationId: message.conversationId ?? null,
        turnId: message.turnId ?? null,
        providerSid: null,
        segments: message.segments,
        policies: message.policies ?? null,
        error: error ?? null,
        late: false,
        annotation: null,
        contentSid: message.contentSid ?? null,
        contentVariables: message.contentVariables ?? null,
        createdAt: message.createdAt,
      });
      if (done.changes === 0) throw new Error(`there is a message ${message.id} already`);
      const seq = Number(done.lastInsertRowid);
      if (error !== undefined) addEvent(seq, state, message.createdAt, error.meaning);
      events.status(seq, state, message.createdAt);
      const { id, channel, to, turnId = null } = message;
      noteMove({ id, channel, direction: "outbound", to, turnId }, state, error?.meaning);
      return seq;
    },
    addEvent,
    byId: (id) => byId.get({ id }),
    bySeq(seq) {
      const row = bySeq.get({ seq });
      if (row === undefined) throw new Error(`there is no message ${seq}`);
      return row;
    },
    lastTexted: (channel, from) => lastTo.get({ channel, from })?.to,
    inboundId: (sid) => inboundId.get({ sid })?.id,
    setState(seq, state, at, why = {}) {
      const moved = setState.get({ seq, state, error: encoded(why.error) });
      const meaning = why.detail ?? why.error?.meaning;
      addEvent(seq, state, at, meaning);
      events.status(seq, state, at);
      if (moved !== undefined) noteMove(moved, state, meaning);
    },
    setCarrier(seq, sid, segments) {
      setCarrier.run({ seq, sid, segments: segments ?? null });
    },
    reopen(seq, at, detail) {
      reopen.run({ seq });
      addEvent(seq, "pending", at, detail);
      events.status(seq, "pending", at);
    },
    requeue(seq, at, detail) {
      requeue.run({ seq });
      addEvent(seq, "queued", at, detail);
      events.status(seq, "queued", at);
    },
    setTurn(seq, turnId, conversationId) {
      setTurn.run({ seq, turnId, conversationId });
    },
    waiting: (turnId) => waiting.all({ turnId }),
    reroute(seq, to) {
      reroute.run({ seq, route: to.route, from: to.from, policies: encoded(to.policies) });
    },
    erase(seq) {
      erase.run({ seq });
      deleteRaw.run({ message: seq });
    },
  };
}

/** A denied sender's text that no watch has got: nothing of it may stay but what is being judged. */
export function isDenied(row: Pick<MessageRow, "route" | "state">): boolean {
  return row.route === "signal" && row.state === "dropped";
}

function someOf(media: readonly Media[]): readonly Media[] | null {
  return media.length === 0 ? null : media;
}

/** What lies behind a link of our own sending is the carrier's to find out. */
function untyped(url: string): Media {
  return { url, contentType: "application/octet-stream" };
}

/** An inbound text has states of its own; `failed` and `queued` are both. */
function isDeliveryState(state: MessageRow["state"]): state is DeliveryState {
  return state !== "received" && state !== "handled" && state !== "dropped";
}
