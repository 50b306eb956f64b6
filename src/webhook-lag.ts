import type { Alerts } from "./alerts.ts";
import type { Clock } from "./clock.ts";
import { EVENTS_KEPT, EVENTS_KEPT_FOR, type LostEvents } from "./event-store.ts";
import type { Log } from "./log.ts";

/** How far a webhook is behind the log of events. */
export interface WebhookLag {
  /** Its number in sms.yaml and the origin of its URL. */
  readonly webhook: string;
  /** Events that the log has gone on by, from the oldest one that the webhook has not been told; 0 when there is none. */
  readonly behind: number;
  /** When that oldest one happened. */
  readonly oldestAt?: number;
}

export interface LagWatchSeams {
  readonly lags: () => Promise<readonly (WebhookLag & { readonly lost: LostEvents })[]>;
  /** Keeps that the operator was told of this loss. */
  readonly told: (webhook: string, lost: LostEvents) => Promise<void>;
  readonly alerts: Pick<Alerts, "raise">;
  readonly onLost: (webhook: string, events: number) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** A busy service adds some thousand events in this time, ms. */
const EVERY = 5_000;
const DAY = 24 * 3_600_000;

/** Why events are about to be lost to a webhook; undefined while it has more than half of the log's room left. */
export function overrunning({ behind, oldestAt }: WebhookLag, now: number): string | undefined {
  if (behind >= EVENTS_KEPT / 2)
    return `the log has gone on by ${behind} events since the oldest it has not taken, and keeps ${EVENTS_KEPT}`;
  if (oldestAt !== undefined && now - oldestAt >= EVENTS_KEPT_FOR / 2)
    return `the oldest event it has not taken is ${Math.floor((now - oldestAt) / DAY)} days old, and is kept for ${EVENTS_KEPT_FOR / DAY}`;
  return undefined;
}

/** Tells the operator of webhooks that come to be overrun by the log, and of every event that was lost to one. */
export function createLagWatch(seams: LagWatchSeams): {
  /** Called whenever events were added; looks every few seconds at most. Never rejects. */
  look(): Promise<void>;
} {
  const { alerts, clock, log } = seams;
  let lookedAt: number | undefined;

  async function lookNow(now: number): Promise<void> {
    for (const { lost, ...lag } of await seams.lags()) {
      const { webhook } = lag;
      const reason = overrunning(lag, now);
      if (reason !== undefined)
        alerts.raise({
          cause: `webhook.behind/${webhook}`,
          message: `The webhook ${webhook} takes events slower than they happen: ${reason}.`,
          fix: "Let the program that receives it answer 2xx at once and work afterwards, or ask for fewer kinds of events.",
        });
      const events = Object.values(lost).reduce((sum, count) => sum + count, 0);
      if (events === 0) continue;
      log.error("webhook.lost", { webhook, events, types: Object.keys(lost) });
      alerts.raise({
        cause: `webhook.lost/${webhook}`,
        message: `${events} events were removed from the log before the webhook ${webhook} had taken them, and there may be more: see sms_agent_webhook_lost_total.`,
        fix: "What it has missed can be read in the lists of the API. Let the program that receives it answer faster.",
      });
      seams.onLost(webhook, events);
      await seams.told(webhook, lost);
    }
  }

  return {
    async look() {
      const now = clock.now();
      if (lookedAt !== undefined && now >= lookedAt && now - lookedAt < EVERY) return;
      lookedAt = now;
      try {
        await lookNow(now);
      } catch (error) {
        log.warn("webhooks.lag", { error: String(error) });
      }
    },
  };
}
