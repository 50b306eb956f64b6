import type { Alerts } from "./alerts.ts";
import type { Clock } from "./clock.ts";
import { retryDelay } from "./delivery.ts";
import type { ServiceEvent } from "./event.ts";
import { type EventJson, eventJson } from "./event-json.ts";
import { tellInLanes } from "./event-lanes.ts";
import type {
  ClaimedWebhook,
  EventPage,
  LostEvents,
  WantedEvents,
  WebhookProgress,
  WebhookStore,
} from "./event-store.ts";
import type { Log, LogFields } from "./log.ts";
import type { Settings, WebhookSettings } from "./settings.ts";
import type { Caller } from "./token.ts";
import type { WebhookLag } from "./webhook-lag.ts";
import type { Queue } from "./worker.ts";

/** Signs one event and posts it. Never rejects. */
export type PostEvent = (
  webhook: WebhookSettings,
  event: EventJson,
  signal: AbortSignal,
) => Promise<PostOutcome>;

export type PostOutcome =
  | { readonly kind: "ok" }
  /** 410: whoever answers wants nothing more. */
  | { readonly kind: "gone" }
  /** `retryAfter`: ms, where the answer asks for it. */
  | { readonly kind: "failed"; readonly reason: string; readonly retryAfter?: number };

export interface EventWebhooksSeams {
  readonly settings: () => Settings;
  readonly store: WebhookStore;
  readonly post: PostEvent;
  readonly alerts: Pick<Alerts, "raise">;
  /** A digest of a text, the same in every process. */
  readonly digest: (text: string) => string;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a webhook has still to be told. */
export interface WebhookBacklog {
  /** Its number in sms.yaml and the origin of its URL. */
  readonly webhook: string;
  readonly events: number;
  /** It keeps failing and is only probed. */
  readonly paused: boolean;
}

export interface EventWebhooks {
  readonly queue: Queue<ClaimedWebhook>;
  backlog(): Promise<readonly WebhookBacklog[]>;
  lags(): Promise<readonly (WebhookLag & { readonly lost: LostEvents })[]>;
  /** The operator was told that a webhook has lost these. */
  toldLoss(webhook: string, lost: LostEvents): Promise<void>;
  /** Follows the settings, at the start and whenever they have changed. */
  follow(): Promise<void>;
}

/** A claim is ours for this long, ms: BATCH_TIME and one post that takes its full time. */
const LEASE = 60_000;
/** Posts to one webhook that are under way at the same time. */
const AT_ONCE = 8;
/** Events that one claim posts, and how long it may take before it lets go, ms. */
const BATCH = 64;
const BATCH_TIME = 20_000;
/** A backlog is counted no further. */
const BACKLOG_SHOWN = 10_000;
/** After so many failures in a row, some ten minutes, a webhook is only probed. */
const PAUSE_AFTER = 10;
const PROBE_INTERVAL = 15 * 60_000;
/** The longest a consumer's Retry-After is heeded, ms. */
const MAX_RETRY_AFTER = 3_600_000;
/** An event is given up when its webhook has failed for this long and the event is as old, ms. */
const GIVE_UP_AFTER = 24 * 3_600_000;

interface Target extends WantedEvents {
  readonly settings: WebhookSettings;
  /** For people; the URL's path and query may be secret. */
  readonly name: string;
  /** What the webhook may see: codes and the texts of signals only when it asks for them. */
  readonly caller: Caller;
}

/**
 * Posts events to the webhooks of sms.yaml, each at least once: several at the same time, those of one phone on one
 * channel in their order, and none is begun after one that has failed. What is kept of a webhook is the position up to
 * which it has taken everything; what it has taken beyond that is known until the process ends. What fails is tried
 * again with growing delays for 24 hours; a webhook that keeps failing is paused, the operator is told, and from then on
 * one event at a time probes whether it is back.
 */
export function createEventWebhooks(seams: EventWebhooksSeams): EventWebhooks {
  const { store, clock, log } = seams;
  let made: { readonly from: readonly WebhookSettings[]; readonly targets: ReadonlyMap<string, Target> } = {
    from: [],
    targets: new Map(),
  };

  /** What webhooks have taken behind their position, by key. */
  const ahead = new Map<string, ReadonlySet<number>>();

  function targets(): ReadonlyMap<string, Target> {
    const { webhooks } = seams.settings();
    if (made.from !== webhooks) made = { from: webhooks, targets: targetsOf(webhooks, seams.digest) };
    return made.targets;
  }

  async function run({ key, progress, page }: ClaimedWebhook, stop: AbortSignal): Promise<void> {
    const target = targets().get(key);
    if (target === undefined) {
      ahead.delete(key);
      return;
    }
    const until = clock.now() + BATCH_TIME;
    const before = ahead.get(key) ?? NONE;
    const told = await tellInLanes(
      page.events.filter(({ position }) => !before.has(position)),
      {
        most: AT_ONCE,
        probe: progress.failures > 0,
        goOn: () => !stop.aborted && clock.now() < until,
        async tell(event) {
          const outcome = await seams.post(target.settings, eventJson(target.caller, event), stop);
          if (outcome.kind !== "ok") return outcome;
          log.debug("webhook.posted", { webhook: target.name, ...idsOf(event) });
          return undefined;
        },
      },
    );
    const some = told.taken.size > 0;
    if (some && progress.failures > 0) log.info("webhook.resumed", { webhook: target.name });
    const position = reachedBy(page, progress.position, new Set([...before, ...told.taken]));
    const beyond = new Set([...before, ...told.taken].filter((taken) => taken > position));
    if (beyond.size === 0) ahead.delete(key);
    else ahead.set(key, beyond);
    const reached = some ? { position, failures: 0, paused: false } : { ...progress, position };
    if (told.failure === undefined || stop.aborted) return settle(key, reached);
    return fail(target, told.failure.outcome, reached, told.failure.event);
  }

  async function settle(key: string, reached: WebhookProgress): Promise<void> {
    await store.settleWebhook({ key, ...reached, dueAt: clock.now() });
  }

  async function fail(
    target: Target,
    outcome: Exclude<PostOutcome, { kind: "ok" }>,
    progress: WebhookProgress,
    event: ServiceEvent,
  ): Promise<void> {
    const now = clock.now();
    const failures = progress.failures + 1;
    const failingSince = progress.failingSince ?? now;
    const reason = outcome.kind === "gone" ? "it answered 410 Gone" : outcome.reason;
    const paused = progress.paused || outcome.kind === "gone" || failures >= PAUSE_AFTER;
    const asked = outcome.kind === "gone" ? 0 : Math.min(MAX_RETRY_AFTER, outcome.retryAfter ?? 0);
    const delay = paused ? Math.max(PROBE_INTERVAL, asked) : retryDelay(failures, seams.random(), asked);
    log.warn("webhook.failed", { webhook: target.name, ...idsOf(event), failures, reason, paused });
    const late = now - failingSince >= GIVE_UP_AFTER;
    const givenUp = await store.settleWebhook({
      key: target.key,
      position: progress.position,
      failures,
      failingSince,
      paused,
      dueAt: now + delay,
      ...(late ? { giveUp: { types: target.types, before: now - GIVE_UP_AFTER } } : {}),
    });
    if (givenUp > 0) log.error("webhook.given_up", { webhook: target.name, events: givenUp });
    if (!paused) return;
    const lost = givenUp > 0 ? ` ${givenUp} events older than a day were given up.` : "";
    seams.alerts.raise({
      cause: `webhook.paused/${target.name}`,
      message: `The webhook ${target.name} keeps failing and is paused: ${reason}.${lost}`,
      fix: "Mend the program that receives it; it is tried again every 15 minutes, and nothing is skipped for a day.",
    });
  }

  return {
    queue: {
      name: "webhooks",
      async claim(limit, now) {
        const wanted = [...targets().values()];
        const due = wanted.length === 0 ? undefined : await store.nextWebhookDue(wanted);
        if (due === undefined || due > now) return [];
        return store.claimWebhooks({ wanted, now, lease: LEASE, limit, batch: BATCH });
      },
      nextDue: async () => store.nextWebhookDue([...targets().values()]),
      run,
    },
    async backlog() {
      const wanted = [...targets().values()];
      const found = await store.webhookBacklog(wanted, BACKLOG_SHOWN);
      return found.flatMap(({ key, events, paused }) => {
        const name = targets().get(key)?.name;
        return name === undefined ? [] : [{ webhook: name, events, paused }];
      });
    },
    async lags() {
      const found = await store.webhookLags([...targets().values()]);
      return found.flatMap(({ key, ...lag }) => {
        const webhook = targets().get(key)?.name;
        return webhook === undefined ? [] : [{ webhook, ...lag }];
      });
    },
    async toldLoss(webhook, lost) {
      const key = [...targets().values()].find(({ name }) => name === webhook)?.key;
      if (key !== undefined) await store.toldWebhookLoss(key, lost);
    },
    follow: () => store.followWebhooks([...targets().keys()], clock.now()),
  };
}

const NONE: ReadonlySet<number> = new Set();

/** The position up to which all events of the page are among the taken. */
function reachedBy(page: EventPage, before: number, taken: ReadonlySet<number>): number {
  const untold = page.events.findIndex(({ position }) => !taken.has(position));
  return untold < 0 ? page.position : (page.events[untold - 1]?.position ?? before);
}

/** What joins a post to the lines of what it is about. */
function idsOf(event: ServiceEvent): LogFields {
  const { id, type } = event;
  switch (event.type) {
    case "message.received":
    case "message.status":
      return { id, type, message: event.message.id };
    case "signal.matched":
      return { id, type, watch: event.watchId, message: event.signal.messageId };
    case "conversation.ended":
      return { id, type, conversation: event.conversation.id };
    case "channel.status":
    case "alert":
      return { id, type, channel: event.channel };
  }
}

function targetsOf(
  webhooks: readonly WebhookSettings[],
  digest: (text: string) => string,
): ReadonlyMap<string, Target> {
  const targets = new Map<string, Target>();
  for (const [index, settings] of webhooks.entries()) {
    const same = webhooks.slice(0, index).filter(({ url }) => url === settings.url).length;
    const key = digest(`${settings.url}\n${same}`);
    targets.set(key, {
      key,
      types: settings.events,
      settings,
      name: `${index + 1} (${new URL(settings.url).origin})`,
      caller: {
        id: `webhook ${index + 1}`,
        scopes: settings.includeCodes ? ["read", "signals:await"] : ["read"],
      },
    });
  }
  return targets;
}
