import type { Admitted } from "./admission.ts";
import type { Carrier } from "./carrier.ts";
import type { Clock } from "./clock.ts";
import type { PostEvent } from "./event-webhooks.ts";
import type { InboundEvent } from "./message.ts";
import type { Metrics } from "./metrics.ts";
import type { PolicyEngine } from "./policy.ts";
import type { ClaimedTurn } from "./turn.ts";
import { billedSegments } from "./usage.ts";
import type { Queue } from "./worker.ts";

// What is counted where it passes from one part to another: the parts themselves do not know of it.

type Admit = (channel: string, event: InboundEvent) => Promise<Admitted>;

/** Counts what texts become. */
export function meteredAdmission(admit: Admit, metrics: Metrics): Admit {
  return async (channel, event) => {
    const admitted = await admit(channel, event);
    switch (admitted.kind) {
      case "admitted":
        metrics.count("inbound_total", { channel, route: admitted.route });
        metrics.count("segments_total", { channel, direction: "inbound" }, billedSegments(event.segments));
        break;
      case "duplicate":
        metrics.count("inbound_duplicates_total", { channel });
        break;
      case "echo":
    }
    return admitted;
  };
}

/** Counts the decisions of the engine that is in force; questions out of curiosity are not counted. */
export function meteredPolicy(engine: () => PolicyEngine, metrics: Metrics): PolicyEngine {
  return {
    decide(question, options) {
      const decided = engine().decide(question, options);
      if (options?.dryRun !== true)
        metrics.count("policy_decisions_total", { action: question.action, decision: decided.decision });
      return decided;
    },
    list: () => engine().list(),
  };
}

/** Measures how long turns wait and run. */
export function meteredTurns(queue: Queue<ClaimedTurn>, metrics: Metrics, clock: Clock): Queue<ClaimedTurn> {
  return {
    ...queue,
    async run(claimed, signal) {
      const { agent, attempt, createdAt } = claimed.turn;
      const started = clock.now();
      if (attempt === 1) metrics.observe("turn_wait_seconds", { agent }, (started - createdAt) / 1_000);
      try {
        await queue.run(claimed, signal);
      } finally {
        metrics.observe("turn_duration_seconds", { agent }, (clock.now() - started) / 1_000);
      }
    },
  };
}

/** Counts and measures what is sent by a channel's carrier. */
export function meteredCarrier(carrier: Carrier, channel: string, metrics: Metrics, clock: Clock): Carrier {
  return {
    ...carrier,
    async send(request, signal) {
      const started = clock.now();
      const outcome = await carrier.send(request, signal);
      metrics.count("send_attempts_total", { channel, outcome: outcome.kind });
      metrics.observe("send_duration_seconds", { channel }, (clock.now() - started) / 1_000);
      return outcome;
    },
  };
}

/** Counts what webhooks of sms.yaml answer. */
export function meteredPost(post: PostEvent, metrics: Metrics): PostEvent {
  return async (webhook, event, signal) => {
    const outcome = await post(webhook, event, signal);
    metrics.count("webhook_posts_total", { outcome: outcome.kind });
    return outcome;
  };
}

type Answer = (request: Request) => Response | Promise<Response>;

/** Counts what a listener answers, by class of status. */
export function meteredListener(answer: Answer, listener: "public" | "admin", metrics: Metrics): Answer {
  return async (request) => {
    const response = await answer(request);
    metrics.count("http_requests_total", { listener, status: `${Math.floor(response.status / 100)}xx` });
    return response;
  };
}
