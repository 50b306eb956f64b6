import type { MiddlewareHandler } from "hono";
import { AppError } from "../errors.ts";

/**
 * Refuses requests a browser was tricked into: a `Host` that is neither an IP address, `localhost` nor
 * configured (DNS rebinding), and an `Origin` that is not this listener's own (cross-site requests).
 */
export function sameOriginOnly(allowedHosts: readonly string[]): MiddlewareHandler {
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    const name = hostName(host);
    if (name === undefined || !(isIpAddress(name) || name === "localhost" || allowed.has(name)))
      throw new AppError("forbidden", "This host name is not served here.", {
        fix: "Use the IP address or localhost, or add the name to admin.allowed_hosts.",
      });
    const origin = c.req.header("origin");
    if (origin !== undefined && !sameHost(origin, host))
      throw new AppError("forbidden", "Requests from another origin are not accepted.");
    await next();
  };
}

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

/** Every route behind it needs `Authorization: Bearer` with the admin token, compared in constant time. */
export function bearerOnly(matches: (token: string) => boolean): MiddlewareHandler {
  return async (c, next) => {
    const token = /^Bearer +([^\s]+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    if (token === undefined)
      throw new AppError("unauthenticated", "This route needs a token.", {
        fix: "Send Authorization: Bearer <token>; the admin token is in <data_dir>/admin-token.",
      });
    if (!matches(token)) throw new AppError("unauthenticated", "The token is not valid.");
    await next();
  };
}
