/** The session between one address and one channel; ends after `idle_timeout` without an inbound message. */
export interface Conversation {
  readonly id: string;
  readonly channel: string;
  /** The other side; for `session: shared` the address that started it. */
  readonly address: string;
  readonly agent: string;
  readonly startedAt: number;
  /** The later of the last inbound message and the last turn's end. */
  readonly lastAt: number;
  readonly endedAt?: number;
  readonly messages: number;
}

/**
 * What turns and conversations are keyed by. Turns of one key run one at a time, in order. The receiving
 * channel is part of it, so that replies never go out from another number; with `session: shared` all paired
 * addresses of an agent share one key.
 */
export function sessionKey(
  channel: { readonly id: string; readonly agent?: string; readonly session: "address" | "shared" },
  address: string,
  paired: boolean,
): string {
  if (channel.session === "shared" && paired) return `shared:${channel.agent ?? ""}`;
  return `${channel.id}:${address}`;
}

/** A turn with several texts starts at the latest this many `debounce` after the first of them. */
export const MAX_DEBOUNCES = 5;

/**
 * When a queued turn may start after one more text: `debounce` after the latest text, at most five times
 * that after the first. All in ms; `firstAt` and `now` are epoch times.
 */
export function turnDueAt(firstAt: number, now: number, debounce: number): number {
  return Math.min(now + debounce, firstAt + MAX_DEBOUNCES * debounce);
}
