import { openSimulator, type SimulatorSeeds } from "../../src/app-simulator.ts";
import type { Clock } from "../../src/clock.ts";
import type { Log } from "../../src/log.ts";
import type { SimulatorControl } from "../../src/simulated.ts";
import { systemRandom } from "../../src/system/files.ts";
import { systemClock } from "./clock.ts";
import { NUMBER } from "./service.ts";

export const ACCOUNT_SID = "AC0123456789abcdef0123456789abcdef";
export const AUTH_TOKEN = "the-auth-token-of-the-account";

/** A carrier that speaks Twilio's API over HTTP and outlives the service. */
export interface Carrier {
  readonly url: string;
  readonly control: SimulatorControl;
  close(): Promise<void>;
}

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };

export function openCarrier(
  options: {
    readonly clock?: Clock;
    readonly fetch?: typeof fetch;
    readonly numbers?: readonly string[];
    readonly port?: number;
    /** More than one account with numbers. */
    readonly seeds?: SimulatorSeeds;
  } = {},
): Carrier {
  const { clock = systemClock, numbers = [NUMBER], port = 0 } = options;
  return openSimulator(
    { host: "127.0.0.1", port },
    { accounts: [{ sid: ACCOUNT_SID, authToken: AUTH_TOKEN, numbers }], ...options.seeds },
    { clock, fetch: options.fetch ?? fetch, random: systemRandom, log: SILENT },
  );
}

/** A resource of the carrier's REST API, as the account's owner sees it. */
export async function restOf(carrier: Carrier, path: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${carrier.url}/2010-04-01/Accounts/${ACCOUNT_SID}/${path}`, {
    headers: { authorization: `Basic ${btoa(`${ACCOUNT_SID}:${AUTH_TOKEN}`)}` },
  });
  return (await response.json()) as Record<string, unknown>;
}

/** `twilio:` of sms.yaml for this carrier. */
export function twilioSection(carrier: Carrier): Record<string, unknown> {
  return {
    account_sid: ACCOUNT_SID,
    auth_token: AUTH_TOKEN,
    api_url: carrier.url,
    messaging_url: carrier.url,
  };
}

/** The channel of a test with a carrier of its own: texts answered at once. */
export const TWILIO_SMS = {
  provider: "twilio",
  from_number: NUMBER,
  agent: "parrot",
  debounce: "0s",
} as const;

/**
 * A fetch for which some hosts are elsewhere, as DNS and a TLS proxy make it: `https://sms.example.com` may be
 * a server on loopback.
 */
export function routedFetch(routes: Readonly<Record<string, string>>): typeof fetch {
  const routed = (input: string | URL | Request, init?: RequestInit) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const target = routes[url.origin];
    if (target === undefined) return fetch(input, init);
    const headers = new Headers(init?.headers);
    headers.set("host", url.host);
    return fetch(target + url.pathname + url.search, { ...init, headers });
  };
  return Object.assign(routed, { preconnect: fetch.preconnect });
}
