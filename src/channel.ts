import type { Warning } from "./carrier.ts";
import { API_AGENT, type PolicyChannel } from "./policy.ts";
import type { ChannelSettings } from "./settings.ts";

/**
 * The life of a channel. `reconnecting` passes by itself, `failed` needs a person.
 * `pairing` is a connected channel nobody may use yet.
 */
export type ChannelStatus = "disabled" | "connecting" | "pairing" | "connected" | "reconnecting" | "failed";

/** Where a channel is in its life, and for all but `connected` why and what to do about it. */
export interface ChannelState {
  readonly status: ChannelStatus;
  readonly reason?: string;
  readonly fix?: string;
  /** Numbers that reach the channel, known once connected; the first is shown for pairing. */
  readonly numbers: readonly string[];
  readonly warnings: readonly Warning[];
}

/** The number a person texts: the configured one, or a service's first one once that is known. */
export function channelNumber(settings: ChannelSettings, state: ChannelState): string | undefined {
  return settings.sender.kind === "number" ? settings.sender.number : state.numbers[0];
}

/** True for every number that texts of this channel may come from: a service has several. */
export function isOwnNumber(address: string, settings: ChannelSettings, state: ChannelState): boolean {
  return (
    (settings.sender.kind === "number" && settings.sender.number === address) ||
    state.numbers.includes(address)
  );
}

/** Whom policies speak of when they name the channel's agent. */
export function principalOf(settings: ChannelSettings): string {
  return settings.agent ?? API_AGENT;
}

/** The channel as policies see it: the same object for the same settings, so that the engine knows it again. */
export function policyChannel(settings: ChannelSettings): PolicyChannel {
  const known = policyChannels.get(settings);
  if (known !== undefined) return known;
  const channel = { id: settings.id, mode: settings.mode, provider: settings.provider };
  policyChannels.set(settings, channel);
  return channel;
}

const policyChannels = new WeakMap<ChannelSettings, PolicyChannel>();

/** True when nobody could reach the agent without being paired first. */
export function needsPairing(settings: ChannelSettings, pairedAddresses: number): boolean {
  return (
    settings.mode === "message" &&
    pairedAddresses === 0 &&
    settings.allowedSenders.length === 0 &&
    !settings.allowAllSenders
  );
}

/** The operator's name for a phone that was allowed in sms.yaml. */
export function allowedLabel(settings: ChannelSettings, address: string): string | undefined {
  return settings.allowedSenders.find((allowed) => allowed.address === address)?.label;
}

/** A transient failure is tried again after 1 s, doubling to 60 s. Milliseconds; `failures` counts from 1. */
export function reconnectDelay(failures: number): number {
  return Math.min(60_000, 1_000 * 2 ** Math.min(failures - 1, 6));
}

/** A channel that needs a person is tried again this often, in case one has come. */
export const FAILED_RETRY = 5 * 60_000;

/** How often the carrier's list is compared with what the webhook brought. */
export const CATCH_UP_INTERVAL = 5 * 60_000;
