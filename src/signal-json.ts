import type { Category } from "./annotation.ts";
import { rfc3339 } from "./clock.ts";
import { secondsText } from "./duration.ts";
import type { Signal } from "./signal.ts";
import type { Watch, WatchState } from "./watch.ts";

/*
 * Signals and watches as every door shows them: REST, MCP, events and webhooks. Absent means not
 * applicable.
 */

export interface SignalJson {
  readonly id: string;
  readonly message_id: string;
  readonly channel: string;
  readonly from: string;
  readonly received_at: string;
  readonly text: string;
  readonly category: Category;
  readonly code?: string;
  readonly link?: string;
  readonly origin?: string;
  readonly embedded?: string;
  readonly confidence: number;
  readonly candidates: CandidateJson[];
}

interface CandidateJson {
  readonly value: string;
  readonly score: number;
  readonly reason?: string;
}

export function signalJson(signal: Signal): SignalJson {
  const { category, code, link, origin, embedded, confidence, candidates } = signal.annotation;
  return {
    id: signal.id,
    message_id: signal.messageId,
    channel: signal.channel,
    from: signal.from,
    received_at: rfc3339(signal.receivedAt),
    text: signal.text,
    category,
    ...(code === undefined ? {} : { code }),
    ...(link === undefined ? {} : { link }),
    ...(origin === undefined ? {} : { origin }),
    ...(embedded === undefined ? {} : { embedded }),
    confidence,
    candidates: candidates.map((candidate) => ({ ...candidate })),
  };
}

export interface WatchJson {
  readonly id: string;
  readonly state: WatchState;
  readonly created_at: string;
  readonly expires_at: string;
  readonly channel?: string;
  readonly from?: string[];
  readonly match?: string;
  readonly category?: Category;
  readonly origin?: string;
  readonly instructions?: string;
  readonly mode: Watch["mode"];
  readonly consume: Watch["consume"];
  /** As `120s` or `250ms`. */
  readonly backfill: string;
  /** The agent whose turn waits; absent for API, MCP and CLI. */
  readonly agent?: string;
  readonly signals: SignalJson[];
}

export function watchJson(watch: Watch): WatchJson {
  const { owner } = watch;
  const { from, ...filters } = watch.filters;
  return {
    id: watch.id,
    state: watch.state,
    created_at: rfc3339(watch.createdAt),
    expires_at: rfc3339(watch.expiresAt),
    ...filters,
    ...(from === undefined ? {} : { from: [...from] }),
    mode: watch.mode,
    consume: watch.consume,
    backfill: secondsText(watch.backfill),
    ...(owner.kind === "agent" ? { agent: owner.agent } : {}),
    signals: watch.signals.map(signalJson),
  };
}
