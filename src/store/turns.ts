import { AppError, type Explained } from "../errors.ts";
import type { FinishTurn, SplitTurn, TurnClaim } from "../store.ts";
import type { JournalEntry } from "../tool.ts";
import { type ClaimedTurn, MAX_TURN_CRASHES, type Turn } from "../turn.ts";
import type { MessageRow } from "./messages.ts";
import { earliest } from "./outbox.ts";
import type { Senders } from "./senders.ts";
import type { Db } from "./statement.ts";
import { createTurnClaims } from "./turn-claims.ts";
import { conclusionOf, createTurnEnds, type TurnEndParts } from "./turn-ends.ts";
import { createTurnQueue, type TurnQueue } from "./turn-queue.ts";
import { createTakeApart, prepareFailedPart } from "./turn-split.ts";
import { prepareTurns, type TurnRow } from "./turn-statements.ts";

/** The queue of agent runs. All methods run inside a write, but `nextDue`. */
export interface Turns extends TurnQueue {
  claim(claim: TurnClaim): readonly ClaimedTurn[];
  /** Queues a turn again that was cut by a clean stop: no crash. */
  release(turnId: string): void;
  nextDue(channels: readonly string[], full: readonly string[]): number | undefined;
  extend(turnIds: readonly string[], until: number): void;
  hold(channel: string): void;
  finish(finish: FinishTurn): boolean;
  split(split: SplitTurn): boolean;
  failedApart(splitFrom: string): boolean;
  journal(turnId: string): readonly JournalEntry[];
  append(turnId: string, entries: readonly JournalEntry[]): void;
  resume(turnId: string, entries: readonly JournalEntry[], at: number): boolean;
  cancelKey(key: string, at: number, reason: string, address?: string): void;
  cancelConversation(key: string, conversationId: string, at: number, reason: string): void;
  /** Every running turn is queued again: the process that ran it is dead. Answers how many. */
  requeueAll(now: number): number;
}

export interface TurnParts extends TurnEndParts {
  readonly senders: Senders;
}

/** Most expired leases one claim looks at. */
const LOOKED_AT = 1_000;

