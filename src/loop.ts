import { numberOf } from "./address.ts";
import type { ChannelState } from "./channel.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Explained } from "./errors.ts";
import type { ChannelSettings } from "./settings.ts";

/** Those of the channels that send from this number, however it is written. */
export function channelsOf(
  address: string,
  channels: readonly ChannelSettings[],
  channelState: (channel: string) => ChannelState,
): readonly ChannelSettings[] {
  const number = numberOf(address) ?? address;
  return channels.filter(({ id, sender }) => {
    const own = [...channelState(id).numbers, ...(sender.kind === "number" ? [sender.number] : [])];
    return own.some((one) => (numberOf(one) ?? one) === number);
  });
}

/**
 * A text from a number whose own agent would answer the answer: two agents would talk to each other for as long as
 * the limits let them. Watches see it, no agent does, and nothing is sent. An opt-out is an opt-out all the same.
 */
export function unanswered(decided: Dispatch): Dispatch {
  if (decided.action === "opt_out" || decided.action === "opt_in" || decided.action === "none")
    return decided;
  const { route, keepText, signal, policies } = decided;
  return {
    action: "none",
    route,
    keepText,
    signal,
    policies,
    state: "dropped",
    error: LOOP,
    wrongCode: false,
  };
}

const LOOP: Explained = {
  meaning:
    "It came from a number of this service whose own agent would answer the answer, so the agent neither ran nor answered.",
  fix: "To have one number test another, give the one that texts the mode signal.",
};
