/** The answers of the admin API, as far as the page reads them (the OpenAPI document has them all). */
export interface Pairing {
  readonly code: string;
  readonly expires_at: string;
  readonly number: string;
  readonly sms_uri: string;
}

export interface Channel {
  readonly id: string;
  readonly provider: "twilio" | "simulator";
  readonly number: string;
  readonly mode: "message" | "signal";
  readonly agent?: string;
  readonly enabled: boolean;
  readonly status: "disabled" | "connecting" | "pairing" | "connected" | "reconnecting" | "failed";
  readonly reason?: string;
  readonly fix?: string;
  readonly warnings?: readonly { readonly detail: string; readonly fix: string }[];
  readonly paired_addresses: number;
  readonly pairing?: Pairing;
}

export interface Address {
  readonly address: string;
  readonly label?: string;
  readonly paired_at: string;
}

export interface Message {
  readonly id: string;
  readonly channel: string;
  readonly direction: "inbound" | "outbound";
  readonly from: string;
  readonly to: string;
  readonly text?: string;
  readonly media: readonly { readonly url: string; readonly content_type: string }[];
  readonly state: string;
  readonly route?: string;
  readonly conversation_id?: string;
  readonly turn_id?: string;
  readonly provider_sid?: string;
  readonly segments?: number;
  readonly policies?: readonly string[];
  readonly error?: { readonly code?: number; readonly meaning: string; readonly fix: string };
  readonly late?: boolean;
  readonly created_at: string;
  readonly events?: readonly { readonly state: string; readonly at: string; readonly detail?: string }[];
}

export interface Conversation {
  readonly id: string;
  readonly channel: string;
  readonly address: string;
  readonly agent: string;
  readonly started_at: string;
  readonly last_at: string;
  readonly ended_at?: string;
  readonly messages: number;
}

export interface Signal {
  readonly id: string;
  readonly channel: string;
  readonly from: string;
  readonly received_at: string;
  readonly text: string;
  readonly category: string;
  readonly code?: string;
  readonly link?: string;
}

export interface Watch {
  readonly id: string;
  readonly state: "pending" | "matched" | "expired" | "cancelled";
  readonly created_at: string;
  readonly expires_at: string;
  readonly channel?: string;
  readonly from?: readonly string[];
  readonly match?: string;
  readonly category?: string;
  readonly origin?: string;
  readonly instructions?: string;
  readonly mode: string;
  readonly consume: string;
  readonly agent?: string;
  readonly signals: readonly Signal[];
}

export interface Policy {
  readonly id: string;
  readonly effect: "permit" | "forbid";
  readonly source: string;
  readonly text: string;
  readonly hits: number;
}

export interface Decision {
  readonly decision: "allow" | "deny" | "error";
  readonly policies: readonly string[];
  readonly errors: readonly string[];
}

export interface Usage {
  readonly currency: string;
  readonly days: readonly {
    readonly day: string;
    readonly channel: string;
    readonly inbound: number;
    readonly outbound: number;
    readonly segments: number;
    readonly inbound_segments: number;
    readonly cost: number;
  }[];
  readonly limits: { readonly segments_per_day: number; readonly used_today: number };
}

export interface Alert {
  readonly cause: string;
  readonly message: string;
  readonly fix: string;
  readonly at: string;
}

export interface PhoneText {
  readonly sid: string;
  readonly direction: string;
  readonly from: string;
  readonly to: string;
  readonly text: string;
  readonly state: string;
}

export interface List<Item> {
  readonly items: readonly Item[];
  readonly next_cursor?: string;
}

/** What the service would not do, in its own words. */
export class Refusal extends Error {
  constructor(
    /** The HTTP status; 0 when nobody answered. */
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

type Method = "GET" | "POST" | "PATCH" | "DELETE";

/**
 * Asks the service, as whoever is signed in. Rejects with Refusal. The answer is what the OpenAPI document says; the
 * page and the service come out of one binary.
 */
export async function ask<Answer>(method: Method, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(path, {
    method,
    headers: {
      "x-sms-agent": "console",
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch(() => {
    throw new Refusal(0, "The service does not answer. Is it running?");
  });
  const text = await response.text();
  if (response.ok) return (text === "" ? undefined : JSON.parse(text)) as Answer;
  if (response.status === 401) window.dispatchEvent(new Event(SIGNED_OUT));
  throw new Refusal(response.status, wordsOf(text, response.status));
}

/** Tells the page that its session is over. */
export const SIGNED_OUT = "sms-agent:signed-out";

interface ProblemJson {
  readonly detail?: string;
  readonly fix?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

function wordsOf(text: string, status: number): string {
  try {
    const { detail, fix, errors } = JSON.parse(text) as ProblemJson;
    const fields = (errors ?? []).map(({ path, message }) => `${path}: ${message}`);
    return [detail, ...fields, fix].filter((part) => part !== undefined && part !== "").join(" ");
  } catch {
    return `The service answered ${status}.`;
  }
}

export function get<Answer>(path: string): Promise<Answer> {
  return ask<Answer>("GET", `/api/v1${path}`);
}

export function act<Answer = unknown>(method: Method, path: string, body?: unknown): Promise<Answer> {
  return ask<Answer>(method, `/api/v1${path}`, body);
}

/** A path with its query; what is empty is left out. */
export function withQuery(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const kept = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return kept.length === 0 ? path : `${path}?${new URLSearchParams(kept)}`;
}
