import { asc } from "drizzle-orm";
import type { SentMessage } from "../carrier.ts";
import { advance, deliveryStateOf, holdsOrder } from "../delivery.ts";
import type { Explained } from "../errors.ts";
import type { AttemptRef, DeliveryState, StatusEvent } from "../message.ts";
import type { SettleSend, StatusOutcome } from "../store.ts";
import { billedSegments } from "../usage.ts";
import type { AttemptRow, Attempts } from "./attempts.ts";
import type { Changes } from "./changes.ts";
import type { Doubts } from "./doubts.ts";
import type { MessageRow, Messages } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import { earlyCallbacks } from "./schema.ts";
import type { Senders } from "./senders.ts";
import { type Db, is, param, type Read, type Write } from "./statement.ts";
import type { Usage } from "./usage.ts";

type EarlyRow = typeof earlyCallbacks.$inferSelect;

/** What becomes of a send: the answer of the carrier's API, its callbacks and its list, in whichever order they come. */
export interface Delivery {
  /** Answers whether the carrier has been found to have taken the message twice. */
  settle(settle: SettleSend): { readonly doubled: boolean };
  record(event: StatusEvent & { readonly error?: Explained }): StatusOutcome;
  /** The carrier's list has the attempt. */
  adopt(seq: number, attempt: number, sent: Adopted, at: number): { readonly doubled: boolean };
  /** The carrier's list does not have the attempt, and cannot have it any more: it is tried again. */
  miss(seq: number, attempt: number, at: number): void;
}

type Adopted = SentMessage & { readonly error?: Explained };

export interface DeliveryParts {
  readonly messages: Messages;
  readonly attempts: Attempts;
  readonly doubts: Doubts;
  readonly outbox: Outbox;
  readonly senders: Senders;
  readonly usage: Usage;
  readonly changes: Pick<Changes, "note">;
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
  { messages, attempts, doubts, outbox, senders, usage, changes }: DeliveryParts,
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
  function hear(seq: number, { attempt, hadSid }: Speaker, heard: Heard): Hearing {
    const row = messages.bySeq(seq);
    const current = deliveryOf(row);
    const said = deliveryStateOf(heard.status);
    const counts = !isReplaced(row, attempt, hadSid) || outlives(said, hadSid);
    const next = counts ? advance(current, said ?? "queued") : current;
    const moved = next !== current;
    if (holdsOrder(current) && !holdsOrder(next) && next !== "failed")
      changes.note({ kind: "carried", channel: row.channel, segments: billedSegments(row.segments) });
    const told =
      said === undefined || (!moved && said !== heard.status)
        ? `The carrier says "${heard.status}".`
        : (heard.error?.meaning ?? (heard.errorCode === undefined ? undefined : `error ${heard.errorCode}`));
    const detail = counts
      ? told
      : [`Of try ${attempt}, which another one has replaced.`, told].join(" ").trim();
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
    return { moved, counts, freed: counts && outbox.leave(seq) };
  }

  /** Another try has taken its place, or is about to. */
  function isReplaced(row: MessageRow, attempt: number, hadSid: boolean): boolean {
    return (row.state === "pending" && hadSid) || attempt < attempts.last(row.seq);
  }

  function applyEarly(seq: number, speaker: Speaker, sid: string): void {
    const rows = early.all({ sid });
    if (rows.length === 0) return;
    for (const row of rows)
      hear(seq, speaker, {
        status: row.status,
        at: row.at,
        errorCode: row.errorCode ?? undefined,
        error: row.error ?? undefined,
        repeatsCount: true,
      });
    forget.run({ sid });
  }

