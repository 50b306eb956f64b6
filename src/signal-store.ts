import type { Annotation } from "./annotation.ts";
import type { Media } from "./message.ts";
import type { Signal } from "./signal.ts";
import type { Page } from "./store.ts";
import type { Watch, WatchState } from "./watch.ts";

/**
 * Watches and what they caught. A signal is an inbound message seen through its annotation; there is no second
 * copy of its text.
 */
export interface SignalStore {
  /** With `idempotency`, the same key within its time gives the first watch, whatever became of it. */
  createWatch(watch: Watch, idempotency?: WatchIdempotency): Promise<CreateWatchOutcome>;
  watch(id: string): Promise<Watch | undefined>;
  /** Newest first. */
  watches(query: {
    readonly state?: WatchState;
    readonly limit: number;
    readonly cursor?: string;
  }): Promise<Page<Watch>>;
  /** Pending ones, oldest first; read once at start. */
  pendingWatches(): Promise<readonly Watch[]>;
  /** Watches of agents' calls that have ended while the turn they belong to is still parked. */
  unansweredWatches(): Promise<readonly Watch[]>;
  /** False when it is no longer pending. */
  cancelWatch(id: string, at: number): Promise<boolean>;
  /** Makes pending watches whose time is over `expired` (or `matched`, where a continuous one caught something). */
  expireWatches(now: number): Promise<readonly Watch[]>;
  /**
   * Kept messages with an annotation that arrived since `since` and that no watch has claimed, oldest first, and
   * whether they are in a turn of an agent.
   */
  recentSignals(query: RecentQuery): Promise<readonly RecentSignal[]>;
  /** Offers a message that was admitted before; in one transaction, as `offer_signal` does at admission. */
  offerSignal(offer: OfferSignal): Promise<OfferOutcome>;
  /**
   * Erases code, link and text of messages that are older than `before` and whose route is `signal` or which a
   * watch has claimed; their annotations keep only the category. A little at a time; answers whether there is
   * more to do.
   */
  purgeCodes(before: number): Promise<boolean>;
}

export interface WatchIdempotency {
  readonly key: string;
  readonly fingerprint: string;
  /** Epoch ms until which the key is remembered. */
  readonly until: number;
  /** There is no room for another watch: only the one that the key stands for may be answered. */
  readonly onlyKnown?: boolean;
}

export type CreateWatchOutcome =
  | { readonly kind: "created" | "replayed"; readonly watch: Watch }
  | { readonly kind: "key_conflict" }
  | { readonly kind: "no_room" };

export interface RecentQuery {
  readonly since: number;
  readonly channel?: string;
}

export interface RecentSignal {
  readonly signal: Signal;
  readonly inTurn: boolean;
}

/**
 * Offers one message to watches, in order (oldest first). Each watch that is still pending and has not seen the
 * message gets it, but for claiming ones: of those only the first, and none when the message is claimed
 * already. A `once` watch that gets it becomes `matched`. A denied sender's text that is neither kept nor given
 * with `reveal` goes to nobody.
 */
export interface OfferSignal {
  readonly kind: "offer_signal";
  readonly messageId: string;
  readonly offers: readonly Offer[];
  /** Watches with `instructions` whose hard filters it passes: it is queued to be judged for each. */
  readonly judged?: readonly string[];
  /**
   * What may be kept of a denied sender's text if a watch gets it or it is queued to be judged; the row stays as
   * it is otherwise. Once a watch gets it, the message's state becomes `handled`.
   */
  readonly reveal?: {
    readonly from: string;
    readonly text: string;
    readonly media: readonly Media[];
    readonly annotation: Annotation;
  };
  readonly at: number;
}

export interface Offer {
  readonly watchId: string;
  /** True when it takes the message from other claiming watches. */
  readonly claims: boolean;
  /** True when it takes the message from the agent too: its turn is then not queued. */
  readonly claimsFromAgent: boolean;
}

export interface OfferOutcome {
  /** Watches that got the message, in order, and whether that ended them. */
  readonly delivered: readonly { readonly watchId: string; readonly ended: boolean }[];
  readonly claimed: boolean;
  /** Set when a judgement was queued. */
  readonly judging?: true;
}
