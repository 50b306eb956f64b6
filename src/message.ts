import type { Explained } from "./errors.ts";

/** A picture, a sound or a file that came with a text: where the carrier keeps it and what it says it is. */
export interface Media {
  readonly url: string;
  readonly contentType: string;
}

/** What becomes of an inbound text. */
export type Route = "pairing" | "command" | "message" | "signal" | "dropped";

export type InboundState = "received" | "queued" | "handled" | "dropped" | "failed";

/** Outbound states. `delivery.ts` says which may follow which. */
export type DeliveryState =
  | "pending"
  | "sending"
  | "queued"
  | "sent"
  | "delivered"
  | "read"
  | "undelivered"
  | "failed"
  | "canceled"
  | "suppressed"
  | "unknown";

export type OptOutType = "STOP" | "START" | "HELP";

/** A text the carrier tells us of, from a webhook or from its message list, parsed once and completely. */
export interface InboundEvent {
  readonly kind: "inbound";
  /** The carrier's id of the message (`SM…`/`MM…`), by which it is deduplicated. */
  readonly sid: string;
  readonly accountSid: string;
  readonly messagingServiceSid?: string | undefined;
  readonly from: string;
  readonly to: string;
  readonly body: string;
  readonly media: readonly Media[];
  readonly segments?: number | undefined;
  /** Only with Twilio's Advanced Opt-Out; otherwise the keywords of the body decide. */
  readonly optOutType?: OptOutType | undefined;
  /** When the carrier got it, where it says so (message list); else when we did. Epoch ms. */
  readonly receivedAt: number;
  /** Found in the carrier's list after the webhook missed it. */
  readonly late: boolean;
  /** It came before the database was restored from a backup, so it may have been answered already. */
  readonly beforeRestore?: true;
  /** Every parameter as it came, unknown ones included. Values of a repeated name in order. */
  readonly raw: Readonly<Record<string, string | readonly string[]>>;
}

export interface StatusEvent {
  readonly kind: "status";
  readonly sid: string;
  readonly accountSid?: string;
  /** The channel whose webhook it came to, or whose state was polled; it speaks for no other. */
  readonly channel?: string;
  /** From `?m=<message id>.<attempt>` of the callback's URL. */
  readonly ref?: AttemptRef;
  /** The carrier's own word (`accepted`, `sending`, `delivered`…). */
  readonly status: string;
  readonly errorCode?: number;
  readonly at: number;
}

export interface AttemptRef {
  readonly messageId: string;
  readonly attempt: number;
}

/** A message as it is kept and shown; `direction` decides which of the states apply. */
export interface Message {
  readonly id: string;
  readonly channel: string;
  readonly direction: "inbound" | "outbound";
  /** Redacted for route `dropped`, and for a denied sender's unmatched text. */
  readonly from: string;
  readonly to: string;
  readonly text?: string;
  readonly media: readonly Media[];
  readonly state: InboundState | DeliveryState;
  readonly route?: Route;
  readonly conversationId?: string;
  readonly turnId?: string;
  readonly providerSid?: string;
  readonly segments?: number;
  /** Ids of the policies that decided. */
  readonly policies?: readonly string[];
  readonly error?: Explained;
  readonly late?: boolean;
  readonly createdAt: number;
}

/** One step of a message's life; `detail` is for people. */
export interface MessageEvent {
  readonly state: InboundState | DeliveryState;
  readonly at: number;
  readonly detail?: string;
}

/** A text on its way out, before it has a state. */
export interface NewOutbound {
  readonly id: string;
  readonly channel: string;
  readonly to: string;
  readonly text: string;
  readonly mediaUrls: readonly string[];
  readonly contentSid?: string;
  readonly contentVariables?: string;
  /** Counted as Twilio does before sending; corrected by the carrier's own count. */
  readonly segments: number;
  readonly conversationId?: string;
  readonly turnId?: string;
  readonly policies?: readonly string[];
  /** Set when a policy forbids it: kept as `suppressed` with this error, never sent. */
  readonly forbidden?: Explained;
  readonly createdAt: number;
}
