import type { Context, MiddlewareHandler } from "hono";
import { AppError } from "../errors.ts";
import type { Operator } from "../operator.ts";
import type { Caller } from "../token.ts";
import type { Identity } from "../tokens.ts";

/**
 * Refuses requests a browser was tricked into: a `Host` that is neither an IP address, `localhost` nor
 * configured (DNS rebinding), and an `Origin` that is not this listener's own (cross-site requests).
 */
export function sameOriginOnly(allowedHosts: () => readonly string[]): MiddlewareHandler {
  const isAllowed = (name: string) => allowedHosts().some((host) => host.toLowerCase() === name);
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    const name = hostName(host);
    if (name === undefined || !(isIpAddress(name) || name === "localhost" || isAllowed(name)))
      throw new AppError("forbidden", "This host name is not served here.", {
        fix: "Use the IP address or localhost, or add the name to admin.allowed_hosts.",
      });
    const origin = c.req.header("origin");
    if (origin !== undefined && !sameHost(origin, host))
      throw new AppError("forbidden", "Requests from another origin are not accepted.", {
        fix: "A proxy in front of this listener must pass the Host header on as it came, with its port.",
      });
    if (isForeign(c.req.header("sec-fetch-site")) && !isNavigation(c))
      throw new AppError("forbidden", "Requests that another site makes are not accepted.");
    await next();
  };
}

/** What a browser says of requests without an `Origin` too, as for an image or a script. */
function isForeign(site: string | undefined): boolean {
  return site === "cross-site" || site === "same-site";
}

/** A link that somebody followed from elsewhere: it shows a page, and brings that site nothing. */
function isNavigation(c: Context): boolean {
  const isPage =
    c.req.header("sec-fetch-mode") === "navigate" && c.req.header("sec-fetch-dest") === "document";
  return isPage && (c.req.method === "GET" || c.req.method === "HEAD");
}

/** Put on every answer that does not say otherwise: it is data, for whoever asked, and no page of anybody's. */
const PLAIN_DATA = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
} as const;

/** Keeps browsers from making more of an answer than it is, and caches from keeping it. */
export const plainData: MiddlewareHandler = async (c, next) => {
  await next();
  const { headers } = c.res;
  for (const [name, value] of Object.entries(PLAIN_DATA)) if (!headers.has(name)) headers.set(name, value);
};

/** The name of a Host header without its port, in lower case; undefined for what is no host at all. */
function hostName(host: string): string | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/.exec(host);
  return match?.[1]?.toLowerCase().replace(/\.$/, "");
}

function isIpAddress(name: string): boolean {
  if (name.startsWith("[")) return true;
  const parts = name.split(".");
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}

function sameHost(origin: string, host: string): boolean {
  try {
    const url = new URL(origin);
    return (url.protocol === "http:" || url.protocol === "https:") && url.host === host.toLowerCase();
  } catch {
    return false;
  }
}

/** Whoever asks, as found out from a request's credential. */
export type Identify = (credential: string, client: string) => Promise<Identity>;

/** The token of a request's `Authorization: Bearer`; undefined where there is none. */
export function bearerOf(c: Context): string | undefined {
  return /^Bearer +([^\s]+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
}

/** How a request shows whose it is: by a token, or by the session of a browser that is signed in. */
export interface Credentials {
  readonly token: Identify;
  readonly session: Identify;
  readonly sessionOf: (c: Context) => string | undefined;
}

/**
 * Every route behind it needs `Authorization: Bearer` with the admin token or an API token, or the cookie of the
 * console, and finds out by `callerOf` whose it is. When the token ends, so does what is still open for it.
 */
export function callersOnly(
  credentials: Credentials,
  clientOf: (request: Request) => string,
): MiddlewareHandler {
  return async (c, next) => {
    const request = c.req.raw;
    const { caller, ended } = await whose(c, credentials, clientOf(request));
    c.set(CALLER, caller);
    if (ended !== undefined)
      c.req.raw = new Request(request, { signal: AbortSignal.any([request.signal, ended]) });
    await next();
  };
}

async function whose(c: Context, credentials: Credentials, client: string): Promise<Identity> {
  const token = bearerOf(c);
  if (token !== undefined) return credentials.token(token, client);
  const session = credentials.sessionOf(c);
  if (session === undefined)
    throw new AppError("unauthenticated", "This route needs a token.", {
      fix: "Send Authorization: Bearer <token>; the admin token is in <data_dir>/admin-token.",
    });
  // A cookie comes along by itself, also with a request that a page on another port of this host makes.
  const site = c.req.header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin")
    throw new AppError("forbidden", "Requests from another site are not accepted.");
  // Only a script of this very origin can send a header of its own without being asked for leave first.
  if (!SAFE.has(c.req.method) && c.req.header("x-sms-agent") !== "console")
    throw new AppError("forbidden", "A change with a session needs the header X-Sms-Agent: console.", {
      fix: "Programs send Authorization: Bearer <token> instead of a cookie.",
    });
  return credentials.session(session, client);
}

const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD"]);

const CALLER = "caller";
const CLIENT = "client";

declare module "hono" {
  interface ContextVariableMap {
    [CALLER]: Caller | undefined;
    [CLIENT]: string | undefined;
  }
}

/**
 * Notes where a request comes from, for `clientAddress`. Stands before what replaces the request, since the listener
 * knows the address only of the one that came in.
 */
export function clientNoted(clientOf: (request: Request) => string): MiddlewareHandler {
  return async (c, next) => {
    c.set(CLIENT, clientOf(c.req.raw));
    await next();
  };
}

/** The address a request comes from, as `clientNoted` found it; "" where that did not stand before. */
export function clientAddress(c: Context): string {
  return c.get(CLIENT) ?? "";
}

/** Who asks. Throws AppError `unauthenticated` on a route that is not behind `callersOnly`. */
export function callerOf(c: Context): Caller {
  const caller = c.get(CALLER);
  if (caller === undefined) throw new AppError("unauthenticated", "This route needs a token.");
  return caller;
}

/** What the operator can see and do, as far as whoever asks has it. */
export type OperatorOf = (c: Context) => Operator;
