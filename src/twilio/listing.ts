import type { CarrierList, InboundList, KnownSids } from "../carrier.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { InboundEvent, StatusEvent } from "../message.ts";
import type { Sender, TwilioAccount } from "../settings.ts";
import type { RestFailure, RestResult } from "./answer.ts";
import { createListedMedia, type Listed } from "./listed-media.ts";
import { readPages } from "./pages.ts";
import { type MessageRow, messageShape, messagesPage } from "./resources.ts";
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
  listInbound(since: number, known: KnownSids, signal: AbortSignal): Promise<InboundList>;
  fetchStatus(sid: string, signal: AbortSignal): Promise<CarrierList<StatusEvent>>;
}

const PAGE_SIZE = 200;
/** 100,000 messages: far more than any catch-up of a home service; a bound against a list without end. */
const MAX_PAGES = 500;
/** An MMS whose parts are still coming in is left for the next look, but not for ever. Milliseconds. */
const RECEIVING = 120_000;

/** What Twilio's message list says of a channel: what came in, and what became of what went out. */
export function createListing(seams: ListingSeams): Listing {
  const { account, sender, rest, clock, log } = seams;
  const withMedia = createListedMedia(seams);

  async function listInbound(since: number, known: KnownSids, signal: AbortSignal): Promise<InboundList> {
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
    let listed = 0;
    const fresh: Listed[] = [];
    const take = async (rows: readonly unknown[]) => {
      listed += rows.length;
      const page = rows
        .flatMap((row) => listedOf(row, members))
        .filter((row) => row.event.receivedAt >= start);
      const stored = await known(page.map((row) => row.event.sid));
      for (const row of page) if (!stored.has(row.event.sid)) fresh.push(row);
    };
    const list = {
      base: account.apiUrl,
      url,
      form: MESSAGES,
      maxPages: MAX_PAGES,
      patient: true,
    } as const;
    const answer = await readPages(rest, list, take, signal);
    if (answer.kind !== "ok") return listFailure(answer);
    if (!answer.value.complete) log.warn("twilio.list_too_long", { pages: MAX_PAGES, rows: listed });

    // Twilio lists the newest first. The sort is stable, so within one second that order is turned around too.
    fresh.reverse().sort((left, right) => left.event.receivedAt - right.event.receivedAt);
    const { items, leftOut } = await withMedia(fresh, signal);
    const unfinishedSince = leftOut[0]?.receivedAt;
    return { kind: "ok", items, listed, ...(unfinishedSince === undefined ? {} : { unfinishedSince }) };
  }

  /** The text of one row of the list; none when it is not the channel's, still coming in, or unreadable. */
  function listedOf(original: unknown, members: ReadonlySet<string> | undefined): readonly Listed[] {
    const parsed = messageShape.safeParse(original);
    if (!parsed.success) {
      log.warn("twilio.list_odd_row", { reason: parsed.error.issues[0]?.path.join(".") });
      return [];
    }
    const row = parsed.data;
    if (!isOurs(row, sender, members) || isIncomplete(row, clock.now())) return [];
    const event = inboundOf(row, rawOf(original), sender, clock.now());
    return event === undefined ? [] : [{ event, hasMedia: (row.num_media ?? 0) > 0 }];
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

function isOurs(row: MessageRow, sender: Sender, members: ReadonlySet<string> | undefined): boolean {
  // What a number sends to itself is an echo, and is never stored.
  if (row.direction !== "inbound" || row.from === row.to) return false;
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
