import { type Alerts, createAlerts, createBurst } from "./alerts.ts";
import type { Seams } from "./app-seams.ts";
import type { ChannelState } from "./channel.ts";
import { createChannelEvents } from "./channel-events.ts";
import type { CancelTimer } from "./clock.ts";
import { createEventFeed, type EventFeed } from "./event-feed.ts";
import { createEventWebhooks, type EventWebhooks } from "./event-webhooks.ts";
import type { RandomBytes } from "./ids.ts";
import { meteredPost } from "./metered.ts";
import type { Metrics } from "./metrics.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import { sha256 } from "./system/digest.ts";
import { createLagWatch, type WebhookLag } from "./webhook-lag.ts";
import { createPostEvent } from "./webhooks/post.ts";
import { startWorker } from "./worker.ts";

const WEBHOOK_CONCURRENCY = 16;
/** When the disk does not take what the settings say of webhooks, it is asked again after this, ms. */
const RETRY = 30_000;
/** So many refused webhooks of a channel within a minute are told to the operator. */
const REFUSED_BURST = 10;

/** What tells others what happens: alerts, the event stream, webhooks. */
export interface Events {
  readonly alerts: Alerts;
  readonly feed: EventFeed;
  readonly backlog: EventWebhooks["backlog"];
  readonly lags: () => Promise<readonly WebhookLag[]>;
  readonly channelChanged: (channel: string, state: ChannelState) => void;
  /** A request to the carrier's webhook was refused. */
  readonly webhookRefused: (channel: string, why: "signature" | "account") => void;
  start(): Promise<void>;
  /** The settings have changed. Never rejects. */
  follow(): Promise<void>;
  /** Ends streams; posts nothing more, and waits up to `grace` ms for what is being posted. */
  stop(grace: number): Promise<void>;
}

export function createEvents(settings: () => Settings, store: Store, metrics: Metrics, seams: Seams): Events {
  const { clock, log } = seams;
  const alerts = createAlerts({ store, clock, log });
  const feed = createEventFeed(store);
  const webhooks = createEventWebhooks({
    settings,
    store,
    post: meteredPost(createPostEvent(seams), metrics),
    alerts,
    digest: sha256,
    random: () => fraction(seams.random),
    clock,
    log,
  });
  const worker = startWorker(webhooks.queue, { concurrency: WEBHOOK_CONCURRENCY, clock, log });
  const lag = createLagWatch({
    lags: webhooks.lags,
    told: webhooks.toldLoss,
    alerts,
    onLost: (webhook, events) => metrics.count("webhook_lost_total", { webhook }, events),
    clock,
    log,
  });
  store.onEvents(() => {
    worker.wake();
    void lag.look();
  });
  const burst = createBurst(clock, REFUSED_BURST, 60_000);

  let retry: CancelTimer = () => {};
  async function follow(): Promise<void> {
    retry();
    try {
      await webhooks.follow();
      worker.wake();
    } catch (error) {
      log.error("webhooks.follow", { error: String(error) });
      retry = clock.after(RETRY, () => void follow());
    }
  }

  return {
    alerts,
    feed,
    backlog: webhooks.backlog,
    lags: webhooks.lags,
    channelChanged: createChannelEvents({ store, alerts, clock, log }),
    webhookRefused(channel, why) {
      metrics.count("webhook_refused_total", { channel, reason: why });
      if (!burst(`${why}/${channel}`)) return;
      const what =
        why === "signature"
          ? "their signature is missing or wrong"
          : "they are for another account or number";
      alerts.raise({
        cause: `webhook.${why}/${channel}`,
        message: `Many requests to the webhook of ${channel} are refused: ${what}.`,
        fix: "If texts are missing, compare server.public_url, the auth token and the number with Twilio's; otherwise somebody forges requests, and none of them was taken.",
        channel,
      });
    },
    async start() {
      await alerts.start();
      await follow();
      await lag.look();
    },
    follow,
    async stop(grace) {
      feed.stop();
      retry();
      await worker.stop(grace);
      alerts.stop();
    },
  };
}

/** A number in [0, 1). */
export function fraction(random: RandomBytes): number {
  return (random(4).reduce((sum, byte) => sum * 256 + byte, 0) % 2 ** 32) / 2 ** 32;
}
