import type { Signal } from "./signal.ts";
import type { OfferOutcome } from "./signal-store.ts";
import type { TokenUsage } from "./tool.ts";

/** A text that passed the hard filters of a watch with `instructions`, taken from the queue to be judged. */
export interface ClaimedJudgement {
  readonly watchId: string;
  readonly instructions: string;
  /** The agent that judges; absent for a watch that names none. */
  readonly judge?: string;
  readonly signal: Signal;
  readonly numMedia: number;
  /** 1 for the first try. */
  readonly attempt: number;
}

/** What became of one try. */
export interface SettleJudgement {
  readonly watchId: string;
  readonly messageId: string;
  readonly end: /** The watch gets the text, as one that only looks. */
    | { readonly kind: "match" }
    | { readonly kind: "no_match" }
    | { readonly kind: "retry"; readonly dueAt: number }
    /** It was cut by the end of the service, and does not count as a try. */
    | { readonly kind: "released"; readonly dueAt: number }
    /** The watch stays as it is; the reason is written to the message's events. */
    | { readonly kind: "given_up"; readonly reason: string };
  /** What the model was paid for this try. */
  readonly usage?: TokenUsage;
  readonly at: number;
}

/**
 * The durable queue of judgements: one per watch and text, put in by `offer_signal` in the transaction of the
 * admission. A denied sender's text is there only to be judged: once no judgement of it is open and no watch has
 * got it, it is erased in the same transaction.
 */
export interface JudgementStore {
  /** Due judgements, oldest first; those of watches that have ended, or whose text is gone, are removed. */
  claimJudgements(claim: {
    readonly now: number;
    /** How long the rows are this process's, ms. */
    readonly lease: number;
    readonly limit: number;
  }): Promise<readonly ClaimedJudgement[]>;
  nextJudgementDue(): Promise<number | undefined>;
  /** One transaction. Does nothing when the judgement was removed meanwhile. */
  settleJudgement(settle: SettleJudgement): Promise<OfferOutcome>;
}
