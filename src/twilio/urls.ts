import type { TwilioAccount } from "../settings.ts";
import { encodeForm, type FormFields } from "./rest.ts";

/** `{api_url}/2010-04-01/Accounts/{AC}/{path}.json`, with a query where there is one. */
export function accountUrl(account: TwilioAccount, path: string, query: FormFields = []): string {
  const base = `${trimmed(account.apiUrl)}/2010-04-01/Accounts/${encodeURIComponent(account.accountSid)}`;
  return `${base}/${path}.json${queryOf(query)}`;
}

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
