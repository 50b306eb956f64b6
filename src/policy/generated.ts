import type { PolicySettings } from "./settings.ts";
import { cedarString } from "./source.ts";

/** Ids that begin so belong to generated policies, for channels of tomorrow as well. */
export const RESERVED_PREFIXES: readonly string[] = ["allowed-senders:", "allow-all:"];

/** The policies that `allowed_senders` and `allow_all_senders` stand for, each for its channel and agent only. */
export function generatedPolicies(
  settings: PolicySettings,
): { readonly id: string; readonly text: string }[] {
  return Object.entries(settings.allowed).flatMap(([channel, { agent, allowedSenders, allowAllSenders }]) => {
    const permit = (prefix: string, condition: string) => ({
      id: `${prefix}${channel}`,
      text: `@id(${cedarString(`${prefix}${channel}`)})
permit (
  principal == Policy::Agent::${cedarString(agent)},
  action == Policy::Action::"receive_message",
  resource in Policy::Channel::${cedarString(channel)}
)${condition};`,
    });
    const addresses = [...new Set(allowedSenders)].map(cedarString).join(", ");
    return [
      ...(addresses === ""
        ? []
        : [permit("allowed-senders:", `\nwhen { [${addresses}].contains(resource.sender.address) }`)]),
      ...(allowAllSenders ? [permit("allow-all:", "")] : []),
    ];
  });
}
