import { and, asc, lte, sql } from "drizzle-orm";
import { GIVE_UP_AFTER } from "../delivery.ts";
import type { Explained } from "../errors.ts";
import type { DeliveryState, NewOutbound } from "../message.ts";
import type { ClaimedSend, SendClaim } from "../store.ts";
import { billedSegments, type LocalDay } from "../usage.ts";
import type { Attempts } from "./attempts.ts";
import type { Conversations } from "./conversations.ts";
import type { Doubts } from "./doubts.ts";
import type { MessageRow, Messages } from "./messages.ts";
import { outbox } from "./schema.ts";
import type { Senders } from "./senders.ts";
import { type Db, is, param, type Read, setTo, upTo, type Write } from "./statement.ts";
import type { Usage } from "./usage.ts";

type OutboxRow = typeof outbox.$inferSelect;

/** The queue of sends. All methods run inside a write, but `nextDue` and `heldUntil`. */
export interface Outbox {
  /** Puts a text into the queue, or keeps it as `suppressed` where it may not be sent. */
  put(outbound: NewOutbound): { readonly seq: number; readonly state: DeliveryState };
  /** Keeps a text that is never sent, to show why. */
  keep(outbound: NewOutbound, state: "suppressed" | "failed", error: Explained): void;
  claim(claim: SendClaim): readonly ClaimedSend[];
  nextDue(channels: readonly string[]): number | undefined;
  /** When the day's segments do not suffice for the first due send: the start of the next day. */
  heldUntil(channels: readonly string[], now: number, segmentsPerDay: number): number | undefined;
  /** Takes a message out of the queue: it is with the carrier, or has come to its end. False: it was not in it. */
  leave(seq: number): boolean;
  /** Whether the message is in the queue: it holds its recipient's order. */
  has(seq: number): boolean;
  /** Ends the leases and the holds that are over. */
  expire(now: number): void;
  /** Puts in again what had left the queue. */
  again(message: MessageRow, attempt: number, at: number): void;
  /** Back to `pending`: the try is known to have failed. */
  retry(message: MessageRow, attempt: number, dueAt: number, at: number, reason: string): void;
  /** Nobody knows what became of the try. */
  lose(seq: number, at: number, reason: string): void;
  /**
   * Every send under way becomes `unknown`: the process that made it is dead. Answers how many. What was looked for
   * before is looked for further.
   */
  loseAll(now: number): number;
  /** Gives up what has been pending for too long; at most `limit`. Answers how many. */
  giveUp(now: number, limit: number): number;
}

/** Most rows one claim looks at, opted-out and given-up ones included. */
const LOOKED_AT = 1_000;

export interface OutboxParts {
  readonly messages: Messages;
  readonly attempts: Attempts;
  readonly doubts: Doubts;
  readonly senders: Senders;
  readonly conversations: Conversations;
  readonly usage: Usage;
  readonly localDay: (at: number) => LocalDay;
  /** What a channel sends as, kept with the message; undefined where it is not known. */
  readonly senderOf: (channel: string) => string | undefined;
}

