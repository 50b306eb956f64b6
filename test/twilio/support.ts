import type { Log, LogFields } from "../../src/log.ts";
import type { ChannelSettings, Sender, TwilioAccount } from "../../src/settings.ts";

export const ACCOUNT_SID = "AC00000000000000000000000000000001";
export const SERVICE_SID = "MG00000000000000000000000000000001";
export const NUMBER = "+15551234567";
export const AUTH_TOKEN = "token-of-the-account";
export const NEVER = new AbortController().signal;

export function account(url: string, changes: Partial<TwilioAccount> = {}): TwilioAccount {
  return { accountSid: ACCOUNT_SID, authToken: AUTH_TOKEN, apiUrl: url, messagingUrl: url, ...changes };
}

export function channel(
  url: string,
  changes: Partial<Omit<ChannelSettings, "account">> & { readonly account?: Partial<TwilioAccount> } = {},
): ChannelSettings {
  const { account: accountChanges, ...rest } = changes;
  return {
    id: "sms",
    provider: "twilio",
    sender: { kind: "number", number: NUMBER },
    mode: "message",
    agent: "parrot",
    enabled: true,
    inbound: "webhook",
    pollInterval: 5_000,
    catchUp: 86_400_000,
    registerWebhook: true,
    allowedSenders: [],
    allowAllSenders: false,
    idleTimeout: 1_800_000,
    session: "address",
    debounce: 1_200,
    reply: { maxMessages: 1, overflow: "more", economy: true },
    insecureNoSignature: false,
    ...rest,
    account: account(url, accountChanges),
  };
}

export const service: Sender = { kind: "service", sid: SERVICE_SID };

/** A request as the scripted server got it. */
export interface Received {
  readonly method: string;
  readonly path: string;
  readonly search: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly form: URLSearchParams;
}

export type Script = (request: Received) => Response | Promise<Response> | undefined;

export interface ScriptedServer extends Disposable {
  readonly url: string;
  readonly requests: Received[];
  /** Requests of one method to one path. */
  of(method: string, path: string): readonly Received[];
}

/** A server on a free port that answers as told; 404 in Twilio's form for what it was not told. */
export function scripted(script: Script): ScriptedServer {
  const requests: Received[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const url = new URL(request.url);
      const received: Received = {
        method: request.method,
        path: url.pathname,
        search: url.search,
        query: url.searchParams,
        headers: request.headers,
        form: new URLSearchParams(await request.text()),
      };
      requests.push(received);
      return (await script(received)) ?? refusal(404, 20404, `${url.pathname} was not found`);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    requests,
    of: (method, path) => requests.filter((request) => request.method === method && request.path === path),
    [Symbol.dispose]: () => void server.stop(true),
  };
}

export function refusal(status: number, code: number, message: string): Response {
  return Response.json({ code, message, more_info: "", status }, { status });
}

export interface LoggedLine {
  readonly level: string;
  readonly event: string;
  readonly fields: LogFields;
}

export function recordingLog(): Log & { readonly lines: LoggedLine[] } {
  const lines: LoggedLine[] = [];
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}) =>
      void lines.push({ level, event, fields });
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
