import type * as z from "zod";
import { redactAddress } from "../address.ts";
import type { Explained } from "../errors.ts";
import type { TwilioAccount } from "../settings.ts";
import { codeMeaning, explainCode } from "./errors.ts";
import { refusalShape } from "./resources.ts";

/**
 * What became of a request. A refusal, an unreachable API and an unclear outcome are different kinds, since
 * they are retried differently.
 */
export type RestResult<T> = RestAnswer<T> | RestFailure;

interface RestAnswer<T> {
  readonly kind: "ok";
  readonly value: T;
  /** How far the API's clock is ahead of ours, ms, to the second; absent where it does not tell the time. */
  readonly ahead?: number;
}

export type RestFailure =
  /** The API said no; the same request will get the same answer. */
  | { readonly kind: "refused"; readonly status: number; readonly error: Explained }
  /** Not processed, may be repeated. `retryAfter` in milliseconds, where the API says so. */
  | {
      readonly kind: "throttled";
      readonly reason: string;
      readonly fix: string;
      readonly retryAfter?: number;
    }
  /** No request left this machine. */
  | { readonly kind: "not_sent"; readonly reason: string; readonly fix: string }
  /** The request may have been processed: time-out, reset, 5xx, an answer nobody understands. */
  | { readonly kind: "unclear"; readonly reason: string; readonly fix: string };

/** An answer as it came; `text` is undefined when it was too long to read or broke off. */
export interface Answer {
  readonly host: string;
  readonly status: number;
  readonly retryAfter: string | null;
  readonly date: string | null;
  readonly text: string | undefined;
}

const MAX_RETRY_AFTER = 3_600_000;
/** Where a refusal has no code of its own. */
const CODE_OF_STATUS: Readonly<Record<number, number>> = { 401: 20003, 404: 20404 };

const NOT_TWILIO = "something that is no answer of Twilio's";
const NOT_TWILIO_FIX =
  "Check twilio.api_url and twilio.messaging_url, and what may answer in Twilio's place (proxy, captive portal).";

/** Reads an answer; `now` (epoch ms) is for a `Retry-After` that is a date. */
export function readAnswer<T>(
  answer: Answer,
  shape: z.ZodType<T>,
  account: TwilioAccount,
  now: number,
): RestResult<T> {
  const { status, host } = answer;
  const body = parseJson(answer.text);
  if (status >= 200 && status < 300) {
    const value = shape.safeParse(body);
    const ahead = answer.date === null ? Number.NaN : Date.parse(answer.date) - now;
    if (value.success) return { kind: "ok", value: value.data, ...(Number.isFinite(ahead) ? { ahead } : {}) };
    const reason = `${host} answered ${status} with ${NOT_TWILIO}`;
    return { kind: "unclear", reason, fix: NOT_TWILIO_FIX };
  }
  if (status >= 500 || status === 408)
    return {
      kind: "unclear",
      reason: `${host} answered ${status}`,
      fix: "It is tried again by itself; see https://status.twilio.com when it stays so.",
    };
  const error = refusal(status, body, host, account);
  const later = error.code !== undefined && codeMeaning(error.code)?.persistence === "later";
  if (status !== 429 && !later) return { kind: "refused", status, error };
  const retryAfter = retryAfterOf(answer.retryAfter, now);
  return {
    kind: "throttled",
    reason: error.code === undefined ? error.meaning : `${error.meaning} (${error.code})`,
    fix: error.fix,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
}

/** The body as text; undefined, and the rest left unread, when it is longer than `cap` bytes. */
export async function readText(response: Response, cap: number): Promise<string | undefined> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let size = 0;
  let text = "";
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    size += step.value.byteLength;
    if (size > cap) {
      await reader.cancel();
      return undefined;
    }
    text += decoder.decode(step.value, { stream: true });
  }
  return text + decoder.decode();
}

function refusal(status: number, body: unknown, host: string, account: TwilioAccount): Explained {
  const said = refusalShape.safeParse(body);
  const words = said.success ? clean(said.data.message ?? "", account) : "";
  const code = said.success ? (said.data.code ?? CODE_OF_STATUS[status]) : undefined;
  if (code !== undefined) return explainCode(code, words);
  // Twilio's own 401 may come from its edge, without a body.
  if (status === 401) return explainCode(20003);
  if (status >= 300 && status < 400)
    return {
      meaning: `${host} answers with a redirect (${status}), which is not followed with credentials`,
      fix: "Set twilio.api_url and twilio.messaging_url to the addresses that answer themselves.",
    };
  if (said.success)
    return {
      meaning: `Twilio answers ${status}${words === "" ? "" : `: ${words}`}`,
      fix: "See the Twilio console: Monitor > Logs > Errors.",
    };
  return { meaning: `${host} answers ${status} with ${NOT_TWILIO}`, fix: NOT_TWILIO_FIX };
}

function parseJson(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Seconds or a date (RFC 9110), as milliseconds from `now`; at most an hour. */
function retryAfterOf(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const wait = /^\d{1,9}$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - now;
  return Number.isFinite(wait) ? Math.min(MAX_RETRY_AFTER, Math.max(0, wait)) : undefined;
}

/** Twilio's own words, fit for a log: one line, no secrets, no whole phone numbers. */
function clean(words: string, account: TwilioAccount): string {
  let text = words.replace(/[\p{Cc}\s]+/gu, " ").trim();
  for (const secret of [account.authToken, account.authTokenPrevious, account.apiKeySecret])
    if (secret !== undefined && secret !== "") text = text.replaceAll(secret, "***");
  text = text.replace(/\+?\d{7,15}/g, (number) => redactAddress(number));
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
