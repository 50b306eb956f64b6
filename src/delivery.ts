import type { DeliveryState } from "./message.ts";

/**
 * How far a message has come. A state is only ever replaced by one of a higher rank, so a late, lower or
 * repeated callback never moves a message back. Ranks after Twilio's own order of callbacks.
 */
const RANK: Readonly<Record<DeliveryState, number>> = {
  pending: 0,
  sending: 1,
  unknown: 2,
  queued: 3,
  sent: 4,
  delivered: 5,
  undelivered: 5,
  failed: 5,
  canceled: 5,
  suppressed: 5,
  read: 6,
};

/** The state after `heard` was heard while in `current`: the higher one, the present one on a tie. */
export function advance(current: DeliveryState, heard: DeliveryState): DeliveryState {
  return RANK[heard] > RANK[current] ? heard : current;
}

/**
 * States whose end is known; no callback but `read` after `delivered` can follow. `unknown` is not among
 * them: a callback may still settle it.
 */
export function isFinal(state: DeliveryState): boolean {
  return RANK[state] >= RANK.delivered;
}

/**
 * True while the next message to the same person must wait, so that order is kept: the text is not yet with
 * the carrier, or it is not known whether it is.
 */
export function holdsOrder(state: DeliveryState): boolean {
  return state === "pending" || state === "sending" || state === "unknown";
}

/**
 * The carrier's word as our state; undefined for words we do not know. Twilio's `sending` means "handed on
 * from its queue" and comes after its `queued`, where ours means that the API call is under way.
 */
export function deliveryStateOf(status: string): DeliveryState | undefined {
  switch (status.toLowerCase()) {
    case "accepted":
    case "scheduled":
    case "queued":
    case "sending":
      return "queued";
    case "sent":
      return "sent";
    case "delivered":
      return "delivered";
    case "undelivered":
      return "undelivered";
    case "failed":
      return "failed";
    case "canceled":
      return "canceled";
    case "read":
      return "read";
    default:
      return undefined;
  }
}

/** A send is tried again this long after its `attempt`-th try (1-based): 1 s doubling to 5 min, ± 25 %. */
export function retryDelay(attempt: number, random: number, retryAfter = 0): number {
  const base = Math.min(300_000, 1_000 * 2 ** Math.min(attempt - 1, 12));
  return Math.max(retryAfter, Math.round(base * (0.75 + random / 2)));
}

/**
 * This long after its attempt an unclear send no longer holds its recipient's other messages, and nobody looks for it
 * any more. Milliseconds.
 */
export const UNKNOWN_HOLD = 180_000;

/** A message that could not be handed over for this long is given up. Milliseconds. */
export const GIVE_UP_AFTER = 4 * 3_600_000;
