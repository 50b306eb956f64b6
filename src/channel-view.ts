import { type ChannelState, channelNumber } from "./channel.ts";
import type { Channels } from "./channels.ts";
import { type Pairing, pairingLink } from "./pairing.ts";
import type { ChannelSettings, Mode } from "./settings.ts";

/** A channel as the operator sees it: its settings, and where it is in its life. */
export interface ChannelView {
  readonly id: string;
  readonly provider: "twilio" | "simulator";
  /** A number, or the Messaging Service's sid until its numbers are known. */
  readonly number: string;
  readonly mode: Mode;
  readonly agent?: string;
  readonly enabled: boolean;
  readonly state: ChannelState;
  readonly pairedAddresses: number;
  /** Absent also while a Messaging Service's numbers are not known: nobody could tell where to text the code. */
  readonly pairing?: PairingView;
}

/** A pending code, and what a phone needs to text it. */
export interface PairingView {
  readonly code: string;
  /** Epoch ms. */
  readonly expiresAt: number;
  readonly number: string;
  readonly smsUri: string;
}

function numberOf(settings: ChannelSettings, state: ChannelState): string {
  const known = channelNumber(settings, state);
  return known ?? (settings.sender.kind === "service" ? settings.sender.sid : settings.sender.number);
}

/** Undefined while it is not known which number the code is to be texted to. */
export function pairingView(
  settings: ChannelSettings,
  state: ChannelState,
  pairing: Pairing | undefined,
): PairingView | undefined {
  const number = channelNumber(settings, state);
  if (number === undefined || pairing === undefined) return undefined;
  return {
    code: pairing.code,
    expiresAt: pairing.expiresAt,
    number,
    smsUri: pairingLink(number, pairing.code),
  };
}

export function channelView(
  settings: ChannelSettings,
  channels: Pick<Channels, "state" | "pairing" | "pairedCount">,
): ChannelView {
  const state = channels.state(settings.id);
  const pairing = pairingView(settings, state, channels.pairing(settings.id));
  return {
    id: settings.id,
    provider: settings.provider,
    number: numberOf(settings, state),
    mode: settings.mode,
    ...(settings.agent === undefined ? {} : { agent: settings.agent }),
    enabled: settings.enabled,
    state,
    pairedAddresses: channels.pairedCount(settings.id),
    ...(pairing === undefined ? {} : { pairing }),
  };
}