  /** The carrier is known to have taken this try. Tells whether it thereby has taken the message twice. */
  function learn(row: MessageRow, attempt: number, sid: string, at: number): Learnt {
    const { seq } = row;
    const before = attempts.get(seq, attempt);
    const hadSid = before !== undefined && before.sid !== null;
    if (hadSid) return { hadSid, doubled: false };
    attempts.settle(seq, attempt, { outcome: "accepted", sid }, at);
    const plain = attempt === 1 && before?.outcome === null && row.state === "sending";
    if (plain) return { hadSid, doubled: false };
    if (before?.outcome === "absent" && before.day !== null)
      usage.sent(row.channel, before.day, 1, billedSegments(row.segments));
    doubts.end(seq, attempt);
    doubts.again(seq, at);
    const doubled = attempts.hasOtherSid(seq, attempt) && isSurplus(row, attempt, before);
    if (doubled)
      messages.addEvent(
        seq,
        row.state,
        at,
        `The carrier has taken this message twice; try ${attempt} is ${sid}.`,
      );
    return { hadSid, doubled };
  }

  /** The message is with the carrier by another try; whether by this one too is looked up later. */
  function watch({ seq: message, channel, to: recipient }: MessageRow, attempt: number, at: number): void {
    const made = attempts.get(message, attempt);
    if (made === undefined || made.sid !== null) return;
    doubts.open({ message, attempt, channel, recipient, startedAt: made.startedAt }, at);
    doubts.again(message, at);
  }

  /** A message that failed may be sent again on purpose; then the carrier has it twice, and one was meant. */
  function isSurplus(row: MessageRow, attempt: number, before: AttemptRow | undefined): boolean {
    if (attempt < attempts.last(row.seq)) return before === undefined || isDoubtful(before);
    return isCarried(row);
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
        case "accepted": {
          const { sid, status, segments } = outcome;
          const { hadSid, doubled } = learn(row, attempt, sid, at);
          recount(row, attempt, segments);
          messages.setCarrier(seq, sid, segments);
          hear(seq, { attempt, hadSid }, { status, at, repeatsCount: true });
          applyEarly(seq, { attempt, hadSid }, sid);
          return { doubled };
        }
        case "refused": {
          const { error, optedOut } = outcome;
          uncount(row, attempt);
          attempts.settle(seq, attempt, { outcome: "refused", detail: error.meaning }, at);
          doubts.end(seq, attempt);
          if (optedOut) senders.optOut(row.channel, row.to, at);
          if (!open) return ONCE;
          messages.setState(seq, optedOut ? "suppressed" : "failed", at, { error });
          outbox.leave(seq);
          return ONCE;
        }
        case "retry":
          uncount(row, attempt);
          attempts.settle(seq, attempt, { outcome: "retry", detail: outcome.reason }, at);
          doubts.end(seq, attempt);
          if (open) outbox.retry(row, attempt, dueAt ?? at, at, outcome.reason);
          return ONCE;
        case "ambiguous":
          attempts.settle(seq, attempt, { outcome: "ambiguous", detail: outcome.reason }, at);
          if (open && row.state === "sending") outbox.lose(seq, at, outcome.reason);
          else if (attempt > 1 && !open && isCarried(row)) watch(row, attempt, at);
          return ONCE;
      }
    },
    record(event) {
      const { sid, ref } = event;
      const subject = (ref === undefined ? undefined : namedBy(event, ref)) ?? ownedBy(event);
      if (subject === undefined) {
        keep.run({
          sid,
          status: event.status,
          errorCode: event.errorCode ?? null,
          error: event.error ?? null,
          at: event.at,
        });
        return { kind: "kept" };
      }
      const { row, attempt } = subject;
      const { seq } = row;
      const { hadSid, doubled } = learn(row, attempt, sid, event.at);
      const { moved, counts, freed } = hear(
        seq,
        { attempt, hadSid },
        {
          status: event.status,
          at: event.at,
          errorCode: event.errorCode,
          error: event.error,
          repeatsCount: ref !== undefined,
        },
      );
      if (counts) messages.setCarrier(seq, sid, undefined);
      const state = deliveryOf(messages.bySeq(seq));
      return { kind: "applied", messageId: row.id, channel: row.channel, state, moved, freed, doubled };
    },
    adopt(seq, attempt, sent, at) {
      const row = messages.bySeq(seq);
      const { sid, status, errorCode, error, segments } = sent;
      const { hadSid, doubled } = learn(row, attempt, sid, at);
      recount(row, attempt, segments);
      const { counts } = hear(seq, { attempt, hadSid }, { status, at, errorCode, error, repeatsCount: true });
      if (counts) messages.setCarrier(seq, sid, segments);
      applyEarly(seq, { attempt, hadSid: true }, sid);
      return { doubled };
    },
    miss(seq, attempt, at) {
      const row = messages.bySeq(seq);
      uncount(row, attempt);
      attempts.settle(seq, attempt, { outcome: "absent", detail: ABSENT }, at);
      doubts.again(seq, at);
      outbox.retry(row, attempt, at, at, ABSENT);
    },
  };

  /**
   * The message a callback names, if it may speak for it: of the channel it came to, an attempt that was made,
   * and no other message of the carrier's than the one that is known for that attempt. An attempt that was in doubt
   * may turn up beside the one that took its place.
   */
  function namedBy(event: StatusEvent, { messageId, attempt }: AttemptRef): Subject | undefined {
    const row = outboundOf(messageId);
    if (row === undefined || (event.channel !== undefined && row.channel !== event.channel)) return undefined;
    if (attempt < 1 || attempt > attempts.last(row.seq)) return undefined;
    const owner = attempts.ofSid(event.sid);
    if (owner !== undefined) return owner.message === row.seq ? { row, attempt: owner.attempt } : undefined;
    const known = attempts.get(row.seq, attempt);
    if (known !== undefined && known.sid !== null) return undefined;
    const free = row.providerSid === null || row.providerSid === event.sid;
    const fits = free || (known !== undefined && isDoubtful(known));
    return fits ? { row, attempt } : undefined;
  }

  function ownedBy({ channel, sid }: StatusEvent): Subject | undefined {
    const owner = attempts.ofSid(sid);
    if (owner === undefined) return undefined;
    const row = messages.bySeq(owner.message);
    return channel === undefined || row.channel === channel ? { row, attempt: owner.attempt } : undefined;
  }

  function outboundOf(id: string): MessageRow | undefined {
    const row = messages.byId(id);
    return row?.direction === "outbound" ? row : undefined;
  }
}

