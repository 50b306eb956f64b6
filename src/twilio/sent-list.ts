import { numberOf } from "../address.ts";
import type { CarrierList, SentMessage, SentQuery } from "../carrier.ts";
import type { Log } from "../log.ts";
import type { Sender, TwilioAccount } from "../settings.ts";
import type { RestResult } from "./answer.ts";
import { type MessageRow, messageShape, messagesPage } from "./resources.ts";
import type { RestClient } from "./rest.ts";
import { accountUrl, nextPage } from "./urls.ts";

export interface SentListSeams {
  readonly account: TwilioAccount;
  readonly sender: Sender;
  readonly rest: RestClient;
  /** The senders of the Messaging Service, for channels that have one. */
  readonly members: (signal: AbortSignal) => Promise<RestResult<readonly string[]>>;
  readonly log: Log;
}

const PAGE_SIZE = 200;
/** 20,000 messages to one person since a time: a list without end, of which nothing can be concluded. */
const MAX_PAGES = 100;

interface Page {
  readonly messages: unknown[];
  readonly next_page_uri?: string | null | undefined;
}

type Rows = CarrierList<MessageRow & { readonly at?: number }>;

/**
 * What was sent to one recipient, by the account's message list. The list is filtered by `To` alone: `From` is null
 * while a Messaging Service has not chosen, and `date_sent` is unset while a message is queued.
 */
export function createSentList(
  seams: SentListSeams,
): (query: SentQuery, signal: AbortSignal) => Promise<CarrierList<SentMessage>> {
  const { account, sender, rest, log } = seams;

  /** The rows of one address, newest first, as far back as `since`. */
  async function rowsTo(to: string, since: number, signal: AbortSignal): Promise<Rows> {
    let url: string | undefined = accountUrl(account, "Messages", [
      ["To", to],
      ["PageSize", String(PAGE_SIZE)],
    ]);
    const items: (MessageRow & { readonly at?: number })[] = [];
    for (let page = 0; url !== undefined; page++) {
      if (page === MAX_PAGES) return { kind: "unreachable", reason: "the list of messages has no end" };
      const answer: RestResult<Page> = await rest.get(url, messagesPage, signal);
      if (answer.kind === "refused") return { kind: "refused", error: answer.error };
      if (answer.kind !== "ok") return { kind: "unreachable", reason: answer.reason };
      let young: boolean = answer.value.messages.length === 0;
      for (const original of answer.value.messages) {
        const parsed = messageShape.safeParse(original);
        // It might be ours.
        if (!parsed.success) return { kind: "unreachable", reason: "a row of the list cannot be read" };
        const { date_created: created } = parsed.data;
        const at = created === undefined ? undefined : created - (answer.ahead ?? 0);
        // Without the carrier's time its rows may be hours off: then the whole list is read.
        if (at === undefined || answer.ahead === undefined || at >= since) young = true;
        items.push({ ...parsed.data, ...(at === undefined ? {} : { at }) });
      }
      url = young ? nextPage(account.apiUrl, answer.value.next_page_uri) : undefined;
    }
    return { kind: "ok", items };
  }

  return async ({ to, since }, signal) => {
    // A service with an RCS sender may have chosen that for a plain number.
    const addresses = sender.kind === "service" && to.startsWith("+") ? [to, `rcs:${to}`] : [to];
    const items: SentMessage[] = [];
    for (const address of addresses) {
      const rows = await rowsTo(address, since, signal);
      if (rows.kind !== "ok") return rows;
      for (const row of rows.items) {
        if (row.direction === "inbound" || !isTo(row, to)) continue;
        const ours = await isSentByUs(row, sender, () => seams.members(signal));
        if (ours === undefined)
          return { kind: "unreachable", reason: "the senders of the Messaging Service cannot be listed" };
        if (ours && !items.some(({ sid }) => sid === row.sid)) items.push(sentOf(row));
      }
    }
    log.debug("twilio.sent_list", { rows: items.length });
    return { kind: "ok", items };
  };
}

function isTo(row: MessageRow, to: string): boolean {
  return typeof row.to !== "string" || (numberOf(row.to) ?? row.to) === (numberOf(to) ?? to);
}

/** Undefined when it cannot be told. A row that does not say who sent it may be ours. */
async function isSentByUs(
  row: MessageRow,
  sender: Sender,
  members: () => Promise<RestResult<readonly string[]>>,
): Promise<boolean | undefined> {
  const from = typeof row.from === "string" && row.from !== "" ? row.from : undefined;
  if (sender.kind === "number") return from === undefined || from === sender.number;
  if (row.messaging_service_sid !== undefined) return row.messaging_service_sid === sender.sid;
  if (from === undefined) return true;
  const answer = await members();
  return answer.kind === "ok" ? answer.value.includes(from) : undefined;
}

function sentOf(row: MessageRow & { readonly at?: number }): SentMessage {
  return {
    sid: row.sid,
    status: row.status === "" ? "accepted" : row.status.toLowerCase(),
    ...(row.error_code === undefined ? {} : { errorCode: row.error_code }),
    body: row.body,
    media: row.num_media ?? 0,
    ...(row.num_segments === undefined || row.num_segments === 0 ? {} : { segments: row.num_segments }),
    ...(row.at === undefined ? {} : { createdAt: row.at }),
  };
}
