import type { TwilioAccount } from "../settings.ts";
import { encodeForm, type FormFields } from "./rest.ts";

/** `{api_url}/2010-04-01/Accounts/{AC}/{path}.json`, with a query where there is one. */
export function accountUrl(account: TwilioAccount, path: string, query: FormFields = []): string {
  const base = `${trimmed(account.apiUrl)}/2010-04-01/Accounts/${encodeURIComponent(account.accountSid)}`;
  return `${base}/${path}.json${queryOf(query)}`;
}

/**
 * Where a file that came with a text is asked for: always at our own `api_url`, and undefined for a URL that is
 * not one of this account's media resources at Twilio or at `api_url`. Query and user info are not taken along.
 */
export function mediaUrl(account: TwilioAccount, url: string): string | undefined {
  if (!URL.canParse(url) || !URL.canParse(account.apiUrl)) return undefined;
  const { protocol, host, pathname } = new URL(url);
  const api = new URL(account.apiUrl);
  const ours = protocol === api.protocol && host === api.host;
  if (!ours && !(protocol === "https:" && host === TWILIO_API)) return undefined;
  const prefix = ours ? api.pathname.replace(/\/+$/, "") : "";
  if (!pathname.startsWith(prefix)) return undefined;
  const found = MEDIA_PATH.exec(pathname.slice(prefix.length));
  return found?.[1] === account.accountSid ? `${trimmed(account.apiUrl)}${found[0]}` : undefined;
}

/** The host in every `MediaUrl`, also where `api_url` names a regional host or a proxy. */
const TWILIO_API = "api.twilio.com";
const MEDIA_PATH =
  /^\/2010-04-01\/Accounts\/(AC[0-9a-fA-F]{32})\/Messages\/(?:MM|SM)[0-9a-fA-F]{32}\/Media\/ME[0-9a-fA-F]{32}$/;

/** `{messaging_url}/v1/{path}`, with a query where there is one. */
export function messagingUrl(account: TwilioAccount, path: string, query: FormFields = []): string {
  return `${trimmed(account.messagingUrl)}/v1/${path}${queryOf(query)}`;
}

/**
 * The page after this one, always at our own `base` (the configured API): of what the answer names only path
 * and query are taken, so that the credentials go nowhere else. Undefined when it names nothing usable.
 */
export function nextPage(base: string, link: string | null | undefined): string | undefined {
  if (link === null || link === undefined || link === "" || !URL.canParse(link, base)) return undefined;
  const root = new URL(base);
  const prefix = root.pathname.replace(/\/+$/, "");
  const { pathname, search } = new URL(link, base);
  return root.origin + (pathname.startsWith(`${prefix}/`) ? pathname : prefix + pathname) + search;
}

function trimmed(url: string): string {
  return url.replace(/\/+$/, "");
}

function queryOf(query: FormFields): string {
  return query.length === 0 ? "" : `?${encodeForm(query)}`;
}
