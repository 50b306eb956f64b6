import { isHeld } from "./admission.ts";
import type { Core } from "./app-core.ts";
import type { Links } from "./app-links.ts";
import { type CatchUpSeams, followList } from "./catchup.ts";
import type { ChannelState } from "./channel.ts";
import { type Channels, createChannels } from "./channels.ts";

/** The channels, each catching up with its carrier's list. `taking`: where what is found in it goes. */
export function openChannels(
  core: Core,
  links: Links,
  parts: {
    readonly taking: () => Pick<CatchUpSeams, "admit" | "record">;
    /** Told when a channel's state changed, before waiting turns and sends are looked at again. */
    readonly changed: (channel: string, state: ChannelState) => void;
    readonly wakeAll: () => void;
  },
): Channels {
  const { store, log } = core;
  return createChannels({
    ...core,
    carrier: links.carrier,
    webhookUrl: links.webhookUrl,
    catchUp: (channel, signal) =>
      followList(channel, signal, { ...core, ...parts.taking(), carrier: links.carrier }),
    onChange: (channel, state) => {
      parts.changed(channel, state);
      if (isHeld(state))
        store.holdTurns(channel).catch((error: unknown) => {
          log.error("channel.hold", { channel, error: String(error) });
        });
      parts.wakeAll();
    },
  });
}