export function createOutbox(db: Db, parts: OutboxParts): Outbox {
  const { messages, attempts, doubts, senders, conversations, usage } = parts;

  const insert: Write<Omit<OutboxRow, "state" | "head" | "until">> = db
    .insert(outbox)
    .values({
      message: param("message"),
      channel: param("channel"),
      recipient: param("recipient"),
      state: "pending",
      head: sql`not exists (select 1 from ${outbox} where ${outbox.channel} = +${param("channel")}
        and ${outbox.recipient} = +${param("recipient")})`,
      attempt: param("attempt"),
      dueAt: param("dueAt"),
      until: null,
      createdAt: param("createdAt"),
    })
    .prepare();
  const bySeq: Read<{ message: number }, OutboxRow> = db
    .select()
    .from(outbox)
    .where(is(outbox.message, "message"))
    .prepare();
  const due: Read<{ channel: string; now: number; limit: number }, OutboxRow> = db
    .select()
    .from(outbox)
    .where(
      and(
        sql`${outbox.state} = 'pending' and ${outbox.head} = 1`,
        is(outbox.channel, "channel"),
        lte(outbox.dueAt, param("now")),
      ),
    )
    .orderBy(asc(outbox.dueAt), upTo("limit", asc(outbox.message)))
    .prepare();
  const firstDue: Read<{ channel: string }, { dueAt: number }> = db
    .select({ dueAt: outbox.dueAt })
    .from(outbox)
    .where(and(sql`${outbox.state} = 'pending' and ${outbox.head} = 1`, is(outbox.channel, "channel")))
    .orderBy(asc(outbox.dueAt))
    .prepare();
  const over: Read<{ now: number; limit: number }, OutboxRow> = db
    .select()
    .from(outbox)
    .where(lte(outbox.until, param("now")))
    .orderBy(upTo("limit", asc(outbox.until)))
    .prepare();
  const firstOver: Read<Record<string, never>, { until: number | null }> = db
    .select({ until: outbox.until })
    .from(outbox)
    .where(sql`${outbox.until} is not null`)
    .orderBy(asc(outbox.until))
    .prepare();
  const underWay: Read<Record<string, never>, OutboxRow> = db
    .select()
    .from(outbox)
    .where(sql`${outbox.until} is not null and ${outbox.state} = 'sending'`)
    .prepare();
  const old: Read<{ before: number; limit: number }, OutboxRow> = db
    .select()
    .from(outbox)
    .where(and(sql`${outbox.state} = 'pending'`, lte(outbox.createdAt, param("before"))))
    .orderBy(upTo("limit", asc(outbox.createdAt)))
    .prepare();
  const change: Write<OutboxRow> = db
    .update(outbox)
    .set({ state: setTo("state"), attempt: setTo("attempt"), dueAt: setTo("dueAt"), until: setTo("until") })
    .where(is(outbox.message, "message"))
    .prepare();
  const remove: Write<{ message: number }> = db.delete(outbox).where(is(outbox.message, "message")).prepare();
  const promote: Write<{ channel: string; recipient: string }> = db
    .update(outbox)
    .set({ head: true })
    .where(
      sql`${outbox.message} = (select min(${outbox.message}) from ${outbox}
        where ${outbox.channel} = +${param("channel")} and ${outbox.recipient} = +${param("recipient")}
        having sum(${outbox.head}) = 0)`,
    )
    .prepare();

  function leave(row: OutboxRow): void {
    remove.run({ message: row.message });
    promote.run({ channel: row.channel, recipient: row.recipient });
  }

  function end(row: OutboxRow, state: DeliveryState, error: Explained, at: number): void {
    messages.setState(row.message, state, at, { error });
    leave(row);
  }

  /** The carrier's list is read for it from now on; the recipient's other messages wait a little for its fate. */
  function lose(row: OutboxRow, at: number, detail: string): void {
    const { message, attempt, channel, recipient } = row;
    const startedAt = attempts.get(message, attempt)?.startedAt ?? at;
    const until = doubts.open({ message, attempt, channel, recipient, startedAt }, at);
    change.run({ ...row, state: "unknown", until });
    messages.setState(row.message, "unknown", at, { detail });
  }

  /** Leases and holds that are over. */
  function expire(now: number): void {
    for (const row of over.all({ now, limit: LOOKED_AT })) {
      if (row.state === "sending") lose(row, now, "No answer of the carrier was recorded in time.");
      else {
        doubts.giveUp(row.message);
        messages.setState(row.message, "unknown", now, { error: UNDECIDED });
        leave(row);
      }
    }
  }

  function dueIn(channels: readonly string[], now: number, limit: number): readonly OutboxRow[] {
    return channels
      .flatMap((channel) => due.all({ channel, now, limit }))
      .sort((a, b) => a.dueAt - b.dueAt || a.message - b.message)
      .slice(0, limit);
  }

  /** Whether the segments left of the day's suffice for one more message. */
  function fits(message: MessageRow, day: string, segmentsPerDay: number | undefined): boolean {
    if (segmentsPerDay === undefined) return true;
    return usage.segmentsOn(day) + billedSegments(message.segments) <= segmentsPerDay;
  }

  /** `over`: it and all that come after it wait for the next day. */
  function claimOne(
    row: OutboxRow,
    { now, lease, segmentsPerDay }: SendClaim,
  ): ClaimedSend | "over" | undefined {
    const message = messages.bySeq(row.message);
    if (senders.optedOut(row.channel, row.recipient)) {
      end(row, "suppressed", OPTED_OUT, now);
      return undefined;
    }
    if (now - row.createdAt >= GIVE_UP_AFTER) {
      end(row, "failed", GIVEN_UP, now);
      return undefined;
    }
    const { day } = parts.localDay(now);
    if (!fits(message, day, segmentsPerDay)) return "over";
    const attempt = row.attempt + 1;
    change.run({ ...row, state: "sending", attempt, until: now + lease });
    attempts.start(row.message, attempt, now, day);
    usage.sent(row.channel, day, 1, billedSegments(message.segments));
    messages.setState(row.message, "sending", now);
    return { message: outboundOf(message), attempt };
  }

  function insertMessage(outbound: NewOutbound, state: DeliveryState, error?: Explained): number {
    const seq = messages.insertOutbound(outbound, parts.senderOf(outbound.channel) ?? "", state, error);
    if (outbound.conversationId !== undefined) conversations.grew(outbound.conversationId, 1);
    return seq;
  }

  return {
    put(outbound) {
      const { channel, to: recipient, createdAt } = outbound;
      const error = outbound.forbidden ?? (senders.optedOut(channel, recipient) ? OPTED_OUT : undefined);
      const state = error === undefined ? "pending" : "suppressed";
      const seq = insertMessage(outbound, state, error);
      if (error === undefined)
        insert.run({ message: seq, channel, recipient, attempt: 0, dueAt: createdAt, createdAt });
      return { seq, state };
    },
    keep: (outbound, state, error) => void insertMessage(outbound, state, error),
    claim(claim) {
      expire(claim.now);
      const claimed: ClaimedSend[] = [];
      for (let looked = 0; looked < LOOKED_AT && claimed.length < claim.limit; ) {
        const rows = dueIn(claim.channels, claim.now, claim.limit - claimed.length);
        if (rows.length === 0) break;
        looked += rows.length;
        for (const row of rows) {
          const send = claimOne(row, claim);
          if (send === "over") return claimed;
          if (send !== undefined) claimed.push(send);
        }
      }
      return claimed;
    },
    nextDue(channels) {
      const times = channels.map((channel) => firstDue.get({ channel })?.dueAt);
      times.push(firstOver.get({})?.until ?? undefined);
      return earliest(times);
    },
    heldUntil(channels, now, segmentsPerDay) {
      const first = dueIn(channels, now, 1)[0];
      if (first === undefined) return undefined;
      const { day, end } = parts.localDay(now);
      return fits(messages.bySeq(first.message), day, segmentsPerDay) ? undefined : end;
    },
    leave(seq) {
      const row = bySeq.get({ message: seq });
      if (row !== undefined) leave(row);
      return row !== undefined;
    },
    has: (seq) => bySeq.get({ message: seq }) !== undefined,
    expire,
    again({ seq, channel, to: recipient }, attempt, at) {
      insert.run({ message: seq, channel, recipient, attempt, dueAt: at, createdAt: at });
    },
    retry(message, attempt, dueAt, at, reason) {
      const row = bySeq.get({ message: message.seq });
      if (row !== undefined) change.run({ ...row, state: "pending", dueAt, until: null });
      // It was `unknown` for so long that it had left the queue.
      else
        insert.run({
          message: message.seq,
          channel: message.channel,
          recipient: message.to,
          attempt,
          dueAt,
          createdAt: message.createdAt,
        });
      messages.setState(message.seq, "pending", at, { detail: reason });
    },
    lose(seq, at, reason) {
      const row = bySeq.get({ message: seq });
      if (row !== undefined) lose(row, at, reason);
    },
    loseAll(now) {
      for (const { message, until } of doubts.resume(now)) {
        const row = bySeq.get({ message });
        if (row?.state === "unknown") change.run({ ...row, until });
      }
      const rows = underWay.all({});
      for (const row of rows) lose(row, now, "The service stopped while it was being sent.");
      return rows.length;
    },
    giveUp(now, limit) {
      const rows = old.all({ before: now - GIVE_UP_AFTER, limit });
      for (const row of rows) end(row, "failed", GIVEN_UP, now);
      return rows.length;
    },
  };
}

