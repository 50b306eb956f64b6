import type { Ledger, StoredMessage } from "./ledger.ts";
import { type Refusal, refusal } from "./refusals.ts";
import { shownFrom } from "./resources.ts";

/**
 * Pages as the 2010 API cuts them: newest first, the rest behind `next_page_uri`. A page token names a place
 * in the account's history, so that messages that arrive or are deleted while somebody pages shift nothing.
 */
export interface PageRequest {
  readonly page: number;
  readonly size: number;
  /** `PA<seq>`: what is older than seq. `PB<seq>`: what is newer. */
  readonly token?: { readonly side: "older" | "newer"; readonly seq: number };
}

const MAX_PAGE_SIZE = 1000;

export function parsePage(query: URLSearchParams): PageRequest | Refusal {
  const size = Number(query.get("PageSize") ?? 50);
  if (!Number.isInteger(size) || size < 1)
    return refusal(20_001, "'PageSize' must be a whole number from 1 to 1000");
  const page = Number(query.get("Page") ?? 0);
  if (!Number.isInteger(page) || page < 0) return refusal(20_001, "'Page' must be a whole number from 0");
  const token = query.get("PageToken");
  const limits = { page, size: Math.min(size, MAX_PAGE_SIZE) };
  if (token === null || token === "") return limits;
  const [, side, seq] = /^P([AB])([0-9a-f]{1,13})$/.exec(token) ?? [];
  if (side === undefined || seq === undefined) return refusal(20_001, `The 'PageToken' ${token} is invalid`);
  return { ...limits, token: { side: side === "A" ? "older" : "newer", seq: Number.parseInt(seq, 16) } };
}

/** The envelope of a page. `next` and `previous` are page tokens. */
export function pageEnvelope(
  url: URL,
  request: PageRequest,
  count: number,
  tokens: { readonly next?: string | undefined; readonly previous?: string | undefined },
): Record<string, unknown> {
  const uri = (page: number, token: string | undefined) => {
    const query = new URLSearchParams(url.searchParams);
    query.set("PageSize", String(request.size));
    query.set("Page", String(page));
    if (token === undefined) query.delete("PageToken");
    else query.set("PageToken", token);
    return `${url.pathname}?${query}`;
  };
  const start = request.page * request.size;
  return {
    end: start + Math.max(0, count - 1),
    first_page_uri: uri(0, undefined),
    next_page_uri: tokens.next === undefined ? null : uri(request.page + 1, tokens.next),
    page: request.page,
    page_size: request.size,
    previous_page_uri:
      tokens.previous === undefined || request.page === 0 ? null : uri(request.page - 1, tokens.previous),
    start,
    uri: `${url.pathname}${url.search}`,
  };
}

/** `Messages.json`: a page of the messages that the query's filters let through. */
export function listMessages(
  ledger: Ledger,
  accountSid: string,
  url: URL,
  now: number,
): { readonly envelope: Record<string, unknown>; readonly messages: readonly StoredMessage[] } | Refusal {
  const page = parsePage(url.searchParams);
  if ("code" in page) return page;
  const filter = parseFilter(url.searchParams);
  if ("code" in filter) return filter;
  const fits = (message: StoredMessage) =>
    !message.deleted &&
    message.listedFrom <= now &&
    (filter.to === undefined || message.to === filter.to) &&
    (filter.from === undefined || shownFrom(message) === filter.from) &&
    (filter.sent === undefined || (message.sentAt !== undefined && filter.sent(message.sentAt)));

  const { token, size } = page;
  const found: StoredMessage[] = [];
  let more = false;
  if (token?.side === "newer") {
    for (const message of ledger.ofAccountUpwards(accountSid, filter, token.seq)) {
      if (fits(message) && found.push(message) === size) break;
    }
    found.reverse();
    more = true; // the page somebody came back from
  } else {
    let skip = token === undefined ? page.page * size : 0;
    for (const message of ledger.ofAccount(accountSid, filter, token?.seq)) {
      if (!fits(message)) continue;
      if (skip > 0) skip -= 1;
      else if (found.length < size) found.push(message);
      else {
        more = true;
        break;
      }
    }
  }
  const first = found[0];
  const last = found.at(-1);
  const tokens = {
    next: more && last ? `PA${last.seq.toString(16)}` : undefined,
    previous: first ? `PB${first.seq.toString(16)}` : undefined,
  };
  return { envelope: pageEnvelope(url, page, found.length, tokens), messages: found };
}

interface MessageFilter {
  readonly to?: string | undefined;
  readonly from?: string | undefined;
  readonly sent?: ((at: number) => boolean) | undefined;
}

/**
 * `DateSent`, `DateSent>` and `DateSent<` (on or after, on or before), each a day or a second in UTC. The
 * operators reach us as the ends of names: `DateSent>=2026-01-01` is the parameter `DateSent>`. Clients that
 * encode the whole of `DateSent>=` are understood as well.
 */
function parseFilter(query: URLSearchParams): MessageFilter | Refusal {
  const checks: ((second: number) => boolean)[] = [];
  for (const [name, text] of query) {
    const operator = /^DateSent(After|Before|[<>]?=?)$/.exec(name)?.[1];
    if (operator === undefined || text === "") continue;
    const moment = parseMoment(text);
    if (moment === undefined) {
      return refusal(
        20_001,
        `'${name}' must be a date such as 2026-01-31 or 2026-01-31T12:00:00Z, not ${text}`,
      );
    }
    const { from, to } = moment;
    if (operator === ">" || operator === ">=" || operator === "After")
      checks.push((second) => second >= from);
    else if (operator === "<" || operator === "<=" || operator === "Before")
      checks.push((second) => second <= from);
    else checks.push((second) => second >= from && second < to);
  }
  return {
    to: query.get("To") || undefined,
    from: query.get("From") || undefined,
    // Dates of the API are whole seconds, so what is shown as 12:00:05 counts as 12:00:05.
    sent:
      checks.length === 0
        ? undefined
        : (at) => {
            const second = at - (at % 1000);
            return checks.every((check) => check(second));
          },
  };
}

function parseMoment(text: string): { readonly from: number; readonly to: number } | undefined {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text);
  if (!day && !/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$/.test(text))
    return undefined;
  const zoned = day || /(Z|[+-]\d{2}:?\d{2})$/.test(text) ? text : `${text}Z`;
  const at = Date.parse(zoned);
  if (Number.isNaN(at)) return undefined;
  const from = at - (at % 1000);
  return { from, to: from + (day ? 86_400_000 : 1000) };
}
