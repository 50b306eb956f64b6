import { addressKind } from "./address.ts";
import { policyChannel, principalOf } from "./channel.ts";
import type { PolicyDecision, PolicyEngine } from "./policy.ts";
import type { ChannelSettings } from "./settings.ts";
import type { AdmissionStore, SenderFacts } from "./store.ts";

export interface RecipientSeams {
  readonly policy: () => PolicyEngine;
  readonly countryOf: (address: string) => string;
  readonly store: Pick<AdmissionStore, "senderFacts">;
}

/** Whether somebody the agent talks with may be texted now, and what is known of them. */
export async function askRecipient(
  channel: ChannelSettings,
  address: string,
  now: number,
  seams: RecipientSeams,
): Promise<{ readonly decision: PolicyDecision; readonly facts: SenderFacts }> {
  const facts = await seams.store.senderFacts({ channel: channel.id, address, now });
  const decision = seams.policy().decide({
    action: "send_message",
    agent: principalOf(channel),
    channel: policyChannel(channel),
    recipient: {
      address,
      kind: addressKind(address) ?? "alphanumeric",
      country: seams.countryOf(address),
      paired: facts.paired !== undefined,
      inConversation: true,
    },
    pairedAddresses: facts.pairedAddresses,
    now,
  });
  return { decision, facts };
}
