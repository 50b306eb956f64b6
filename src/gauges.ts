import type { Alerts } from "./alerts.ts";
import type { ChannelState, ChannelStatus } from "./channel.ts";
import type { Clock } from "./clock.ts";
import type { WebhookBacklog } from "./event-webhooks.ts";
import { type Reading, reading } from "./metrics.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import type { WebhookLag } from "./webhook-lag.ts";

export interface GaugesSeams {
  readonly settings: () => Settings;
  readonly channelState: (channel: string) => ChannelState;
  /** Channels whose turns and sends go on now. */
  readonly runnable: () => readonly string[];
  readonly alerts: Pick<Alerts, "current">;
  readonly backlog: () => Promise<readonly WebhookBacklog[]>;
  readonly lags: () => Promise<readonly WebhookLag[]>;
  readonly store: Pick<Store, "depths" | "nextTurnDue" | "segmentsUsed">;
  readonly version: string;
  readonly clock: Clock;
}

/** What the store was asked is good for so long, ms: many who ask cost no more than one. */
const FRESH_FOR = 5_000;

const STATUSES: readonly ChannelStatus[] = [
  "disabled",
  "connecting",
  "pairing",
  "connected",
  "reconnecting",
  "failed",
];

/** Reads every gauge. What is in memory is of this moment, what is in the store at most five seconds old. */
export function createGauges(seams: GaugesSeams): () => Promise<readonly Reading[]> {
  const { store, clock } = seams;
  let last: { readonly at: number; readonly stored: Promise<readonly Reading[]> } | undefined;

  async function read(now: number): Promise<readonly Reading[]> {
    const [depths, due, used, backlog, lags] = await Promise.all([
      store.depths(),
      store.nextTurnDue(seams.runnable()),
      store.segmentsUsed(now),
      seams.backlog(),
      seams.lags(),
    ]);
    const seconds = (since: number | undefined) =>
      since === undefined ? 0 : Math.max(0, now - since) / 1_000;
    return [
      reading("turns", { state: "queued" }, depths.turns.queued),
      reading("turns", { state: "running" }, depths.turns.running),
      reading("turns", { state: "parked" }, depths.turns.parked),
      reading("turns_overdue_seconds", {}, seconds(due)),
      reading("outbox_depth", { state: "pending" }, depths.outbox.pending),
      reading("outbox_depth", { state: "sending" }, depths.outbox.sending),
      reading("outbox_depth", { state: "unknown" }, depths.outbox.unknown),
      reading("outbox_oldest_seconds", {}, seconds(depths.oldestPending)),
      reading("watches_pending", {}, depths.watches),
      reading("judgements_waiting", {}, depths.judgements),
      reading("database_bytes", {}, depths.bytes),
      reading("segments_used_today", {}, used),
      ...backlog.flatMap(({ webhook, events, paused }) => [
        reading("webhook_backlog_events", { webhook }, events),
        reading("webhook_paused", { webhook }, paused ? 1 : 0),
      ]),
      ...lags.map(({ webhook, behind }) => reading("webhook_behind_events", { webhook }, behind)),
    ];
  }

  function stored(): Promise<readonly Reading[]> {
    const now = clock.now();
    if (last !== undefined && now - last.at < FRESH_FOR && now >= last.at) return last.stored;
    const asked = { at: now, stored: read(now) };
    last = asked;
    // A failure is not kept: the next one asks again.
    asked.stored.catch(() => {
      if (last === asked) last = undefined;
    });
    return asked.stored;
  }

  return async () => {
    const { channels, limits } = seams.settings();
    return [
      reading("build_info", { version: seams.version }, 1),
      ...Object.keys(channels).flatMap((channel) => {
        const { status: present } = seams.channelState(channel);
        return STATUSES.map((status) =>
          reading("channel_status", { channel, status }, status === present ? 1 : 0),
        );
      }),
      ...alertKinds(seams.alerts).map(([kind, count]) => reading("alerts", { kind }, count)),
      reading("segments_per_day_limit", {}, limits.segmentsPerDay),
      ...(await stored()),
    ];
  };
}

/** A cause is a word of ours, and behind a slash what it concerns, which may be an address of the network. */
function alertKinds(alerts: Pick<Alerts, "current">): readonly (readonly [kind: string, count: number])[] {
  const kinds = new Map<string, number>();
  for (const { cause } of alerts.current()) {
    const kind = cause.split("/", 1)[0] ?? cause;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds];
}
