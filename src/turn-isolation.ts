import type { AgentFailure } from "./agent.ts";
import type { Clock } from "./clock.ts";
import type { Explained } from "./errors.ts";
import type { NewId } from "./ids.ts";
import type { Log } from "./log.ts";
import type { FinishTurn, TurnStore } from "./store.ts";
import type { JournalEntry } from "./tool.ts";
import { type ClaimedTurn, MAX_TURN_CRASHES } from "./turn.ts";
import type { AllowedText } from "./turn-check.ts";

export interface IsolationSeams {
  readonly store: Pick<TurnStore, "journal" | "splitTurn">;
  readonly newId: NewId;
  readonly clock: Clock;
  readonly log: Log;
}

/** Why a turn came to nothing. */
export type TurnTrouble =
  | { readonly kind: "crashes"; readonly times: number }
  | { readonly kind: "failure"; readonly error: AgentFailure };

/** Times a text that is run alone may crash the service, after the turn it was in has done so. */
const TRIES_ALONE = 2;

/**
 * Instead of setting a turn aside over which the service has died too often, or whose agent has refused it: gives each
 * of its texts a turn of its own, in their order and before what the sender has texted since. So the one that cannot be
 * worked on is set aside, and the others are answered. Answers false where the turn must be set aside whole.
 *
 * Nobody is answered twice: a turn's answer and its end are one transaction, and this turn has not ended. No agent is run
 * again for a text with a reply, for the same reason. What its tools did is another matter. They were called for all the
 * texts together, and nobody can tell for which; a text run alone would know nothing of it, and have it done once more.
 * So a turn that has begun a call is not taken apart: the operator sees its calls, and decides. An `http` or `command`
 * agent has no journal with us. It is told which turn the text was in (`split_from`), whose id it has been given before;
 * and a failure of it counts only where it says that it did not take the request, or broke over it.
 */
export async function isolate(
  claimed: ClaimedTurn,
  allowed: readonly AllowedText[],
  rerouted: FinishTurn["rerouted"],
  trouble: TurnTrouble,
  seams: IsolationSeams,
): Promise<boolean> {
  const { store, newId, log } = seams;
  const { turn } = claimed;
  if (turn.task !== undefined || allowed.length < 2) return false;
  if (trouble.kind === "failure" && !trouble.error.blamesText) return false;
  if (hasActed(await store.journal(turn.id))) return false;
  const parts = allowed.map(({ messageId }) => ({ messageId, turnId: newId("turn") }));
  log.warn("turn.split", {
    turn: turn.id,
    channel: turn.channel,
    conversation: turn.conversationId,
    agent: turn.agent,
    messages: parts.map(({ messageId }) => messageId),
    into: parts.map(({ turnId }) => turnId),
    ...(trouble.kind === "crashes" ? { crashes: trouble.times } : { error: trouble.error.kind }),
  });
  await store.splitTurn({
    turnId: turn.id,
    parts,
    crashes: trouble.kind === "crashes" ? MAX_TURN_CRASHES - TRIES_ALONE : 0,
    error: whySplit(turn.agent, trouble, parts.length),
    rerouted,
    ...(trouble.kind === "failure" && trouble.error.usage !== undefined
      ? { usage: trouble.error.usage }
      : {}),
    at: seams.clock.now(),
  });
  return true;
}

/** True when a tool was called, or a code texted so that one may be. */
function hasActed(entries: readonly JournalEntry[]): boolean {
  return entries.some(({ kind }) => kind !== "step" && kind !== "call_result");
}

function whySplit(agent: string, trouble: TurnTrouble, texts: number): Explained {
  const why =
    trouble.kind === "crashes"
      ? `The service died ${trouble.times} times while this was worked on`
      : `The agent ${agent} gave no reply: ${trouble.error.message}`;
  return {
    meaning: `${why}. So its ${texts} texts are worked on one by one.`,
    fix: "Nothing is to be done for this turn: a text that cannot be worked on alone either fails by itself.",
  };
}
