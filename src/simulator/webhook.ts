import type { WebhookMethod } from "./numbers.ts";
import { type Parameters, sign } from "./signature.ts";
import type { Work } from "./work.ts";

/** Calls webhooks as Twilio does: signed, with connection overrides, time-outs and retries. */

export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

interface WebhookCall {
  /** As it was configured; a fragment holds connection overrides. */
  readonly url: string;
  readonly method: WebhookMethod;
  readonly parameters: Parameters;
  readonly authToken: string;
  /** The same on every retry of one call. */
  readonly idempotencyToken: string;
}

export type WebhookOutcome =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly contentType: string;
      readonly body: string;
    }
  /** `code` is what the fallback URL is told as `ErrorCode`. */
  | { readonly kind: "failed"; readonly code: number; readonly reason: string };

/**
 * https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides. `ct` and `sni` have no effect here:
 * fetch does not say when a connection was made, so the read time-out covers both.
 */
interface ConnectionOverrides {
  readonly retries: number;
  readonly policy: ReadonlySet<string>;
  /** Milliseconds. */
  readonly readTimeout: number;
  readonly totalTime: number;
}

const URL_PARTS = /^(https?:\/\/)(?:([^/?#]*)@)?([^#]*)(?:#(.*))?$/is;

/** A webhook URL taken apart: what is signed and requested is neither userinfo nor fragment. */
export function splitWebhookUrl(
  url: string,
): { readonly url: string; readonly userinfo?: string; readonly fragment: string } | undefined {
  const [, scheme, userinfo, rest, fragment = ""] = URL_PARTS.exec(url) ?? [];
  if (scheme === undefined || rest === undefined || !URL.canParse(scheme + rest)) return undefined;
  return { url: scheme + rest, fragment, ...(userinfo === undefined ? {} : { userinfo }) };
}

function parseOverrides(fragment: string): ConnectionOverrides {
  const values = new URLSearchParams(fragment);
  const number = (name: string, min: number, max: number, absent: number) => {
    const text = values.get(name);
    if (text === null || !/^\d{1,6}$/.test(text)) return absent;
    return Math.min(max, Math.max(min, Number(text)));
  };
  const policy = new Set((values.get("rp") ?? "ct").split(","));
  return {
    retries: number("rc", 0, 5, 1),
    policy: policy.has("all") ? new Set(["4xx", "5xx", "ct", "rt"]) : policy,
    readTimeout: number("rt", 100, 15_000, 15_000),
    totalTime: number("tt", 100, 15_000, 15_000),
  };
}

type Attempt =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly contentType: string;
      readonly body: string;
    }
  | {
      readonly kind: "failed";
      readonly class: "ct" | "rt" | "3xx" | "4xx" | "5xx";
      readonly code: number;
      readonly reason: string;
    };

export type CallWebhook = (call: WebhookCall) => Promise<WebhookOutcome>;

/** Never rejects. */
export function createWebhookCaller(fetch: Fetch, work: Work): CallWebhook {
  const { clock } = work;

  async function attempt(url: string, init: RequestInit, timeout: number): Promise<Attempt> {
    const limit = new AbortController();
    const cancel = clock.after(timeout, () => limit.abort());
    const onClose = () => limit.abort();
    work.signal.addEventListener("abort", onClose, { once: true });
    try {
      if (work.signal.aborted)
        return { kind: "failed", class: "rt", code: 11_205, reason: "the simulator was closed" };
      const response = await fetch(url, { ...init, signal: limit.signal });
      const body = await response.text();
      const { status } = response;
      if (status >= 200 && status < 300) {
        return { kind: "answered", status, contentType: response.headers.get("Content-Type") ?? "", body };
      }
      const group = status < 400 ? "3xx" : status < 500 ? "4xx" : "5xx";
      return { kind: "failed", class: group, code: 11_200, reason: `HTTP status ${status}` };
    } catch (error) {
      if (limit.signal.aborted) {
        return { kind: "failed", class: "rt", code: 11_205, reason: `no answer within ${timeout} ms` };
      }
      return connectionFailure(error);
    } finally {
      cancel();
      work.signal.removeEventListener("abort", onClose);
    }
  }

  return async (call) => {
    const parts = splitWebhookUrl(call.url);
    if (!parts) return { kind: "failed", code: 11_100, reason: `${call.url} is not a URL` };
    const overrides = parseOverrides(parts.fragment);
    const { url, init } = requestOf(call, parts);
    const deadline = clock.now() + overrides.totalTime;
    for (let tries = 0; ; tries++) {
      const left = deadline - clock.now();
      const result = await attempt(url, init, Math.min(overrides.readTimeout, left));
      if (result.kind === "answered") return result;
      const again = tries < overrides.retries && overrides.policy.has(result.class) && clock.now() < deadline;
      if (!again || work.signal.aborted) return { kind: "failed", code: result.code, reason: result.reason };
    }
  };
}

function requestOf(
  call: WebhookCall,
  parts: { readonly url: string; readonly userinfo?: string },
): { readonly url: string; readonly init: RequestInit } {
  const form = new URLSearchParams(
    call.parameters.map(([name, value]): [string, string] => [name, value]),
  ).toString();
  const headers: Record<string, string> = {
    Accept: "*/*",
    "I-Twilio-Idempotency-Token": call.idempotencyToken,
    "User-Agent": "TwilioProxy/1.1",
  };
  if (parts.userinfo !== undefined) {
    const credentials = safeDecode(parts.userinfo);
    headers.Authorization = `Basic ${Buffer.from(credentials).toString("base64")}`;
  }
  if (call.method === "GET") {
    const url = `${parts.url}${parts.url.includes("?") ? "&" : "?"}${form}`;
    headers["X-Twilio-Signature"] = sign(call.authToken, url, []);
    return { url, init: { method: "GET", headers, redirect: "manual" } };
  }
  headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8";
  headers["X-Twilio-Signature"] = sign(call.authToken, parts.url, call.parameters);
  return { url: parts.url, init: { method: "POST", headers, body: form, redirect: "manual" } };
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Why fetch rejected: a connection that broke after it was made is a read failure, the rest never connected. */
function connectionFailure(error: unknown): Attempt {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const reason = error instanceof Error ? error.message : String(error);
  if (code === "ECONNRESET" || code === "ConnectionClosed" || code === "EPIPE") {
    return { kind: "failed", class: "rt", code: 11_200, reason };
  }
  if (/CERT|TLS|SSL|EPROTO|SIGNATURE/i.test(code)) {
    return { kind: "failed", class: "ct", code: /CERT|SIGNATURE/i.test(code) ? 11_237 : 11_220, reason };
  }
  return { kind: "failed", class: "ct", code: 11_205, reason };
}
