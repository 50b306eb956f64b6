import type * as z from "zod";
import { type Clock, sleep } from "../clock.ts";
import type { Log } from "../log.ts";
import type { TwilioAccount } from "../settings.ts";
import { type RestFailure, type RestResult, readAnswer, readText } from "./answer.ts";
import { networkFailure } from "./network.ts";

export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

export type FormFields = readonly (readonly [name: string, value: string])[];

/** A client of Twilio's REST API. It never rejects, and never follows a redirect, which would take the credentials along. */
export interface RestClient {
  /** How far the API's clock was ahead of ours when it last answered, ms, to the second; undefined while not known. */
  ahead(): number | undefined;
  get<T>(url: string, shape: z.ZodType<T>, signal: AbortSignal): Promise<RestResult<T>>;
  /** As `get`; asks up to six times more when there is no clear answer, with pauses of half a second to 16 s between. */
  getPatiently<T>(url: string, shape: z.ZodType<T>, signal: AbortSignal): Promise<RestResult<T>>;
  post<T>(
    url: string,
    form: FormFields,
    shape: z.ZodType<T>,
    signal: AbortSignal,
    options?: PostOptions,
  ): Promise<RestResult<T>>;
}

interface PostOptions {
  /**
   * Use a connection of its own. One from the pool may have died unnoticed (a NAT that forgot it), and then
   * nobody can tell whether the request arrived.
   */
  readonly ownConnection?: boolean;
}

export interface RestSeams {
  readonly account: TwilioAccount;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly log: Log;
  /** From the start to the last byte of the answer, milliseconds. */
  readonly timeout?: number;
}

const TIMEOUT = 10_000;
/** Before each further request of `getPatiently`, ms; where `Retry-After` asks for more it is longer. */
const PAUSES = [500, 1_000, 2_000, 4_000, 8_000, 16_000];
/** Who is asked to wait for longer has other things to do meanwhile, ms. */
const LONGEST_PAUSE = 60_000;
/** A full page of texts is well below it. */
const MAX_ANSWER = 8 * 1024 * 1024;
const NETWORK_FIX = "It is tried again by itself; check the network when it stays so.";

export function createRestClient(seams: RestSeams): RestClient {
  const { account, clock, log, timeout = TIMEOUT } = seams;
  const authorization = authorizationOf(account);
  let ahead: number | undefined;

  async function request<T>(
    url: string,
    init: RequestInit,
    shape: z.ZodType<T>,
    signal: AbortSignal,
  ): Promise<RestResult<T>> {
    if (signal.aborted) return { kind: "not_sent", reason: "it was called off before", fix: NETWORK_FIX };
    const host = hostOf(url);
    const started = clock.now();
    // Not AbortSignal.any: the caller's signal may live for weeks, and from it a listener can be taken off.
    const abort = new AbortController();
    let broken: RestFailure | undefined;
    const breakOff = (reason: string) => {
      broken ??= { kind: "unclear", reason, fix: NETWORK_FIX };
      abort.abort();
    };
    const cancel = clock.after(timeout, () => breakOff(`${host} did not answer within ${timeout / 1000} s`));
    const onAbort = () => breakOff(`the request to ${host} was called off`);
    signal.addEventListener("abort", onAbort, { once: true });
    let response: Response | undefined;
    let outcome: RestResult<T>;
    try {
      response = await seams.fetch(url, { ...init, redirect: "manual", signal: abort.signal });
      outcome = read(host, response, await readText(response, MAX_ANSWER), shape);
    } catch (error) {
      if (response !== undefined && isRefusal(response.status))
        outcome = read(host, response, undefined, shape);
      else outcome = broken ?? failure(error, host, response !== undefined);
    } finally {
      cancel();
      signal.removeEventListener("abort", onAbort);
    }
    log.debug("twilio.request", {
      method: init.method,
      path: pathOf(url),
      status: response?.status,
      outcome: outcome.kind,
      code: outcome.kind === "refused" ? outcome.error.code : undefined,
      ms: clock.now() - started,
    });
    return outcome;
  }

  function read<T>(host: string, response: Response, text: string | undefined, shape: z.ZodType<T>) {
    const { headers, status } = response;
    const answer = { host, status, retryAfter: headers.get("retry-after"), date: headers.get("date"), text };
    const result = readAnswer(answer, shape, account, clock.now());
    if (result.kind === "ok") ahead = result.ahead ?? ahead;
    return result;
  }

  const common = { accept: "application/json", authorization };

  function get<T>(url: string, shape: z.ZodType<T>, signal: AbortSignal): Promise<RestResult<T>> {
    return request(url, { method: "GET", headers: common }, shape, signal);
  }

  async function getPatiently<T>(url: string, shape: z.ZodType<T>, signal: AbortSignal) {
    let answer = await get(url, shape, signal);
    for (const pause of PAUSES) {
      if (answer.kind === "ok" || answer.kind === "refused" || signal.aborted) break;
      const asked = answer.kind === "throttled" ? (answer.retryAfter ?? 0) : 0;
      if (asked > LONGEST_PAUSE) break;
      try {
        await sleep(clock, Math.max(pause, asked), signal);
      } catch {
        break;
      }
      answer = await get(url, shape, signal);
    }
    return answer;
  }

  return {
    ahead: () => ahead,
    get,
    getPatiently,
    post(url, form, shape, signal, options = {}) {
      const init: RequestInit = {
        method: "POST",
        headers: { ...common, "content-type": "application/x-www-form-urlencoded" },
        body: encodeForm(form),
        ...(options.ownConnection ? { keepalive: false } : {}),
      };
      return request(url, init, shape, signal);
    },
  };
}

/** Pairs as a form body or a query; a repeated name stays repeated. */
export function encodeForm(fields: FormFields): string {
  const params = new URLSearchParams();
  for (const [name, value] of fields) params.append(name, value);
  return params.toString();
}

function failure(error: unknown, host: string, answered: boolean): RestFailure {
  const { sent, reason, fix } = networkFailure(error, host);
  return { kind: sent || answered ? "unclear" : "not_sent", reason, fix };
}

/** The status of a refusal says enough, even when the words after it broke off. */
function isRefusal(status: number): boolean {
  return status >= 300 && status < 500;
}

/** The `Authorization` header for an account: by its API key where there is one. For Twilio's API only. */
export function authorizationOf(account: TwilioAccount): string {
  const { accountSid, authToken, apiKeySid, apiKeySecret } = account;
  const credentials =
    apiKeySid !== undefined && apiKeySecret !== undefined
      ? `${apiKeySid}:${apiKeySecret}`
      : `${accountSid}:${authToken}`;
  return `Basic ${Buffer.from(credentials, "utf8").toString("base64")}`;
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "the configured address";
}

/** Without the query, which holds phone numbers. */
function pathOf(url: string): string {
  return URL.canParse(url) ? new URL(url).pathname : "";
}
