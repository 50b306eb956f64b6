import { redactAddress } from "../address.ts";
import { turnDueAt } from "../conversation.ts";
import { AppError, type Explained } from "../errors.ts";
import type { InboundState, NewOutbound } from "../message.ts";
import type { FinishTurn, JoinConversation, QueueTurn, SplitTurn, TurnClaim } from "../store.ts";
import type { QueueTask } from "../timed.ts";
import { type JournalEntry, sum, type TokenUsage } from "../tool.ts";
import { type ClaimedTurn, MAX_TURN_CRASHES, MAX_TURN_TEXTS, type Turn, type TurnState } from "../turn.ts";
import type { LocalDay } from "../usage.ts";
import type { Changes } from "./changes.ts";
import type { Conversations } from "./conversations.ts";
import type { MessageRow, Messages, Place } from "./messages.ts";
import { earliest, type Outbox } from "./outbox.ts";
import type { Senders } from "./senders.ts";
import { type Db, encoded } from "./statement.ts";
import { createTurnClaims } from "./turn-claims.ts";
import { createTakeApart, prepareFailedPart } from "./turn-split.ts";
import { prepareTurns, type TurnRow } from "./turn-statements.ts";
import type { Usage } from "./usage.ts";

/** The queue of agent runs. All methods run inside a write, but `nextDue`. */
export interface Turns {
  /** Gives the text to a turn; answers when that turn is due. */
  queue(text: number, turn: QueueTurn): number;
  /** As `queue`, for a text that is about to be written, with the place that is answered. */
  place(turn: QueueTurn): Place & { readonly dueAt: number };
  /** Makes a turn that no text began. */
  queueTask(turn: QueueTask): void;
  /** Answers the conversation, which has gone on at that time. */
  enterConversation(join: JoinConversation): string;
  claim(claim: TurnClaim): readonly ClaimedTurn[];
  /** Queues a turn again that was cut by a clean stop: no crash. */
  release(turnId: string): void;
  /** A fresh turn for one text, which no other joins; due at once. */
  queueAlone(text: number, turn: QueueTurn): void;
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

export interface TurnParts {
  readonly messages: Messages;
  readonly conversations: Conversations;
  readonly senders: Senders;
  readonly outbox: Outbox;
  readonly usage: Usage;
  readonly localDay: (at: number) => LocalDay;
  readonly changes: Pick<Changes, "note">;
  /** Told when texts were erased, so that their copies in the log can go too. */
  readonly onErased: () => void;
}

/** Most expired leases one claim looks at. */
const LOOKED_AT = 1_000;

export function createTurns(db: Db, parts: TurnParts): Turns {
  const { messages, conversations, senders, outbox, usage, changes } = parts;

  const {
    insert,
    active,
    joinable,
    anyActive,
    recent,
    settleDue,
    hasten,
    join,
    byId,
    lapsed,
    firstLapse,
    running,
    start,
    extend,
    hold,
    requeue,
    end,
    promote,
    park,
    resume,
    endWatches,
    forgetPurged,
    journal,
    write,
  } = prepareTurns(db);
  const claims = createTurnClaims(db);
  const takeApart = createTakeApart(db, insert, messages);
  const failedPart = prepareFailedPart(db);

  /** The conversation a text belongs to: the open one, or a fresh one in its place. */
  function conversationFor(turn: JoinConversation): string {
    const open = conversations.openOf(turn.key);
    if (open !== undefined) {
      const idle = turn.at - open.lastAt > turn.idleTimeout && anyActive.get({ key: turn.key }) === undefined;
      if (!idle && open.agent === turn.agent) return open.id;
      conversations.end(open.id, turn.at);
    }
    const { conversationId: id, key, channel, address, agent, at } = turn;
    conversations.open({ id, key, channel, address, agent, at });
    return id;
  }

  /** When a further turn of the sender may start, by the limit per minute. */
  function notBefore({ channel, address, at, perMinute }: QueueTurn): number {
    const limit = Math.max(1, perMinute);
    const nth = recent.all({ channel, address, since: at - MINUTE, limit })[limit - 1];
    return nth === undefined ? at : nth.dueAt + MINUTE;
  }

  /** Ends a turn with what that means for its texts, and lets the next one of its key come forward. */
  function conclude(row: TurnRow, how: Conclusion, at: number): void {
    const spent = how.usage ?? (how.turn === "done" ? undefined : journalled(row));
    end.run({
      seq: row.seq,
      state: how.turn,
      at,
      error: encoded(how.error),
      inputTokens: spent?.inputTokens ?? null,
      outputTokens: spent?.outputTokens ?? null,
    });
    if (spent !== undefined) usage.spent(row.channel, parts.localDay(at).day, spent);
    showUndone(row, how, at);
    const why = how.error === undefined ? {} : { error: how.error };
    for (const text of messages.waiting(row.id)) messages.setState(text.seq, how.texts, at, why);
    // Only a turn that has run before can have left watches that still wait, or outlived a code that it got.
    if (row.state === "parked" || row.attempt > 1) {
      endWatches.run({ turn: row.id, at });
      if (forgetPurged.run({ turn: row.seq, id: row.id }).changes > 0) parts.onErased();
    }
    promote.run({ key: row.key, channel: row.channel, at });
    const { id: turnId, channel, agent, conversationId } = row;
    changes.note({
      kind: "turn",
      turnId,
      channel,
      agent,
      conversationId,
      state: how.turn,
      ...(how.error === undefined ? {} : { meaning: how.error.meaning }),
      ...(spent === undefined ? {} : { usage: spent }),
    });
  }

  /** What the steps of a turn have cost that did not come to an answer. */
  function journalled(row: TurnRow): TokenUsage | undefined {
    const costs = entriesOf(row).flatMap((entry) => (entry.kind === "step" ? (entry.usage ?? []) : []));
    return costs.length === 0 ? undefined : costs.reduce((all, one) => sum(all, one));
  }

  /** A task that came to nothing has no text that could say why, so what was asked for is shown in its place. */
  function showUndone(row: TurnRow, { turn, error }: Conclusion, at: number): void {
    if (row.task === null || error === undefined) return;
    const undone: NewOutbound = {
      id: row.id.replace(/^turn_/, "msg_"),
      channel: row.channel,
      to: row.address,
      text: row.task.content,
      mediaUrls: [],
      segments: 0,
      conversationId: row.conversationId,
      turnId: row.id,
      createdAt: at,
    };
    outbox.keep(undone, turn === "cancelled" ? "suppressed" : "failed", error);
  }

  function requeueOne(row: TurnRow, now: number): void {
    // Whoever runs it sets it aside; only what cannot even be set aside there ends here.
    if (row.crashes < 2 * MAX_TURN_CRASHES) requeue.run({ seq: row.seq, crashes: 1 });
    else conclude(row, { turn: "failed", texts: "failed", error: SET_ASIDE }, now);
  }

  function begin(turn: QueueTurn, conversationId: string, floor: number, texts: number): number {
    const { key, channel, address, agent, held, at } = turn;
    const dueAt = Math.max(floor, turnDueAt(at, at, turn.debounce));
    insert.run({
      id: turn.turnId,
      key,
      channel,
      address,
      agent,
      conversationId,
      texts,
      held,
      createdAt: at,
      notBefore: floor,
      dueAt,
      task: null,
    });
    return dueAt;
  }

  function cancel(row: TurnRow, at: number, reason: string): void {
    conclude(
      row,
      { turn: "cancelled", texts: "dropped", error: { meaning: reason, fix: CANCELLED_FIX } },
      at,
    );
  }

  function reroute(turn: TurnRow, texts: FinishTurn["rerouted"], at: number): void {
    let left = 0;
    for (const { messageId, route, keepText, policies } of texts) {
      const row = messages.byId(messageId);
      if (row === undefined || row.turnId !== turn.id) continue;
      const state = keepText ? "received" : "dropped";
      const from = keepText ? row.from : redactAddress(row.from);
      messages.reroute(row.seq, { route, from, policies });
      messages.setState(row.seq, state, at, { error: DENIED });
      if (!keepText) {
        messages.erase(row.seq);
        parts.onErased();
      }
      left += 1;
    }
    if (left > 0) conversations.grew(turn.conversationId, -left);
  }

  function entriesOf(row: TurnRow): readonly JournalEntry[] {
    return journal.all({ turn: row.seq }).map(({ entry }) => entry);
  }

  function textsOf(row: TurnRow): ClaimedTurn["texts"] {
    if (row.task === null) return messages.waiting(row.id).map(textOf);
    const { id: messageId, address: from, createdAt: receivedAt } = row;
    return [{ messageId, from, text: row.task.prompt, media: [], receivedAt }];
  }

  function requeueParked(row: TurnRow, at: number): void {
    resume.run({ seq: row.seq, key: row.key, channel: row.channel, at });
  }

  function place(turn: QueueTurn): Place & { readonly dueAt: number } {
    const { key, channel, address, agent, at } = turn;
    const found = joinable.get({ key, channel, address, agent });
    if (found !== undefined && found.texts < MAX_TURN_TEXTS) {
      const { id: turnId, conversationId } = found;
      // A turn of the future: the clock was put back, and nobody is to wait until it is there again.
      const dueAt =
        found.createdAt > at
          ? turnDueAt(at, at, turn.debounce)
          : Math.max(found.notBefore, turnDueAt(found.createdAt, at, turn.debounce));
      join.run({ seq: found.seq, dueAt, held: turn.held ? 1 : 0 });
      if (dueAt < found.lookAt) hasten.run({ seq: found.seq, lookAt: dueAt });
      conversations.wentOn(conversationId, 1, at);
      return { turnId, conversationId, dueAt };
    }
    settleDue.run({ key, channel });
    const conversationId = conversationFor(turn);
    const dueAt = begin(turn, conversationId, notBefore(turn), 1);
    conversations.wentOn(conversationId, 1, at);
    return { turnId: turn.turnId, conversationId, dueAt };
  }

  return {
    place,
    queue(text, turn) {
      const { turnId, conversationId, dueAt } = place(turn);
      messages.setTurn(text, turnId, conversationId);
      return dueAt;
    },
    queueAlone(text, turn) {
      const conversationId = conversationFor(turn);
      begin(turn, conversationId, turn.at, MAX_TURN_TEXTS);
      const before = messages.bySeq(text).conversationId;
      messages.setTurn(text, turn.turnId, conversationId);
      if (before !== null && before !== conversationId) conversations.grew(before, -1);
      conversations.wentOn(conversationId, before === conversationId ? 0 : 1, turn.at);
    },
    queueTask(turn) {
      const { turnId, key, channel, address, agent, held, at, task } = turn;
      const conversationId = conversationFor(turn);
      insert.run({
        id: turnId,
        key,
        channel,
        address,
        agent,
        conversationId,
        texts: 1,
        held,
        createdAt: at,
        notBefore: at,
        dueAt: at,
        task,
      });
      conversations.wentOn(conversationId, 0, at);
    },
    enterConversation(join) {
      const id = conversationFor(join);
      conversations.wentOn(id, 0, join.at);
      return id;
    },
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

const MINUTE = 60_000;

interface Conclusion {
  readonly turn: Extract<TurnState, "done" | "failed" | "cancelled" | "shown">;
  readonly texts: InboundState;
  readonly error?: Explained;
  readonly usage?: NonNullable<FinishTurn["usage"]>;
}

function conclusionOf(end: Exclude<FinishTurn["end"], { kind: "parked" }>): Conclusion {
  switch (end.kind) {
    case "done":
      return { turn: "done", texts: "handled" };
    case "failed":
      return { turn: "failed", texts: "failed", error: end.error };
    case "cancelled":
      return {
        turn: "cancelled",
        texts: "dropped",
        error: { meaning: end.reason, fix: end.fix ?? CANCELLED_FIX },
      };
    case "shown":
      return { turn: "shown", texts: "failed", error: { meaning: end.reason, fix: SHOWN_FIX } };
  }
}

const CANCELLED_FIX = "If an answer is still wanted, the sender can text again.";
const SHOWN_FIX =
  "Answer it yourself (sms-agent send), or have the agent answer it after all: sms-agent messages resend ID.";

const DENIED: Explained = {
  meaning: "It was denied when it was checked again just before the agent would have run.",
  fix: "The policies that decided are named; sms-agent policy check shows the decision.",
};

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
