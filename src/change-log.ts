import { redactAddress } from "./address.ts";
import type { Change, ChangeOrigin, OnChanges } from "./change.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/**
 * Counts every change, and writes the line of those that nobody else tells of: a text that was suppressed while it
 * waited, a turn that a command has cancelled.
 */
export function createChangeLog({
  log,
  metrics,
}: {
  readonly log: Log;
  readonly metrics: Metrics;
}): OnChanges {
  return (changes, origin) => {
    for (const change of changes) {
      count(change, metrics);
      tell(change, origin, log);
    }
  };
}

function count(change: Change, metrics: Metrics): void {
  switch (change.kind) {
    case "delivery": {
      const { channel, state } = change;
      metrics.count("deliveries_total", { channel, state });
      break;
    }
    case "carried": {
      const { channel, segments } = change;
      metrics.count("segments_total", { channel, direction: "outbound" }, segments);
      break;
    }
    case "turn": {
      const { channel, agent, state, usage } = change;
      metrics.count("turns_total", { channel, agent, outcome: state });
      if (usage === undefined) break;
      metrics.count("agent_tokens_total", { agent, direction: "input" }, usage.inputTokens);
      metrics.count("agent_tokens_total", { agent, direction: "output" }, usage.outputTokens);
    }
  }
}

function tell(change: Change, origin: ChangeOrigin, log: Log): void {
  switch (change.kind) {
    case "carried":
      break;
    case "delivery":
      if (origin !== "send" && origin !== "callback") tellDelivery(change, log);
      break;
    case "turn": {
      if (origin === "turn") break;
      const { turnId: turn, channel, conversationId: conversation, agent, state, meaning: reason } = change;
      const fields = { turn, channel, conversation, agent, reason };
      if (state === "failed") log.error("turn.failed", fields);
      else log.info(`turn.${state}`, fields);
    }
  }
}

function tellDelivery(change: Extract<Change, { kind: "delivery" }>, log: Log): void {
  const fields = {
    message: change.messageId,
    channel: change.channel,
    to: redactAddress(change.to),
    turn: change.turnId,
    reason: change.meaning,
  };
  switch (change.state) {
    case "pending":
      log.debug("send.queued", fields);
      break;
    case "suppressed":
      log.warn("send.suppressed", fields);
      break;
    case "failed":
      log.error("send.failed", fields);
      break;
    case "unknown":
      log.error("send.unknown", fields);
      break;
    default: // told by whoever made it so
  }
}
