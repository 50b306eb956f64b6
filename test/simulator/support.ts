import twilio from "twilio";
import type { Clock } from "../../src/clock.ts";
import type { Log, LogFields } from "../../src/log.ts";
import { createSimulator, type Simulator, type SimulatorOptions } from "../../src/simulator/simulator.ts";
import { closing } from "../support/cleanup.ts";
import { systemClock } from "../support/clock.ts";

export const ACCOUNT = `AC${"0123456789abcdef".repeat(2)}`;
export const TOKEN = "12345";
export const NUMBER = "+15551230000";
export const PHONE = "+15559990001";
export const SERVICE = `MG${"00112233445566778899aabbccddeeff"}`;

export const random = (count: number) => crypto.getRandomValues(new Uint8Array(count));

/** Tests need not wait for a phone network. */
const FAST = { queued: 1, sending: 1, sent: 1, delivered: 1, read: 1 };

export interface LogLine extends Record<string, unknown> {
  readonly event: string;
}

export function recordingLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const write = (event: string, fields: LogFields = {}) => {
    lines.push({ event, ...fields });
  };
  return { lines, debug: write, info: write, warn: write, error: write };
}

export interface RunningSimulator extends Simulator {
  readonly origin: string;
  readonly log: ReturnType<typeof recordingLog>;
  /** A request with the account's credentials, to a path below the account. */
  api(path: string, init?: ApiInit): Promise<ApiAnswer>;
  /** `POST Messages.json` from NUMBER to PHONE. */
  send(form?: Record<string, string | readonly string[]>): Promise<ApiAnswer>;
  stop(): Promise<void>;
}

export interface ApiInit {
  readonly method?: string;
  readonly form?: Record<string, string | readonly string[]>;
  /** `user:password`. */
  readonly auth?: string;
}

export interface ApiAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: JSON of a dozen resources, asserted field by field
  readonly json: any;
  readonly headers: Headers;
}

function encodeForm(form: Record<string, string | readonly string[]>): string {
  const encoded = new URLSearchParams();
  for (const [name, value] of Object.entries(form)) {
    for (const one of typeof value === "string" ? [value] : value) encoded.append(name, one);
  }
  return encoded.toString();
}

export async function request(url: string, init: ApiInit = {}): Promise<ApiAnswer> {
  const response = await fetch(url, {
    method: init.method ?? (init.form ? "POST" : "GET"),
    headers: {
      ...(init.auth === undefined ? {} : { Authorization: `Basic ${btoa(init.auth)}` }),
      ...(init.form ? { "Content-Type": "application/x-www-form-urlencoded" } : {}),
    },
    ...(init.form ? { body: encodeForm(init.form) } : {}),
    redirect: "manual",
    signal: AbortSignal.timeout(5_000),
  });
  const text = await response.text();
  const json = response.headers.get("Content-Type")?.includes("json") ? JSON.parse(text) : text;
  return { status: response.status, json, headers: response.headers };
}

/** A simulator over real HTTP, with one account and one number unless told otherwise. */
export function startSimulator(
  options: Partial<SimulatorOptions> & { readonly clock?: Clock } = {},
): RunningSimulator {
  const log = recordingLog();
  const simulator = createSimulator({
    clock: systemClock,
    random,
    fetch: (input, init) => fetch(input, init),
    log,
    accounts: [{ sid: ACCOUNT, authToken: TOKEN }],
    numbers: [{ number: NUMBER }],
    open: false,
    delays: FAST,
    ...options,
  });
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: simulator.fetch });
  const origin = `http://127.0.0.1:${server.port}`;
  const api = (path: string, init: ApiInit = {}) =>
    request(`${origin}/2010-04-01/Accounts/${ACCOUNT}${path}`, { auth: `${ACCOUNT}:${TOKEN}`, ...init });
  return {
    ...simulator,
    origin,
    log,
    api,
    send: (form = {}) => api("/Messages.json", { form: { To: PHONE, From: NUMBER, Body: "hello", ...form } }),
    async stop() {
      simulator.close();
      await server.stop(true);
    },
  };
}

export interface HookCall {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly form: URLSearchParams;
  /** The parameters as the SDK's signature check wants them. */
  readonly params: Record<string, string>;
}

export interface Receiver {
  readonly url: string;
  readonly calls: HookCall[];
  /** Waits for the first `count` calls. */
  until(count: number): Promise<readonly HookCall[]>;
  stop(): Promise<void>;
}

/** Somebody's web application, called by webhooks. */
export function startReceiver(
  respond: (call: HookCall, index: number) => Response | Promise<Response> = () =>
    new Response("<Response/>", { headers: { "Content-Type": "text/xml" } }),
): Receiver {
  const calls: HookCall[] = [];
  const waiting: { readonly count: number; readonly resolve: (calls: readonly HookCall[]) => void }[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(incoming) {
      const form = new URLSearchParams(await incoming.text());
      const call = {
        url: incoming.url,
        method: incoming.method,
        headers: incoming.headers,
        form,
        params: Object.fromEntries(form),
      };
      calls.push(call);
      for (const waiter of waiting) if (calls.length >= waiter.count) waiter.resolve(calls);
      return respond(call, calls.length - 1);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    calls,
    until(count) {
      if (calls.length >= count) return Promise.resolve(calls);
      return within(new Promise((resolve) => waiting.push({ count, resolve })), `call ${count}`);
    },
    stop: () => server.stop(true),
  };
}

/** Twilio's own check of a webhook's signature. */
export function isSigned(call: HookCall, token = TOKEN): boolean {
  return twilio.validateRequest(token, call.headers.get("X-Twilio-Signature") ?? "", call.url, call.params);
}

export function xml(body: string): Response {
  return new Response(body, { headers: { "Content-Type": "text/xml" } });
}

/** Rejects when `what` takes longer than 5 s. */
export function within<T>(what: Promise<T>, name: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} did not happen within 5 s`)), 5_000);
  });
  return Promise.race([what, late]).finally(() => clearTimeout(timer));
}

/** A receiver that is stopped after the test. */
export function receive(...respond: Parameters<typeof startReceiver>): Receiver {
  return closing(startReceiver(...respond));
}
