import type { Explained } from "./errors.ts";
import type { Media } from "./message.ts";

/**
 * One agent run over the inbound messages gathered so far.
 *
 * `queued` (gathering texts, or waiting for its turn) → `running` → `done` | `failed` | `cancelled`, or `parked`
 * until a tool's answer comes, which queues it again.
 * `shown`: too old to run when its channel came back; the operator sees it. A crash while running returns
 * the turn to `queued` with one more attempt.
 */
export type TurnState = "queued" | "running" | "parked" | "done" | "failed" | "cancelled" | "shown";

export interface Turn {
  readonly id: string;
  readonly channel: string;
  /** Whom the reply goes to. */
  readonly address: string;
  readonly agent: string;
  readonly conversationId: string;
  readonly state: TurnState;
  /** 1 for the first run; more after restarts, crashes and waits. */
  readonly attempt: number;
  /** Times the process died, or lost the turn's lease, while it ran; a clean stop does not count. */
  readonly crashes: number;
  /** A text of it came while the channel was disabled or failed. */
  readonly held: boolean;
  /** What it is to do, where no text began it. */
  readonly task?: TurnTask;
  /** The turn its text was in before, with others, over which the service died: agents were given it by that id. */
  readonly splitFrom?: string;
  readonly createdAt: number;
}

/**
 * True for a turn that waited while its channel was disabled or failed, and for longer than `idleTimeout`, ms: it is
 * shown instead of run. So no text joins it any more, and it keeps no conversation open.
 */
export function isTooOld(
  { held, createdAt }: Pick<Turn, "held" | "createdAt">,
  idleTimeout: number,
  now: number,
): boolean {
  return held && now - createdAt > idleTimeout;
}

/** What a turn is about that a time began and no text. It is done as its recipient. */
export interface TurnTask {
  /** A reminder was set by its recipient; a schedule stands in sms.yaml. */
  readonly kind: "reminder" | "schedule";
  /** Of the schedule in sms.yaml, or the reminder's id. */
  readonly name: string;
  /** For the agent. */
  readonly prompt: string;
  /** What was asked for, in the words of whoever asked. */
  readonly content: string;
}

/** A claimed turn with all a worker needs. */
export interface ClaimedTurn {
  readonly turn: Turn;
  /** The texts it answers, oldest first; for a turn with a task its prompt, which is no message. */
  readonly texts: readonly TurnText[];
}

export interface TurnText {
  readonly messageId: string;
  readonly from: string;
  readonly text: string;
  readonly media: readonly Media[];
  readonly receivedAt: number;
}

/** One message of a conversation's history, oldest first when listed. */
export interface HistoryEntry {
  readonly role: "user" | "assistant";
  readonly text: string;
  readonly media: readonly Media[];
  readonly at: number;
}

export type TurnEnd =
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly error: Explained }
  | { readonly kind: "cancelled"; readonly reason: string; readonly fix?: string }
  | { readonly kind: "shown"; readonly reason: string }
  /** Waits for the answer to one of these calls. */
  | { readonly kind: "parked"; readonly calls: readonly string[] };

/** Crashes of one turn before it is set aside: a text that crashes the service must not do so for ever. */
export const MAX_TURN_CRASHES = 5;

/**
 * Texts that one turn gathers; what the sender texts beyond them begins the next turn, so that nothing is left out and
 * no agent is given a flood at once. Half of what `history` gives a model unless told otherwise.
 */
export const MAX_TURN_TEXTS = 20;
