import { asc } from "drizzle-orm";
import { advance, deliveryStateOf } from "../delivery.ts";
import type { Explained } from "../errors.ts";
import type { AttemptRef, DeliveryState, StatusEvent } from "../message.ts";
import type { SettleSend, StatusOutcome } from "../store.ts";
import { billedSegments } from "../usage.ts";
import type { Attempts } from "./attempts.ts";
import type { MessageRow, Messages } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import { earlyCallbacks } from "./schema.ts";
import type { Senders } from "./senders.ts";
import { type Db, is, param, type Read, type Write } from "./statement.ts";
import type { Usage } from "./usage.ts";

type EarlyRow = typeof earlyCallbacks.$inferSelect;

/** What becomes of a send: the answer of the carrier's API, and its callbacks, in whichever order they come. */
export interface Delivery {
  settle(settle: SettleSend): void;
  record(event: StatusEvent & { readonly error?: Explained }): StatusOutcome;
}

export interface DeliveryParts {
  readonly messages: Messages;
  readonly attempts: Attempts;
  readonly outbox: Outbox;
  readonly senders: Senders;
  readonly usage: Usage;
}

/** Twilio's "attempt to send to unsubscribed recipient", https://www.twilio.com/docs/api/errors/21610 */
const UNSUBSCRIBED = 21610;

/** A word of the carrier about a message, from a callback or from its API. */
interface Heard {
  readonly status: string;
  readonly at: number;
  readonly errorCode?: number | undefined;
  readonly error?: Explained | undefined;
  /** False for an answer to our own asking, which only counts when it is news. */
  readonly repeatsCount: boolean;
}

