import type { Explained } from "./errors.ts";
import type { MediaOutcome } from "./media.ts";
import type { AttemptRef, InboundEvent, StatusEvent } from "./message.ts";

/**
 * The far side of the phone network for one channel. Its answers tell a refusal from an unreachable carrier,
 * because they are retried differently; it throws only on a bug.
 */
export interface Carrier {
  /** Looks the sender up, checks it, and (where asked) points its webhook at us. */
  connect(request: ConnectRequest, signal: AbortSignal): Promise<ConnectOutcome>;
  send(request: SendRequest, signal: AbortSignal): Promise<SendOutcome>;
  /**
   * Inbound messages to the channel's sender since `since` (epoch ms of our clock, to the second; one that is fast hides
   * nothing), oldest first, paging done, media looked up; all marked `late`. Those that are known are left out.
   */
  listInbound(since: number, known: KnownSids, signal: AbortSignal): Promise<InboundList>;
  /**
   * The present delivery state of one message, for channels that get no callbacks. Empty when the carrier no
   * longer has the message.
   */
  fetchStatus(sid: string, signal: AbortSignal): Promise<CarrierList<StatusEvent>>;
  /**
   * Everything the channel's sender has sent to one recipient since a time, whatever its state, paging done. `ok`
   * means that the list was read as far as that: what is not in it was not in the carrier's list.
   */
  listSent(query: SentQuery, signal: AbortSignal): Promise<CarrierList<SentMessage>>;
  /** The bytes of what came with a text, at most `maxBytes` of them; nothing but the carrier's own is fetched. */
  fetchMedia(url: string, maxBytes: number, signal: AbortSignal): Promise<MediaOutcome>;
}

/** Something that works but will surprise, and what a person can do about it: two sentences. */
export interface Warning {
  readonly detail: string;
  readonly fix: string;
}

export interface ConnectRequest {
  /** Our inbound webhook, absent with `inbound: poll | none`. */
  readonly webhookUrl?: string;
  /** False: only compare what is set with `webhookUrl` and report. Without `webhookUrl` nothing is ever set. */
  readonly register: boolean;
}

export type ConnectOutcome =
  | {
      readonly kind: "ready";
      /** E.164 numbers (with `whatsapp:` where that is the channel's form) texts may be sent to, for pairing. */
      readonly numbers: readonly string[];
      readonly warnings: readonly Warning[];
    }
  /** Needs a person. */
  | { readonly kind: "failed"; readonly reason: string; readonly fix: string }
  /** Passes by itself. */
  | { readonly kind: "unreachable"; readonly reason: string; readonly fix: string };

export interface SendRequest {
  readonly to: string;
  /** The one of a Messaging Service's numbers to send from; without it the service chooses. */
  readonly from?: string;
  readonly text: string;
  readonly mediaUrls: readonly string[];
  readonly contentSid?: string;
  readonly contentVariables?: string;
  /** Base URL of our status webhook; absent when states are polled. `ref` is appended as `?m=`. */
  readonly statusCallback?: string;
  readonly ref: AttemptRef;
}

export interface SentQuery {
  readonly to: string;
  /** Epoch ms of our clock. */
  readonly since: number;
}

/** A message of ours, or of another program with the same sender, as the carrier's list has it. */
export interface SentMessage {
  readonly sid: string;
  /** The carrier's word for the state, as in callbacks. */
  readonly status: string;
  readonly errorCode?: number;
  readonly body: string;
  /** How many files go with it. */
  readonly media: number;
  readonly segments?: number;
  /** Epoch ms of our clock, the carrier's corrected; absent where the list does not say. */
  readonly createdAt?: number;
}

export type SendOutcome =
  | {
      readonly kind: "accepted";
      readonly sid: string;
      /** The carrier's word for the state, as in callbacks. */
      readonly status: string;
      readonly segments?: number;
    }
  /** Will not be accepted however often it is tried. */
  | { readonly kind: "refused"; readonly error: Explained; readonly optedOut: boolean }
  /**
   * Certainly not accepted, worth another try: throttled, or no connection was made. `retryAfter` in
   * milliseconds, where the carrier says so.
   */
  | { readonly kind: "retry"; readonly reason: string; readonly retryAfter?: number }
  /** May or may not have been accepted: time-out, reset, 5xx. */
  | { readonly kind: "ambiguous"; readonly reason: string };

/** Those of the SIDs whose message is stored. Asked page by page, so that of a long list only what is new is held. */
export type KnownSids = (sids: readonly string[]) => Promise<ReadonlySet<string>>;

export type InboundList =
  | (Extract<CarrierList<InboundEvent>, { kind: "ok" }> & {
      /** How many rows the carrier listed: those that are known, or not the channel's, included. */
      readonly listed: number;
      /** When the oldest came that was left out because its media could not be looked up: to be listed again soon. */
      readonly unfinishedSince?: number;
    })
  | Exclude<CarrierList<InboundEvent>, { kind: "ok" }>;

export type CarrierList<T> =
  | { readonly kind: "ok"; readonly items: readonly T[] }
  | { readonly kind: "refused"; readonly error: Explained }
  | { readonly kind: "unreachable"; readonly reason: string };
