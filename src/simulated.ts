import { rfc3339 } from "./clock.ts";
import { formatDuration } from "./duration.ts";
import type { Media } from "./message.ts";

/**
 * The built-in carrier from the side of its simulated phones. The admin API, the console and `demo` drive it
 * through this port; `simulator/` implements it. Wrong input rejects with an AppError `invalid` that names
 * the fields as the JSON of the API does.
 */
export interface SimulatorControl {
  /**
   * Sends a text to one of the simulated numbers, as any address. Resolves when the carrier has the message,
   * which is before the webhook of the number is called.
   */
  inbound(text: SimulatedText): Promise<{ readonly sid: string }>;
  /** Every address that has sent or was sent a text, the one with the latest text first. */
  phones(): Promise<readonly SimulatedPhone[]>;
  /** The texts of one phone in both directions, oldest first; empty for a phone never heard of. */
  messages(address: string): Promise<readonly PhoneMessage[]>;
  /** Calls `listener` with every new text of any phone and again with every new state of one. */
  subscribe(listener: (message: PhoneMessage) => void): () => void;
  /** Faults that still wait to happen, in the order in which they were added. */
  faults(): Promise<readonly Fault[]>;
  /** Parses the JSON form of a fault (see {@link FaultEffect}; snake_case) and puts it in force. */
  addFault(input: unknown): Promise<Fault>;
  /** False when there is no such fault (any more). */
  removeFault(id: string): Promise<boolean>;
  clearFaults(): Promise<void>;
}

export interface SimulatedText {
  readonly from: string;
  /** One of the simulated numbers, `whatsapp:` included where the text goes by WhatsApp. */
  readonly to: string;
  /** At most 1,600 characters; may be empty. */
  readonly body: string;
  /**
   * Pictures and files, ten at most. `data:` URLs are stored. Other URLs are never fetched: the media
   * resource redirects to them, as Twilio's redirects to its CDN.
   */
  readonly mediaUrls?: readonly string[];
  readonly media?: readonly { readonly contentType: string; readonly bytes: Uint8Array }[];
  /** The sender's WhatsApp name. */
  readonly profileName?: string;
  /** More webhook parameters (`ButtonPayload`, `Latitude`…); they replace those the simulator makes. */
  readonly parameters?: Readonly<Record<string, string>>;
}

export interface SimulatedPhone {
  readonly address: string;
  readonly messages: number;
  readonly lastAt: number;
  /** The numbers (or Messaging Services) this phone has sent STOP to. */
  readonly optedOutOf: readonly string[];
}

/** One text as the phone's owner and the carrier know it together. */
export interface PhoneMessage {
  readonly sid: string;
  /** Seen from the number, as everywhere: `inbound` is what the phone has sent. */
  readonly direction: "inbound" | "outbound";
  readonly from: string;
  readonly to: string;
  readonly text: string;
  readonly media: readonly Media[];
  /** Twilio's word: `received` for inbound ones; `queued`, `sent`, `delivered`, `undelivered`… */
  readonly state: string;
  readonly segments: number;
  readonly errorCode?: number;
  /** When it was sent. */
  readonly at: number;
  /** When it reached the phone. Absent while under way, for ever when it never arrives, and for inbound ones. */
  readonly arrivedAt?: number;
}

/**
 * What goes wrong on order. `on` is the place:
 *
 * - `request`: any REST request that does not create a message
 * - `send`: the creation of a message and what becomes of it
 * - `callback`: the status callbacks of a message; picked when the message is accepted, so `times: 1` means
 *   the callbacks of one message; `states` limits it to callbacks with these states
 * - `inbound`: the webhook for a text that a phone sends
 *
 * Several faults may hit one message as long as they concern different things: the answer, the listing, the
 * final state, the callbacks. Of those that concern the same thing the first added counts.
 */
export type FaultEffect = RequestFault | SendFault | CallbackFault | InboundFault;

export type RequestFault =
  /** Refused with this error code (and HTTP status, 400 unless given). */
  | {
      readonly on: "request";
      readonly kind: "error";
      readonly code: number;
      readonly status: number;
      readonly message?: string;
    }
  /** 429 with code 20429; `retryAfter` (ms) becomes a `Retry-After` header. */
  | { readonly on: "request"; readonly kind: "throttle"; readonly retryAfter?: number }
  /** 503 unless `status` says otherwise. Nothing was done. */
  | { readonly on: "request"; readonly kind: "server_error"; readonly status: number }
  /** Nothing is done and no answer ever comes. */
  | { readonly on: "request"; readonly kind: "timeout" }
  /** Nothing is done and the connection is cut. */
  | { readonly on: "request"; readonly kind: "cut" }
  /** Done, but answered `delay` ms later. */
  | { readonly on: "request"; readonly kind: "slow"; readonly delay: number };

