import type { Warning } from "./carrier.ts";
import { type ChannelState, channelNumber, needsPairing } from "./channel.ts";
import type { Pairing } from "./pairing.ts";
import type { ChannelSettings } from "./settings.ts";

/** What is known of a channel's connection. */
export interface ChannelLink {
  readonly link: "down" | "connecting" | "up" | "reconnecting" | "failed";
  /** Why it is `reconnecting` or `failed`, and what to do. */
  readonly reason?: string;
  readonly fix?: string;
  readonly numbers: readonly string[];
  readonly warnings: readonly Warning[];
}

/** Where a channel is in its life, in words a person can act on. */
export function channelState(
  settings: ChannelSettings,
  { link, reason, fix, numbers, warnings }: ChannelLink,
  { addresses, pending }: { addresses(): readonly string[]; pending(): Pairing | undefined },
): ChannelState {
  const channel = settings.id;
  const common = { numbers, warnings };
  if (!settings.enabled) {
    return {
      ...common,
      status: "disabled",
      reason: "The channel is switched off in the configuration.",
      fix: `Set channels.${channel}.enabled to true.`,
    };
  }
  switch (link) {
    case "down":
    case "connecting":
      return {
        ...common,
        status: "connecting",
        reason: "The number is being looked up and its webhook checked.",
        fix: "Wait a moment.",
      };
    case "up":
      if (!needsPairing(settings, addresses().length)) return { ...common, status: "connected" };
      return {
        ...common,
        status: "pairing",
        reason: "Nobody may text the agent yet.",
        fix: pairingFix(channel, channelNumber(settings, { ...common, status: "pairing" }), pending()),
      };
    case "reconnecting":
    case "failed":
      return { ...common, status: link, reason: reason ?? "unknown", fix: fix ?? "See the log." };
  }
}

function pairingFix(channel: string, number: string | undefined, pairing: Pairing | undefined): string {
  if (pairing === undefined) return `Run sms-agent pair ${channel} for a code.`;
  return `Text ${pairing.code} to ${number ?? "the channel's number"} from your phone.`;
}