export function createTurns(db: Db, parts: TurnParts): Turns {
  const { messages, conversations, senders, outbox } = parts;
  const statements = prepareTurns(db);
  const {
    active,
    byId,
    lapsed,
    firstLapse,
    running,
    start,
    extend,
    hold,
    requeue,
    promote,
    park,
    resume,
    write,
  } = statements;
  const queue = createTurnQueue(statements, parts);
  const { conclude, cancel, reroute, entriesOf } = createTurnEnds(statements, parts);
  const claims = createTurnClaims(db);
  const takeApart = createTakeApart(db, statements.insert, messages);
  const failedPart = prepareFailedPart(db);

  function requeueOne(row: TurnRow, now: number): void {
    // Whoever runs it sets it aside; only what cannot even be set aside there ends here.
    if (row.crashes < 2 * MAX_TURN_CRASHES) requeue.run({ seq: row.seq, crashes: 1 });
    else conclude(row, { turn: "failed", texts: "failed", error: SET_ASIDE }, now);
  }

  function textsOf(row: TurnRow): ClaimedTurn["texts"] {
    if (row.task === null) return messages.waiting(row.id).map(textOf);
    const { id: messageId, address: from, createdAt: receivedAt } = row;
    return [{ messageId, from, text: row.task.prompt, media: [], receivedAt }];
  }

  function requeueParked(row: TurnRow, at: number): void {
    resume.run({ seq: row.seq, key: row.key, channel: row.channel, at });
  }

  return {
    ...queue,
    claim(claim) {
      const { now, lease, limit } = claim;
      for (const row of lapsed.all({ now, limit: LOOKED_AT })) requeueOne(row, now);
      const keys = new Set<string>();
      const claimed: ClaimedTurn[] = [];
      for (const row of claims.due(claim)) {
        if (claimed.length === limit) break;
        if (keys.has(row.key)) continue; // a shared conversation with turns in two channels
        keys.add(row.key);
        start.run({ seq: row.seq, leaseUntil: now + lease });
        claimed.push({ turn: turnOf(row), texts: textsOf(row) });
      }
      return claimed;
    },
    release(turnId) {
      const row = byId.get({ id: turnId });
      if (row?.state === "running") requeue.run({ seq: row.seq, crashes: 0 });
    },
    nextDue(channels, full) {
      return earliest([claims.next(channels, full), firstLapse.get({})?.leaseUntil ?? undefined]);
    },
    extend(turnIds, leaseUntil) {
      for (const id of turnIds) extend.run({ id, leaseUntil });
    },
    hold: (channel) => void hold.run({ channel }),
    finish({ turnId, end, replies, held, rerouted, usage: spent, at }) {
      const row = byId.get({ id: turnId });
      if (row === undefined || row.state !== "running") return false;
      reroute(row, rerouted, at);
      if (end.kind === "parked") {
        park.run({ seq: row.seq });
        promote.run({ key: row.key, channel: row.channel, at });
        if (end.calls.some((call) => isAnswered(call, entriesOf(row)))) requeueParked(row, at);
        conversations.wentOn(row.conversationId, 0, at);
        return true;
      }
      conclude(row, { ...conclusionOf(end), ...(spent === undefined ? {} : { usage: spent }) }, at);
      for (const reply of replies) outbox.put(reply);
      if (held !== "keep") senders.hold(row.channel, row.address, held);
      conversations.wentOn(row.conversationId, 0, at);
      return true;
    },
    failedApart(splitFrom) {
      const row = byId.get({ id: splitFrom });
      return (
        row !== undefined && failedPart.get({ conversationId: row.conversationId, splitFrom }) !== undefined
      );
    },
    split({ turnId, parts, crashes, error, rerouted, usage: spent, at }) {
      const row = byId.get({ id: turnId });
      if (row === undefined || row.state !== "running") return false;
      reroute(row, rerouted, at);
      takeApart(row, { parts, crashes, at });
      const cost = spent === undefined ? {} : { usage: spent };
      conclude(row, { turn: "failed", texts: "failed", error, ...cost }, at);
      conversations.wentOn(row.conversationId, 0, at);
      return true;
    },
    journal(turnId) {
      const row = byId.get({ id: turnId });
      return row === undefined ? [] : entriesOf(row);
    },
    append(turnId, entries) {
      const row = byId.get({ id: turnId });
      if (row?.state !== "running") throw new AppError("conflict", `the turn ${turnId} is not running`);
      for (const entry of entries) write.run({ turn: row.seq, entry });
    },
    resume(turnId, entries, at) {
      const row = byId.get({ id: turnId });
      if (row === undefined || row.endedAt !== null) return false;
      for (const entry of entries) write.run({ turn: row.seq, entry });
      if (row.state === "parked") requeueParked(row, at);
      return true;
    },
    cancelKey(key, at, reason, address) {
      for (const row of active.all({ key })) {
        if (address === undefined || row.address === address) cancel(row, at, reason);
      }
    },
    cancelConversation(key, conversationId, at, reason) {
      for (const row of active.all({ key })) {
        if (row.conversationId === conversationId) cancel(row, at, reason);
      }
    },
    requeueAll(now) {
      const rows = running.all({});
      for (const row of rows) requeueOne(row, now);
      return rows.length;
    },
  };
}

/** True when the call can go on: it has a result, or what it waited for was confirmed. */
function isAnswered(callId: string, entries: readonly JournalEntry[]): boolean {
  return entries.some(
    (entry) => (entry.kind === "call_result" || entry.kind === "call_confirmed") && entry.callId === callId,
  );
}

const SET_ASIDE: Explained = {
  meaning: "The service died again and again while it worked on this, so it is not tried any more.",
  fix: "See the log for what ended the service; once that is mended, sms-agent messages resend ID tries again.",
};

function turnOf(row: TurnRow): Turn {
  return {
    id: row.id,
    channel: row.channel,
    address: row.address,
    agent: row.agent,
    conversationId: row.conversationId,
    state: "running",
    attempt: row.attempt,
    crashes: row.crashes,
    held: row.held,
    ...(row.task === null ? {} : { task: row.task }),
    ...(row.splitFrom === null ? {} : { splitFrom: row.splitFrom }),
    createdAt: row.createdAt,
  };
}

function textOf(row: MessageRow): ClaimedTurn["texts"][number] {
  return {
    messageId: row.id,
    from: row.from,
    text: row.text ?? "",
    media: row.media ?? [],
    receivedAt: row.createdAt,
  };
}