export type SendFault =
  | {
      readonly on: "send";
      readonly kind: "error";
      readonly code: number;
      readonly status: number;
      readonly message?: string;
    }
  | { readonly on: "send"; readonly kind: "throttle"; readonly retryAfter?: number }
  /** 5xx, and the message was not accepted. */
  | { readonly on: "send"; readonly kind: "server_error"; readonly status: number }
  /** 5xx, and the message was accepted all the same. */
  | { readonly on: "send"; readonly kind: "server_error_after"; readonly status: number }
  /** No answer ever comes, and the message was not accepted. */
  | { readonly on: "send"; readonly kind: "timeout_before" }
  /** No answer ever comes, and the message was accepted. */
  | { readonly on: "send"; readonly kind: "timeout_after" }
  /** The connection is cut, and the message was not accepted. */
  | { readonly on: "send"; readonly kind: "cut_before" }
  /** The connection is cut, and the message was accepted. */
  | { readonly on: "send"; readonly kind: "cut_after" }
  /** Accepted at once, answered `delay` ms later. */
  | { readonly on: "send"; readonly kind: "slow"; readonly delay: number }
  /** Sent, but ends `undelivered` with this code. */
  | { readonly on: "send"; readonly kind: "undelivered"; readonly code: number }
  /** Accepted, but ends `failed` with this code without being sent. */
  | { readonly on: "send"; readonly kind: "failed"; readonly code: number }
  /** Delivered, then `read`. */
  | { readonly on: "send"; readonly kind: "read" }
  /** In the account's message list only `delay` ms after its acceptance. */
  | { readonly on: "send"; readonly kind: "list_lag"; readonly delay: number };

export type CallbackFault =
  /** Never sent. */
  | { readonly on: "callback"; readonly kind: "lost"; readonly states?: readonly string[] }
  /** Sent `delay` ms late; later ones do not wait for it. */
  | {
      readonly on: "callback";
      readonly kind: "late";
      readonly delay: number;
      readonly states?: readonly string[];
    }
  /** Sent `count` times at once. */
  | {
      readonly on: "callback";
      readonly kind: "duplicate";
      readonly count: number;
      readonly states?: readonly string[];
    }
  /** All of them are held back to the end and sent in reverse: `delivered` first. */
  | { readonly on: "callback"; readonly kind: "reorder" }
  /**
   * The callbacks up to `state` (the first one unless given) are answered before the request that created
   * the message is.
   */
  | { readonly on: "callback"; readonly kind: "before_answer"; readonly state?: string };

export type InboundFault =
  /** The webhook is never called; the text is in the message list. */
  | { readonly on: "inbound"; readonly kind: "lost" }
  /** The webhook is called `delay` ms late; later texts do not wait for it. */
  | { readonly on: "inbound"; readonly kind: "slow"; readonly delay: number }
  /** The webhook is called `count` times at once, with the same MessageSid. */
  | { readonly on: "inbound"; readonly kind: "duplicate"; readonly count: number }
  /** In the account's message list only `delay` ms after it was sent. */
  | { readonly on: "inbound"; readonly kind: "list_lag"; readonly delay: number }
  /** The webhook is signed with a wrong token, as a forger's would be. */
  | { readonly on: "inbound"; readonly kind: "bad_signature" };

/** All that are given must fit. A trailing `*` makes a prefix of the value. */
export interface FaultMatch {
  readonly from?: string;
  readonly to?: string;
  readonly body?: string;
  /** For `request` only: the path of the URL. */
  readonly path?: string;
  /** For `request` only. */
  readonly method?: string;
}

export interface Fault {
  readonly id: string;
  /** How often it will still happen; absent means until it is removed. */
  readonly times?: number;
  readonly match?: FaultMatch;
  readonly effect: FaultEffect;
}

/** The JSON forms of the API: snake_case, times RFC 3339, durations as `250ms`. */
export function phoneJson(phone: SimulatedPhone): Record<string, unknown> {
  return {
    address: phone.address,
    messages: phone.messages,
    last_at: rfc3339(phone.lastAt),
    opted_out_of: phone.optedOutOf,
  };
}

export function phoneMessageJson(message: PhoneMessage): Record<string, unknown> {
  return {
    sid: message.sid,
    direction: message.direction,
    from: message.from,
    to: message.to,
    text: message.text,
    media: message.media.map((item) => ({ url: item.url, content_type: item.contentType })),
    state: message.state,
    segments: message.segments,
    ...(message.errorCode === undefined ? {} : { error_code: message.errorCode }),
    at: rfc3339(message.at),
    ...(message.arrivedAt === undefined ? {} : { arrived_at: rfc3339(message.arrivedAt) }),
  };
}

export function faultJson(fault: Fault): Record<string, unknown> {
  const json: Record<string, unknown> = { id: fault.id };
  for (const [name, value] of Object.entries(fault.effect)) {
    if (name === "delay") json.delay = formatDuration(value);
    else if (name === "retryAfter") json.retry_after = formatDuration(value);
    else json[name] = value;
  }
  if (fault.times !== undefined) json.times = fault.times;
  if (fault.match !== undefined) json.match = fault.match;
  return json;
}