/** The earliest of the times that there are. */
export function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function outboundOf(row: MessageRow): NewOutbound {
  return {
    id: row.id,
    channel: row.channel,
    to: row.to,
    text: row.text ?? "",
    mediaUrls: (row.media ?? []).map((media) => media.url),
    ...(row.contentSid === null ? {} : { contentSid: row.contentSid }),
    ...(row.contentVariables === null ? {} : { contentVariables: row.contentVariables }),
    segments: row.segments ?? 0,
    ...(row.conversationId === null ? {} : { conversationId: row.conversationId }),
    ...(row.turnId === null ? {} : { turnId: row.turnId }),
    ...(row.policies === null ? {} : { policies: row.policies }),
    createdAt: row.createdAt,
  };
}

export const OPTED_OUT: Explained = {
  meaning: "The recipient has opted out with STOP, so nothing is sent to it on this channel.",
  fix: "Only the recipient can lift this, by texting START.",
};

const UNDECIDED: Explained = {
  meaning: "It could not be told whether the carrier has it, so it is not sent again by itself.",
  fix: "Look into the carrier's log, or ask the recipient; if it is missing: sms-agent messages resend ID.",
};

const GIVEN_UP: Explained = {
  meaning: "It could not be handed to the carrier for four hours and was given up.",
  fix: "See why the channel could not send (sms-agent status), then send it again.",
};
