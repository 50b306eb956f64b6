/**
 * What the service counts of itself. Labels hold names of sms.yaml and words of ours, never an address, a text or
 * anything else somebody could send: so nobody is named by them, and nobody can make more of them.
 */

/** Counters begin at 0 with every start. */
export const COUNTERS = {
  inbound_total: { help: "Texts taken in", labels: ["channel", "route"] },
  inbound_duplicates_total: { help: "Texts the carrier delivered once more", labels: ["channel"] },
  webhook_refused_total: {
    help: "Requests to the carrier's webhook that were refused: signature, or another account or number",
    labels: ["channel", "reason"],
  },
  turns_total: { help: "Turns that have ended", labels: ["channel", "agent", "outcome"] },
  agent_tokens_total: { help: "Tokens of language models", labels: ["agent", "direction"] },
  deliveries_total: { help: "Outbound texts that came to a state", labels: ["channel", "state"] },
  segments_total: { help: "Segments, as the carrier bills them", labels: ["channel", "direction"] },
  send_attempts_total: { help: "Calls of the carrier's send, by its answer", labels: ["channel", "outcome"] },
  signals_matched_total: { help: "Signals given to a watch", labels: ["channel"] },
  watches_expired_total: { help: "Watches whose time was over", labels: [] },
  policy_decisions_total: { help: "Decisions of the policies", labels: ["action", "decision"] },
  webhook_posts_total: { help: "Events posted to the webhooks of sms.yaml", labels: ["outcome"] },
  webhook_lost_total: {
    help: "Events that were removed from the log before a webhook had taken them",
    labels: ["webhook"],
  },
  http_requests_total: { help: "Requests answered", labels: ["listener", "status"] },
} as const;

/** Durations, seconds. */
export const HISTOGRAMS = {
  turn_wait_seconds: {
    help: "From a turn's first text to its start, debounce included",
    labels: ["agent"],
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800],
  },
  turn_duration_seconds: {
    help: "From the start of a turn until its end or its parking is on disk",
    labels: ["agent"],
    buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
  },
  send_duration_seconds: {
    help: "One call of the carrier's send",
    labels: ["channel"],
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
} as const;

/** What is so at the moment somebody asks. */
export const GAUGES = {
  build_info: { help: "Always 1; the version that runs", labels: ["version"] },
  channel_status: { help: "1 for the status a channel has", labels: ["channel", "status"] },
  turns: { help: "Turns that have not ended", labels: ["state"] },
  turns_overdue_seconds: {
    help: "For how long the oldest turn that could run has been due",
    labels: [],
  },
  outbox_depth: { help: "Texts that are not yet with the carrier", labels: ["state"] },
  outbox_oldest_seconds: { help: "Age of the oldest text that waits to be sent", labels: [] },
  watches_pending: { help: "Watches that wait", labels: [] },
  judgements_waiting: { help: "Texts that wait to be judged for a watch with instructions", labels: [] },
  webhook_backlog_events: { help: "Events a webhook has not been told, at most 10000", labels: ["webhook"] },
  webhook_behind_events: {
    help: "Events in the log since the oldest that a webhook has not been told; it is lost at 100000",
    labels: ["webhook"],
  },
  webhook_paused: { help: "1 for a webhook that keeps failing and is only probed", labels: ["webhook"] },
  alerts: { help: "What the operator was told within the last hour", labels: ["kind"] },
  segments_used_today: { help: "Outbound segments of the local day", labels: [] },
  segments_per_day_limit: { help: "limits.segments_per_day", labels: [] },
  database_bytes: { help: "Size of the database without its log", labels: [] },
} as const;

export type CounterName = keyof typeof COUNTERS;
export type HistogramName = keyof typeof HISTOGRAMS;
export type GaugeName = keyof typeof GAUGES;

type Labels<Names extends readonly string[]> = Readonly<Record<Names[number], string>>;

/** Where the domain counts. Nothing of it waits or throws. */
export interface Metrics {
  /** Adds `by`, 1 where it is not given; never less than 0. */
  count<Name extends CounterName>(
    name: Name,
    labels: Labels<(typeof COUNTERS)[Name]["labels"]>,
    by?: number,
  ): void;
  observe<Name extends HistogramName>(
    name: Name,
    labels: Labels<(typeof HISTOGRAMS)[Name]["labels"]>,
    seconds: number,
  ): void;
}

/** One value of a gauge. */
export interface Reading {
  readonly name: GaugeName;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A reading whose labels are those of its gauge. */
export function reading<Name extends GaugeName>(
  name: Name,
  labels: Labels<(typeof GAUGES)[Name]["labels"]>,
  value: number,
): Reading {
  return { name, labels, value };
}

/** All of it as the text a monitoring system reads. */
export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}
