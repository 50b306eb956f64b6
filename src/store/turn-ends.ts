import { redactAddress } from "../address.ts";
import type { Explained } from "../errors.ts";
import type { InboundState, NewOutbound } from "../message.ts";
import type { FinishTurn } from "../store.ts";
import { type JournalEntry, sum, type TokenUsage } from "../tool.ts";
import type { TurnState } from "../turn.ts";
import type { LocalDay } from "../usage.ts";
import type { Changes } from "./changes.ts";
import type { Conversations } from "./conversations.ts";
import type { Messages } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import { encoded } from "./statement.ts";
import type { TurnRow, TurnStatements } from "./turn-statements.ts";
import type { Usage } from "./usage.ts";

/** How a turn has ended. */
export interface Conclusion {
  readonly turn: Extract<TurnState, "done" | "failed" | "cancelled" | "shown">;
  readonly texts: InboundState;
  readonly error?: Explained;
  readonly usage?: NonNullable<FinishTurn["usage"]>;
}

export function conclusionOf(end: Exclude<FinishTurn["end"], { kind: "parked" }>): Conclusion {
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

export interface TurnEndParts {
  readonly messages: Messages;
  readonly conversations: Conversations;
  readonly outbox: Outbox;
  readonly usage: Usage;
  readonly localDay: (at: number) => LocalDay;
  readonly changes: Pick<Changes, "note">;
  /** Told when texts were erased, so that their copies in the log can go too. */
  readonly onErased: () => void;
}

/** What the end of a turn means for its texts and for whoever waits behind it. All runs inside a write. */
export interface TurnEnds {
  conclude(row: TurnRow, how: Conclusion, at: number): void;
  cancel(row: TurnRow, at: number, reason: string): void;
  /** Takes texts out of the turn that were denied when they were decided again. */
  reroute(turn: TurnRow, texts: FinishTurn["rerouted"], at: number): void;
  /** The journal of the turn. */
  entriesOf(row: TurnRow): readonly JournalEntry[];
}

export function createTurnEnds(
  statements: Pick<TurnStatements, "end" | "promote" | "endWatches" | "forgetPurged" | "journal">,
  parts: TurnEndParts,
): TurnEnds {
  const { messages, conversations, outbox, usage, changes } = parts;
  const { end, promote, endWatches, forgetPurged, journal } = statements;

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

  return { conclude, cancel, reroute, entriesOf };
}

const DENIED: Explained = {
  meaning: "It was denied when it was checked again just before the agent would have run.",
  fix: "The policies that decided are named; sms-agent policy check shows the decision.",
};
