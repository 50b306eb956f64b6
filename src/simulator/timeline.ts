/** How a message ends. */
export type Fate =
  | { readonly kind: "delivered" }
  | { readonly kind: "read" }
  | { readonly kind: "undelivered"; readonly code: number }
  | { readonly kind: "failed"; readonly code: number };

/** How long a message stays in front of each state, in ms. */
export interface Delays {
  readonly queued: number;
  readonly sending: number;
  readonly sent: number;
  /** Also before `undelivered` and `failed`. */
  readonly delivered: number;
  readonly read: number;
}

export const DEFAULT_DELAYS: Delays = { queued: 10, sending: 10, sent: 20, delivered: 30, read: 30 };

export interface Step {
  readonly status: string;
  /** After the step before, ms. */
  readonly delay: number;
  readonly errorCode?: number;
}

/**
 * The states of a message after the one it was accepted in: `accepted` by a Messaging Service, else
 * `queued`. A failed message was never sent.
 */
export function timeline(first: "accepted" | "queued", fate: Fate, delays: Delays): readonly Step[] {
  const queued: readonly Step[] = first === "accepted" ? [{ status: "queued", delay: delays.queued }] : [];
  if (fate.kind === "failed") {
    return [...queued, { status: "failed", delay: delays.delivered, errorCode: fate.code }];
  }
  const onTheWay: readonly Step[] = [
    ...queued,
    { status: "sending", delay: delays.sending },
    { status: "sent", delay: delays.sent },
  ];
  switch (fate.kind) {
    case "undelivered":
      return [...onTheWay, { status: "undelivered", delay: delays.delivered, errorCode: fate.code }];
    case "delivered":
      return [...onTheWay, { status: "delivered", delay: delays.delivered }];
    case "read":
      return [
        ...onTheWay,
        { status: "delivered", delay: delays.delivered },
        { status: "read", delay: delays.read },
      ];
  }
}
