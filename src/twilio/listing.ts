import type { CarrierList, InboundList } from "../carrier.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { InboundEvent, Media, StatusEvent } from "../message.ts";
import type { Sender, TwilioAccount } from "../settings.ts";
import type { RestFailure, RestResult } from "./answer.ts";
import { collect, parseRows } from "./pages.ts";
import { type MessageRow, mediaPage, mediaShape, messageShape, messagesPage } from "./resources.ts";
import type { FormFields, RestClient } from "./rest.ts";
import { accountUrl } from "./urls.ts";
import { isAddress } from "./webhook.ts";

export interface ListingSeams {
  readonly account: TwilioAccount;
  readonly sender: Sender;
  readonly rest: RestClient;
  /** The senders of the Messaging Service, for channels that have one. */
  readonly members: (signal: AbortSignal) => Promise<RestResult<readonly string[]>>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Listing {
  listInbound(since: number, signal: AbortSignal): Promise<InboundList>;
  fetchStatus(sid: string, signal: AbortSignal): Promise<CarrierList<StatusEvent>>;
}

const PAGE_SIZE = 200;
/** 100,000 messages: far more than any catch-up of a home service; a bound against a list without end. */
const MAX_PAGES = 500;
/**
 * Media lists of messages seen lately, so that they are not asked for at every look; more than a whole window has that
 * is looked at again and again (catchup.ts).
 */
const MEDIA_CACHE = 2_000;
/** An MMS whose parts are still coming in is left for the next look, but not for ever. Milliseconds. */
const RECEIVING = 120_000;

/** What Twilio's message list says of a channel: what came in, and what became of what went out. */
export function createListing(seams: ListingSeams): Listing {
  const { account, sender, rest, clock, log } = seams;
  const mediaCache = new Map<string, readonly Media[]>();

  async function listInbound(since: number, signal: AbortSignal): Promise<InboundList> {
    let members: ReadonlySet<string> | undefined;
    if (sender.kind === "service") {
      const answer = await seams.members(signal);
      if (answer.kind !== "ok") return listFailure(answer);
      members = new Set(answer.value);
    }
    // By a clock of ours that is fast, all that is new would have come before `since`. One that is slow asks for more.
    const carrierSince = since + Math.min(0, rest.ahead() ?? 0);
    // Twilio compares whole seconds; a fraction would hide the rest of the first one.
    const start = Math.floor(carrierSince / 1000) * 1000;
    const query: FormFields = [
      ...(sender.kind === "number" ? [["To", sender.number] as const] : []),
      ["DateSent>", new Date(start).toISOString().replace(".000Z", "Z")],
      ["PageSize", String(PAGE_SIZE)],
    ];
    const url = accountUrl(account, "Messages", query);
    const answer = await collect(rest, account.apiUrl, url, MESSAGES, MAX_PAGES, signal);
    if (answer.kind !== "ok") return listFailure(answer);
    const { rows, complete } = answer.value;
    if (!complete) log.warn("twilio.list_too_long", { pages: MAX_PAGES, rows: rows.length });

    const items: InboundEvent[] = [];
    for (const original of rows) {
      const parsed = messageShape.safeParse(original);
      if (!parsed.success) {
        log.warn("twilio.list_odd_row", { reason: parsed.error.issues[0]?.path.join(".") });
        continue;
      }
      const row = parsed.data;
      if (!isOurs(row, sender, members) || isIncomplete(row, clock.now())) continue;
      const event = inboundOf(row, rawOf(original), sender, clock.now());
      if (event === undefined || event.receivedAt < start) continue;
      if ((row.num_media ?? 0) === 0) {
        items.push(event);
        continue;
      }
      const media = await mediaOf(row.sid, signal);
      if (media.kind !== "ok") return media;
      items.push({ ...event, media: media.items });
    }
    // Twilio lists the newest first. The sort is stable, so within one second that order is turned around too.
    items.reverse().sort((left, right) => left.receivedAt - right.receivedAt);
    return { kind: "ok", items, listed: rows.length };
  }

  async function mediaOf(message: string, signal: AbortSignal): Promise<CarrierList<Media>> {
    const known = mediaCache.get(message);
    if (known !== undefined) return { kind: "ok", items: known };
    const path = `Messages/${message}/Media`;
    const answer = await collect(rest, account.apiUrl, accountUrl(account, path), MEDIA, 2, signal);
    if (answer.kind === "refused") {
      // Deleted meanwhile, most likely. The text itself is not to be lost for its picture.
      log.warn("twilio.media_refused", { sid: message, reason: answer.error.meaning });
      return { kind: "ok", items: [] };
    }
    if (answer.kind !== "ok") return listFailure(answer);
    const items = parseRows(answer.value.rows, mediaShape).items.map((row) => ({
      url: accountUrl(account, `${path}/${row.sid}`).replace(/\.json$/, ""),
      contentType: row.content_type,
    }));
    if (mediaCache.size >= MEDIA_CACHE) {
      const oldest = mediaCache.keys().next();
      if (!oldest.done) mediaCache.delete(oldest.value);
    }
    mediaCache.set(message, items);
    return { kind: "ok", items };
  }

  async function fetchStatus(sid: string, signal: AbortSignal): Promise<CarrierList<StatusEvent>> {
    const url = accountUrl(account, `Messages/${encodeURIComponent(sid)}`);
    const answer = await rest.get(url, messageShape, signal);
    // Deleted at Twilio: there is nothing more to hear of it, and nothing wrong with the channel.
    if (answer.kind === "refused" && answer.status === 404) return { kind: "ok", items: [] };
    if (answer.kind !== "ok") return listFailure(answer);
    const row = answer.value;
    if (row.status === "") return { kind: "ok", items: [] };
    return {
      kind: "ok",
      items: [
        {
          kind: "status",
          sid: row.sid,
          accountSid: row.account_sid,
          status: row.status.toLowerCase(),
          ...(row.error_code === undefined ? {} : { errorCode: row.error_code }),
          at: Math.min(row.date_updated ?? clock.now(), clock.now()),
        },
      ],
    };
  }

  return { listInbound, fetchStatus };
}

const MESSAGES = {
  shape: messagesPage,
  rows: (page: { messages: unknown[] }) => page.messages,
  next: (page: { next_page_uri?: string | null | undefined }) => page.next_page_uri,
};

const MEDIA = {
  shape: mediaPage,
  rows: (page: { media_list: unknown[] }) => page.media_list,
  next: (page: { next_page_uri?: string | null | undefined }) => page.next_page_uri,
};

function isOurs(row: MessageRow, sender: Sender, members: ReadonlySet<string> | undefined): boolean {
  if (row.direction !== "inbound") return false;
  if (sender.kind === "number") return row.to === sender.number;
  if (row.messaging_service_sid !== undefined) return row.messaging_service_sid === sender.sid;
  return typeof row.to === "string" && (members?.has(row.to) ?? false);
}

function isIncomplete(row: MessageRow, now: number): boolean {
  return row.status === "receiving" && now - (row.date_created ?? 0) < RECEIVING;
}

function inboundOf(
  row: MessageRow,
  raw: InboundEvent["raw"],
  sender: Sender,
  now: number,
): InboundEvent | undefined {
  if (!isAddress(row.from) || !isAddress(row.to)) return undefined;
  // A number that answers for its service may leave the service out; the list has told whose it is.
  const service = row.messaging_service_sid ?? (sender.kind === "service" ? sender.sid : undefined);
  return {
    kind: "inbound",
    sid: row.sid,
    accountSid: row.account_sid,
    ...(service === undefined ? {} : { messagingServiceSid: service }),
    from: row.from,
    to: row.to,
    body: row.body,
    media: [],
    ...(row.num_segments === undefined ? {} : { segments: row.num_segments }),
    receivedAt: row.date_sent ?? row.date_created ?? now,
    late: true,
    raw,
  };
}

/** The row's plain fields as text, under the names the list gives them. */
function rawOf(row: unknown): Readonly<Record<string, string>> {
  if (typeof row !== "object" || row === null) return {};
  const plain = Object.entries(row).filter(([, value]) => value !== null && typeof value !== "object");
  return Object.fromEntries(plain.map(([name, value]) => [name, String(value)]));
}

function listFailure(failure: RestFailure): Exclude<CarrierList<never>, { kind: "ok" }> {
  if (failure.kind === "refused") return { kind: "refused", error: failure.error };
  return { kind: "unreachable", reason: failure.reason };
}
