import { addressKind } from "./address.ts";
import { policyChannel, principalOf } from "./channel.ts";
import type { Clock } from "./clock.ts";
import { AppError } from "./errors.ts";
import type { PolicyDecision, PolicyEngine } from "./policy.ts";
import type { ChannelSettings, Settings } from "./settings.ts";
import type { Store } from "./store.ts";

/** A question to the policies that nothing hangs on: would this get through? */
export interface PolicyCheck {
  readonly action: "receive_message" | "receive_signal" | "send_message";
  readonly channel: string;
  readonly from: string;
  readonly agent?: string;
}

export interface PolicyCheckSeams {
  readonly settings: () => Settings;
  readonly policy: () => PolicyEngine;
  readonly countryOf: (address: string) => string;
  readonly store: Pick<Store, "senderFacts" | "inConversation">;
  readonly clock: Clock;
}

/** Answers as of now; nothing is counted or stored. Rejects with AppError `invalid` for what is not there. */
export async function checkPolicy(
  check: PolicyCheck,
  settings: ChannelSettings,
  seams: PolicyCheckSeams,
): Promise<PolicyDecision> {
  const kind = addressKind(check.from);
  if (kind === undefined)
    throw new AppError("invalid", "from is not a phone address.", {
      problems: [
        { path: "from", message: 'Write "+15551234567", a short code, a sender name or "whatsapp:+1…".' },
      ],
    });
  const agent = check.agent ?? principalOf(settings);
  if (agent !== "api" && !(agent in seams.settings().agents))
    throw new AppError("invalid", `There is no agent ${agent}.`, {
      problems: [
        { path: "agent", message: `Configured are: ${Object.keys(seams.settings().agents).join(", ")}.` },
      ],
    });
  const now = seams.clock.now();
  const facts = await seams.store.senderFacts({ channel: check.channel, address: check.from, now });
  const party = {
    address: check.from,
    kind,
    country: seams.countryOf(check.from),
    paired: facts.paired !== undefined,
  };
  const common = { agent, channel: policyChannel(settings), pairedAddresses: facts.pairedAddresses, now };
  if (check.action === "send_message") {
    const inConversation = await seams.store.inConversation(check.channel, check.from);
    return seams
      .policy()
      .decide(
        { ...common, action: "send_message", recipient: { ...party, inConversation } },
        { dryRun: true },
      );
  }
  return seams
    .policy()
    .decide({ ...common, action: check.action, sender: party, numMedia: 0 }, { dryRun: true });
}
