import { turnDueAt } from "../conversation.ts";
import type { JoinConversation, OpenConversation, QueueTurn } from "../store.ts";
import type { QueueTask } from "../timed.ts";
import { isTooOld, MAX_TURN_TEXTS } from "../turn.ts";
import type { Conversations } from "./conversations.ts";
import type { Messages, Place } from "./messages.ts";
import type { TurnStatements } from "./turn-statements.ts";

/** How turns come to be, and which of them a text joins. All runs inside a write. */
export interface TurnQueue {
  /** Gives the text to a turn; answers when that turn is due. */
  queue(text: number, turn: QueueTurn): number;
  /** As `queue`, for a text that is about to be written, with the place that is answered. */
  place(turn: QueueTurn): Place & { readonly dueAt: number };
  /** A fresh turn for one text, which no other joins; due at once. */
  queueAlone(text: number, turn: QueueTurn): void;
  /** Makes a turn that no text began. */
  queueTask(turn: QueueTask): void;
  /** Answers the conversation, which has gone on at that time. */
  enterConversation(join: JoinConversation): string;
  /** The open conversation of a key; undefined where there is none, or it is idle. */
  openConversation(asked: OpenConversation): string | undefined;
  /** That conversation, where there is one, has gone on at that time. */
  goOn(asked: OpenConversation): void;
}

export function createTurnQueue(
  statements: Pick<
    TurnStatements,
    "insert" | "joinable" | "waiting" | "recent" | "settleDue" | "hasten" | "join"
  >,
  { messages, conversations }: { readonly messages: Messages; readonly conversations: Conversations },
): TurnQueue {
  const { insert, joinable, waiting, recent, settleDue, hasten, join } = statements;

  /** True when nothing was said for too long, and no turn keeps it open that runs, is parked or will run. */
  function isIdle(
    { lastAt }: { readonly lastAt: number },
    { key, idleTimeout, at }: OpenConversation,
  ): boolean {
    if (at - lastAt <= idleTimeout) return false;
    return waiting.all({ key }).every((turn) => turn.state === "queued" && isTooOld(turn, idleTimeout, at));
  }

  /** The conversation a text belongs to: the open one, or a fresh one in its place. */
  function conversationFor(turn: JoinConversation): string {
    const open = conversations.openOf(turn.key);
    if (open !== undefined) {
      if (!isIdle(open, turn) && open.agent === turn.agent) return open.id;
      conversations.end(open.id, turn.at);
    }
    const { conversationId: id, key, channel, address, agent, at } = turn;
    conversations.open({ id, key, channel, address, agent, at });
    return id;
  }

  function openConversation(asked: OpenConversation): string | undefined {
    const open = conversations.openOf(asked.key);
    return open === undefined || isIdle(open, asked) ? undefined : open.id;
  }

  /** When a further turn of the sender may start, by the limit per minute. */
  function notBefore({ channel, address, at, perMinute }: QueueTurn): number {
    const limit = Math.max(1, perMinute);
    const nth = recent.all({ channel, address, since: at - MINUTE, limit })[limit - 1];
    return nth === undefined ? at : nth.dueAt + MINUTE;
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

  function place(turn: QueueTurn): Place & { readonly dueAt: number } {
    const { key, channel, address, agent, idleTimeout, at } = turn;
    const found = joinable.get({ key, channel, address, agent });
    // What has waited for too long is shown, and a fresh text would be shown with it instead of being answered.
    const joins =
      found !== undefined &&
      found.texts < MAX_TURN_TEXTS &&
      !isTooOld({ held: found.held || turn.held, createdAt: found.createdAt }, idleTimeout, at);
    if (joins) {
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
    openConversation,
    goOn(asked) {
      const id = openConversation(asked);
      if (id !== undefined) conversations.wentOn(id, 0, asked.at);
    },
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
  };
}

const MINUTE = 60_000;
