import type { Problem } from "./errors.ts";
import type { InboundEvent, StatusEvent } from "./message.ts";
import type { ChannelSettings } from "./settings.ts";

/** A carrier's request as it came, before anything of it is believed. */
export interface WebhookRequest {
  readonly channel: ChannelSettings;
  /** `/webhooks/twilio/{channel}` or `…/status`: the path Twilio signed, whatever a proxy made of it. */
  readonly canonicalPath: string;
  /** As sent, without `?`; byte for byte, since it is signed. */
  readonly rawQuery: string;
  readonly contentType: string;
  readonly signature: string | undefined;
  readonly body: Uint8Array;
  readonly receivedAt: number;
}

/** Reads a carrier's webhooks; implemented by the carrier's own folder. */
export interface WebhookReader {
  /** True when the body was signed with the channel's token over the configured public URL. */
  authentic(request: WebhookRequest): boolean;
  readInbound(request: WebhookRequest): InboundEvent | Malformed;
  readStatus(request: WebhookRequest): StatusEvent | Malformed;
}

export interface Malformed {
  readonly kind: "malformed";
  readonly problems: readonly Problem[];
}
