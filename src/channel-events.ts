import { withoutCode } from "./access.ts";
import type { Alerts } from "./alerts.ts";
import type { ChannelState } from "./channel.ts";
import type { Clock } from "./clock.ts";
import type { EventStore } from "./event-store.ts";
import type { Log } from "./log.ts";

/**
 * Tells of a channel's state when it has changed: `channel.status`, without the pairing code, and an alert when a
 * person is needed.
 */
export function createChannelEvents(seams: {
  readonly store: Pick<EventStore, "appendEvent">;
  readonly alerts: Pick<Alerts, "raise">;
  readonly clock: Clock;
  readonly log: Log;
}): (channel: string, state: ChannelState) => void {
  const last = new Map<string, string>();
  return (channel, state) => {
    const { status, reason, fix } = withoutCode(channel, state);
    const told = JSON.stringify([status, reason]);
    if (last.get(channel) === told) return;
    last.set(channel, told);
    seams.store
      .appendEvent({
        type: "channel.status",
        channel,
        status,
        ...(reason === undefined ? {} : { reason }),
        ...(fix === undefined ? {} : { fix }),
        at: seams.clock.now(),
      })
      .catch((error: unknown) => {
        last.delete(channel);
        seams.log.error("channel.event", { channel, error: String(error) });
      });
    if (status === "failed")
      seams.alerts.raise({
        cause: `channel.failed/${channel}`,
        message: `The channel ${channel} does not work: ${reason ?? "unknown reason"}`,
        fix: fix ?? "See sms-agent status.",
        channel,
      });
  };
}