const ONCE = { doubled: false };

const ABSENT = "The carrier does not have it, by two of its listings: it is sent again.";

/** Whose message the carrier speaks of. */
interface Subject {
  readonly row: MessageRow;
  readonly attempt: number;
}

/** Which try it is that the carrier speaks of, and whether its sid was known before. */
interface Speaker {
  readonly attempt: number;
  readonly hadSid: boolean;
}

interface Hearing {
  readonly moved: boolean;
  /** False for news of a try that another one has replaced. */
  readonly counts: boolean;
  /** The recipient's next message may go. */
  readonly freed: boolean;
}

interface Learnt {
  readonly hadSid: boolean;
  readonly doubled: boolean;
}

/**
 * News of a replaced try that matter all the same: that it arrived; and, where it was in doubt, that the carrier has
 * it. That it failed is not the end of what replaced it.
 */
function outlives(said: DeliveryState | undefined, hadSid: boolean): boolean {
  if (said === "delivered" || said === "read") return true;
  return (said === "queued" || said === "sent") && !hadSid;
}

/** The carrier is known to have the message, or it has come to its end. */
function isCarried({ state }: MessageRow): boolean {
  return state !== "pending" && state !== "sending" && state !== "unknown";
}

/** Nobody knew what became of it. */
function isDoubtful({ outcome }: AttemptRow): boolean {
  return outcome === null || outcome === "ambiguous" || outcome === "absent";
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
