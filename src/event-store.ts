import type { AlertEvent, ChannelStatusEvent, EventType, ServiceEvent } from "./event.ts";

/** Most events that the log keeps, and for how long, ms. */
export const EVENTS_KEPT = 100_000;
export const EVENTS_KEPT_FOR = 7 * 24 * 3_600_000;

/**
 * The log of events. What happens inside the store is added in the transaction that makes it so; the rest by
 * `appendEvent`, right after it happened. Kept for a week, and at most `EVENTS_KEPT` of them.
 */
export interface EventStore {
  appendEvent(event: (ChannelStatusEvent | AlertEvent) & { readonly at: number }): Promise<void>;
  events(query: EventQuery): Promise<EventPage>;
  /** The position of the newest event; 0 before the first. */
  lastEvent(): Promise<number>;
  /**
   * The position of an event by its id. An id from the future or of another database is that of a restored
   * backup: nothing says what its holder was told, so the answer is 0. Undefined for what is no id of an event.
   */
  eventPosition(id: string): Promise<number | undefined>;
  /** Alerts since `since`, oldest first. */
  alerts(since: number): Promise<readonly (AlertEvent & { readonly at: number })[]>;
  /** Calls `listener` after each commit that added events; answers how to stop that. */
  onEvents(listener: () => void): () => void;
}

export interface EventQuery {
  /** Events after this position; 0 for all. */
  readonly after: number;
  /** Absent for all. */
  readonly types?: readonly EventType[];
  readonly limit: number;
}

export interface EventPage {
  /**
   * Oldest first. Left out is what may no longer be told: a text that was denied when it was checked again, and
   * what is about something that is not kept any more.
   */
  readonly events: readonly ServiceEvent[];
  /** How far this has looked; the next page begins after it. */
  readonly position: number;
  /** True when events behind `position` are there already. */
  readonly more: boolean;
}

/** How far each configured webhook has been told, and how it fares. */
export interface WebhookStore {
  /**
   * Makes these the webhooks there are: new ones begin at the end of the log, those not named are forgotten.
   */
  followWebhooks(keys: readonly string[], now: number): Promise<void>;
  /**
   * Takes webhooks that are due and have something to be told, for `lease` ms, with their next events (at most
   * `batch`).
   */
  claimWebhooks(claim: WebhookClaim): Promise<readonly ClaimedWebhook[]>;
  /** When the next of these webhooks is due that has something to be told. */
  nextWebhookDue(wanted: readonly WantedEvents[]): Promise<number | undefined>;
  /** Keeps what came of a claim and ends the lease. Answers how many events were given up. */
  settleWebhook(settle: WebhookSettle): Promise<number>;
  /** What these webhooks have still to be told, counted up to `limit`. */
  webhookBacklog(wanted: readonly WantedEvents[], limit: number): Promise<readonly BacklogOf[]>;
  /** How far each of these webhooks is behind, and what it has lost that nobody was told of. */
  webhookLags(wanted: readonly WantedEvents[]): Promise<readonly LagOf[]>;
  /** The operator was told that the webhook has lost these. */
  toldWebhookLoss(key: string, lost: LostEvents): Promise<void>;
}

/** Events that were removed from the log before a webhook was told of them: how many of each type. */
export type LostEvents = Readonly<Partial<Record<EventType, number>>>;

export interface LagOf {
  readonly key: string;
  /** Events in the log from the oldest that it wants and was not told, whatever their type; 0 when there is none. */
  readonly behind: number;
  readonly oldestAt?: number;
  readonly lost: LostEvents;
}

export interface BacklogOf {
  readonly key: string;
  readonly events: number;
  readonly paused: boolean;
}

/** A webhook and the events it asks for. */
export interface WantedEvents {
  readonly key: string;
  readonly types: readonly EventType[];
}

export interface WebhookClaim {
  readonly wanted: readonly WantedEvents[];
  readonly now: number;
  readonly lease: number;
  readonly limit: number;
  readonly batch: number;
}

export interface ClaimedWebhook {
  readonly key: string;
  readonly progress: WebhookProgress;
  readonly page: EventPage;
}

export interface WebhookProgress {
  /** Everything up to here was told, or given up. */
  readonly position: number;
  /** Failures since the last success. */
  readonly failures: number;
  /** When the first of them was. */
  readonly failingSince?: number;
  /** It has failed for so long that it is only probed now and then. */
  readonly paused: boolean;
}

export interface WebhookSettle extends WebhookProgress {
  readonly key: string;
  readonly dueAt: number;
  /** Events of these types up to this time are told no more. */
  readonly giveUp?: { readonly types: readonly EventType[]; readonly before: number };
}