export function createDelivery(
  db: Db,
  { messages, attempts, outbox, senders, usage }: DeliveryParts,
): Delivery {
  const keep: Write<Omit<EarlyRow, "seq">> = db
    .insert(earlyCallbacks)
    .values({
      sid: param("sid"),
      status: param("status"),
      errorCode: param("errorCode"),
      error: param("error"),
      at: param("at"),
    })
    .prepare();
  const early: Read<{ sid: string }, EarlyRow> = db
    .select()
    .from(earlyCallbacks)
    .where(is(earlyCallbacks.sid, "sid"))
    .orderBy(asc(earlyCallbacks.seq))
    .prepare();
  const forget: Write<{ sid: string }> = db
    .delete(earlyCallbacks)
    .where(is(earlyCallbacks.sid, "sid"))
    .prepare();

  /** The carrier has the message: whatever it says moves the state forward only, and is kept. */
  function hear(seq: number, heard: Heard): { readonly state: MessageRow["state"]; readonly moved: boolean } {
    const row = messages.bySeq(seq);
    const current = deliveryOf(row);
    const said = deliveryStateOf(heard.status);
    const next = advance(current, said ?? "queued");
    const moved = next !== current;
    const detail =
      said === undefined
        ? `The carrier says "${heard.status}".`
        : (heard.error?.meaning ?? (heard.errorCode === undefined ? undefined : `error ${heard.errorCode}`));
    const why = detail === undefined ? {} : { detail };
    if (moved)
      messages.setState(
        seq,
        next,
        heard.at,
        heard.error === undefined ? why : { ...why, error: heard.error },
      );
    else if (heard.repeatsCount || said !== current)
      messages.addEvent(seq, said ?? "queued", heard.at, detail);
    if (heard.errorCode === UNSUBSCRIBED) senders.optOut(row.channel, row.to, heard.at);
    outbox.leave(seq);
    return { state: next, moved };
  }

  function applyEarly(seq: number, sid: string): void {
    const rows = early.all({ sid });
    if (rows.length === 0) return;
    for (const row of rows)
      hear(seq, {
        status: row.status,
        at: row.at,
        errorCode: row.errorCode ?? undefined,
        error: row.error ?? undefined,
        repeatsCount: true,
      });
    forget.run({ sid });
  }

  /** The try is known to have sent nothing; before its outcome is written. */
  function uncount(row: MessageRow, attempt: number): void {
    const counted = attempts.countedOn(row.seq, attempt);
    if (counted?.open === true) usage.sent(row.channel, counted.day, -1, -billedSegments(row.segments));
  }

  /** The carrier's own count takes the place of ours; before it is written. */
  function recount(row: MessageRow, attempt: number, segments: number | undefined): void {
    const counted = attempts.countedOn(row.seq, attempt);
    if (counted === undefined || segments === undefined) return;
    const change = billedSegments(segments) - billedSegments(row.segments);
    if (change !== 0) usage.sent(row.channel, counted.day, 0, change);
  }

  return {
    settle({ messageId, attempt, outcome, dueAt, at }) {
      const row = outboundOf(messageId);
      if (row === undefined) throw new Error(`there is no outbound message ${messageId}`);
      const { seq } = row;
      // Only the last try decides, and only while nothing of the carrier's own says that it has the message.
      const open = (row.state === "sending" || row.state === "unknown") && attempt === attempts.last(seq);
      switch (outcome.kind) {
        case "accepted":
          attempts.settle(seq, attempt, { outcome: "accepted", sid: outcome.sid }, at);
          recount(row, attempt, outcome.segments);
          messages.setCarrier(seq, outcome.sid, outcome.segments);
          hear(seq, { status: outcome.status, at, repeatsCount: true });
          applyEarly(seq, outcome.sid);
          return;
        case "refused": {
          const { error, optedOut } = outcome;
          uncount(row, attempt);
          attempts.settle(seq, attempt, { outcome: "refused", detail: error.meaning }, at);
          if (optedOut) senders.optOut(row.channel, row.to, at);
          if (!open) return;
          messages.setState(seq, optedOut ? "suppressed" : "failed", at, { error });
          outbox.leave(seq);
          return;
        }
        case "retry":
          uncount(row, attempt);
          attempts.settle(seq, attempt, { outcome: "retry", detail: outcome.reason }, at);
          if (open) outbox.retry(row, attempt, dueAt ?? at, at, outcome.reason);
          return;
        case "ambiguous":
          attempts.settle(seq, attempt, { outcome: "ambiguous", detail: outcome.reason }, at);
          if (open && row.state === "sending") outbox.lose(seq, at, outcome.reason);
          return;
      }
    },
    record(event) {
      const { sid, ref } = event;
      const named = ref === undefined ? undefined : namedBy(event, ref);
      const seq = named?.seq ?? ownedBy(event.channel, attempts.messageOf(sid));
      if (seq === undefined) {
        keep.run({
          sid,
          status: event.status,
          errorCode: event.errorCode ?? null,
          error: event.error ?? null,
          at: event.at,
        });
        return { kind: "kept" };
      }
      if (named !== undefined && ref !== undefined) {
        attempts.settle(seq, ref.attempt, { outcome: "accepted", sid }, event.at);
        messages.setCarrier(seq, sid, undefined);
      }
      const { moved } = hear(seq, {
        status: event.status,
        at: event.at,
        errorCode: event.errorCode,
        error: event.error,
        repeatsCount: ref !== undefined,
      });
      const row = messages.bySeq(seq);
      return { kind: "applied", messageId: row.id, channel: row.channel, state: deliveryOf(row), moved };
    },
  };

  /**
   * The message a callback names, if it may speak for it: of the channel it came to, an attempt that was made,
   * and no other message of the carrier's than the one that is known.
   */
  function namedBy(event: StatusEvent, ref: AttemptRef): MessageRow | undefined {
    const row = outboundOf(ref.messageId);
    if (row === undefined || (event.channel !== undefined && row.channel !== event.channel)) return undefined;
    const made = ref.attempt >= 1 && ref.attempt <= (attempts.last(row.seq) ?? 0);
    const known = row.providerSid === null || row.providerSid === event.sid;
    return made && (known || attempts.messageOf(event.sid) === row.seq) ? row : undefined;
  }

  function ownedBy(channel: string | undefined, seq: number | undefined): number | undefined {
    if (seq === undefined || channel === undefined) return seq;
    return messages.bySeq(seq).channel === channel ? seq : undefined;
  }

  function outboundOf(id: string): MessageRow | undefined {
    const row = messages.byId(id);
    return row?.direction === "outbound" ? row : undefined;
  }
}

/** The state of an outbound message. */
export function deliveryOf(row: MessageRow): DeliveryState {
  switch (row.state) {
    case "received":
    case "handled":
    case "dropped":
      throw new Error(`${row.id} is not an outbound message`);
    default:
      return row.state;
  }
}
