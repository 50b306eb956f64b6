import { createAdmission } from "./admission.ts";
import type { Core, Wake } from "./app-core.ts";
import type { Channels } from "./channels.ts";
import { meteredAdmission } from "./metered.ts";
import type { Signals } from "./signals.ts";
import type { Turns } from "./turns.ts";

/** How texts are taken in. Whoever has to act on one is told when it is on disk. */
export function openAdmission(
  core: Core,
  parts: {
    readonly channels: Channels;
    readonly signals: Signals;
    readonly cancel: Turns["cancel"];
    readonly wake: Wake;
  },
): ReturnType<typeof createAdmission> {
  const { limits, metrics, log } = core;
  const { channels, signals, cancel, wake } = parts;
  const admit = createAdmission({
    ...core,
    signals,
    channelState: channels.state,
    notify: (admitted) => {
      if (admitted.kind !== "admitted") return;
      if (admitted.cancelled !== undefined)
        cancel(admitted.cancelled.key, admitted.cancelled.reason, admitted.cancelled.address);
      if (admitted.turnDueAt !== undefined) wake.turns(admitted.turnDueAt);
      if (admitted.delayed) limits.senderPerMinute(admitted.channel);
      if (admitted.sends) wake.sends();
      if (admitted.paired)
        channels.addressesChanged(admitted.channel).catch((error: unknown) => {
          log.error("channel.addresses", { channel: admitted.channel, error: String(error) });
        });
    },
  });
  return meteredAdmission(admit, metrics);
}
