import type { SentMessage } from "./carrier.ts";
import type { Explained } from "./errors.ts";
import type { DeliveryState } from "./message.ts";
import type { Claim } from "./store.ts";

/** One reading of the carrier's list, to find out what became of an attempt. */
export interface ClaimedLook {
  readonly messageId: string;
  readonly attempt: number;
  readonly channel: string;
  readonly to: string;
  /** What the channel sent as at that time; "" where that is not known. */
  readonly from: string;
  /** The list must be read back to here, epoch ms. */
  readonly since: number;
}

/** A message of which it could not be told in time whether the carrier took it. */
export interface Undecided {
  readonly messageId: string;
  readonly channel: string;
  readonly to: string;
}

export interface SettleLook {
  readonly messageId: string;
  readonly attempt: number;
  /** When the listing was begun, and when it was over. */
  readonly lookedAt: number;
  readonly at: number;
  /** All that the list has for the recipient since `since`; absent when it could not be read. */
  readonly listed?: readonly (SentMessage & { readonly error?: Explained })[];
}

export interface LookOutcome {
  /** `gone`: it was settled meanwhile, by a callback say. `absent`: it is sent again. */
  readonly kind: "found" | "absent" | "missed" | "unclear" | "failed" | "gone";
  /** Every message that was found, that of other attempts to the same recipient included. */
  readonly found: readonly {
    readonly messageId: string;
    readonly channel: string;
    readonly sid: string;
    readonly state: DeliveryState;
    /** It had been sent again already. */
    readonly doubled: boolean;
  }[];
}

/** States in which a message is on its way, or has arrived. */
export type WellState = Extract<
  DeliveryState,
  "pending" | "sending" | "queued" | "sent" | "delivered" | "read"
>;

export type ResendOutcome =
  | { readonly kind: "queued" | "replayed"; readonly state: DeliveryState }
  /** The list is still read for it, until then (epoch ms). */
  | { readonly kind: "looking"; readonly until: number }
  /** In this state there is nothing to be sent again. */
  | { readonly kind: "state"; readonly state: WellState }
  /** What it said is not kept any more. */
  | { readonly kind: "erased" }
  | { readonly kind: "opted_out" }
  /** A policy forbade it. */
  | { readonly kind: "forbidden" }
  /** The key was used for another request. */
  | { readonly kind: "key_conflict" };

/** Attempts whose answer was lost: looked for in the carrier's list, then settled, sent again or left to a person. */
export interface DoubtStore {
  /**
   * Attempts whose next look is due, and those for which the time is over. Of the latter each is told once; it stays
   * `unknown` and no longer holds its recipient's order.
   */
  claimLooks(claim: Claim): Promise<{
    readonly looks: readonly ClaimedLook[];
    readonly undecided: readonly Undecided[];
  }>;
  nextLookDue(channels: readonly string[]): Promise<number | undefined>;
  /** What a listing tells, in one transaction with what follows from it. */
  settleLook(settle: SettleLook): Promise<LookOutcome>;
  /** Puts an outbound message that came to a bad or unknown end into the outbox again. Undefined: there is none. */
  resend(
    messageId: string,
    at: number,
    idempotency?: { readonly key: string; readonly fingerprint: string },
  ): Promise<ResendOutcome | undefined>;
}
