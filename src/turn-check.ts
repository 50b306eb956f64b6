import { allowedLabel } from "./channel.ts";
import type { Clock } from "./clock.ts";
import { decideRoute } from "./dispatch.ts";
import type { Log } from "./log.ts";
import type { PolicyEngine } from "./policy.ts";
import type { ChannelSettings } from "./settings.ts";
import type { AdmissionStore, FinishTurn } from "./store.ts";
import type { ClaimedTurn, TurnText } from "./turn.ts";

export interface CheckSeams {
  readonly policy: () => PolicyEngine;
  readonly countryOf: (address: string) => string;
  readonly store: Pick<AdmissionStore, "senderFacts">;
  readonly clock: Clock;
  readonly log: Log;
}

/** A text that may reach the agent, and who wrote it. */
export interface AllowedText extends TurnText {
  readonly paired: boolean;
  /** The name the operator gave the sender's phone. */
  readonly label?: string;
}

export interface Checked {
  readonly allowed: readonly AllowedText[];
  /** Those that may not, and what becomes of them. */
  readonly rerouted: FinishTurn["rerouted"];
  /** Why nothing may be sent to the sender, where that is so. */
  readonly suppressed: string | undefined;
}

/** Mode and policies of this moment decide again; who opted out meanwhile gets no turn. */
export async function checkAgain(
  claimed: ClaimedTurn,
  channel: ChannelSettings,
  seams: CheckSeams,
): Promise<Checked> {
  const { clock, log, store } = seams;
  const allowed: AllowedText[] = [];
  const rerouted: FinishTurn["rerouted"][number][] = [];
  let suppressed: string | undefined;
  for (const text of claimed.texts) {
    const now = clock.now();
    const facts = await store.senderFacts({ channel: channel.id, address: text.from, now });
    const decided = decideRoute(text, channel, facts, seams.policy(), seams.countryOf(text.from), now);
    // A schedule is the operator's own: its recipient need not be somebody who may text the agent.
    const may = decided.route === "message" || claimed.turn.task?.kind === "schedule";
    if (may && facts.optedOut) suppressed = "The person has opted out with STOP, so nothing is sent to them.";
    else if (may) {
      const label = facts.paired?.label ?? allowedLabel(channel, text.from);
      allowed.push({
        ...text,
        paired: facts.paired !== undefined,
        ...(label === undefined ? {} : { label }),
      });
    } else {
      log.info("turn.denied", {
        turn: claimed.turn.id,
        message: text.messageId,
        policies: decided.policies,
      });
      const { route, keepText, policies } = decided;
      rerouted.push({ messageId: text.messageId, route: keepText ? route : "dropped", keepText, policies });
    }
  }
  return { allowed, rerouted, suppressed };
}
