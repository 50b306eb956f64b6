import type { ConnectRequest, Warning } from "../carrier.ts";
import type { TwilioAccount } from "../settings.ts";
import type { RestResult } from "./answer.ts";
import type { ConnectSeams } from "./connect.ts";
import { registeredUrl, sameWebhook, shownUrl } from "./inbound-url.ts";
import { collect, type PageForm, parseRows } from "./pages.ts";
import {
  memberPage,
  memberShape,
  type ServiceRow,
  senderPage,
  senderShape,
  serviceShape,
  servicesPage,
  shortCodePage,
  shortCodeShape,
} from "./resources.ts";
import type { FormFields, RestClient } from "./rest.ts";
import { messagingUrl } from "./urls.ts";

/** A sender of a Messaging Service; `sms` is false where the service says that it cannot do SMS. */
export interface Member {
  readonly address: string;
  readonly kind: "number" | "short_code" | "channel";
  readonly sms: boolean;
}

type Meta = { meta: { next_page_url?: string | null | undefined } };
const next = (page: Meta) => page.meta.next_page_url;
const NUMBERS = { shape: memberPage, rows: (page: { phone_numbers: unknown[] }) => page.phone_numbers, next };
const SHORT_CODES = {
  shape: shortCodePage,
  rows: (page: { short_codes: unknown[] }) => page.short_codes,
  next,
};
const SENDERS = { shape: senderPage, rows: (page: { senders: unknown[] }) => page.senders, next };
const SERVICES = { shape: servicesPage, rows: (page: { services: unknown[] }) => page.services, next };

const PAGE: FormFields = [["PageSize", "100"]];
const MAX_PAGES = 20;

/** The senders of a service: its numbers; where it has none, its short codes and WhatsApp or RCS senders. */
export async function membersOf(
  rest: RestClient,
  account: TwilioAccount,
  sid: string,
  signal: AbortSignal,
): Promise<RestResult<readonly Member[]>> {
  const list = <P>(resource: string, form: PageForm<P>) =>
    collect(
      rest,
      {
        base: account.messagingUrl,
        url: messagingUrl(account, `Services/${encodeURIComponent(sid)}/${resource}`, PAGE),
        form,
        maxPages: MAX_PAGES,
      },
      signal,
    );
  const numbers = await list("PhoneNumbers", NUMBERS);
  if (numbers.kind !== "ok") return numbers;
  const members: Member[] = parseRows(numbers.value.rows, memberShape).items.map((row) => ({
    address: row.phone_number,
    kind: "number",
    sms: row.capabilities?.some((name) => name.toUpperCase() === "SMS") ?? true,
  }));
  if (members.length > 0) return { kind: "ok", value: members };
  const codes = await list("ShortCodes", SHORT_CODES);
  if (codes.kind === "ok")
    for (const row of parseRows(codes.value.rows, shortCodeShape).items)
      members.push({ address: row.short_code, kind: "short_code", sms: true });
  const senders = await list("ChannelSenders", SENDERS);
  if (senders.kind === "ok")
    for (const row of parseRows(senders.value.rows, senderShape).items)
      members.push({ address: row.sender, kind: "channel", sms: true });
  // These lists are looked at only to find something: where one cannot be read, it has nothing.
  return { kind: "ok", value: members };
}

export function fetchService(
  seams: ConnectSeams,
  sid: string,
  signal: AbortSignal,
): Promise<RestResult<ServiceRow>> {
  const url = messagingUrl(seams.account, `Services/${encodeURIComponent(sid)}`);
  return seams.rest.get(url, serviceShape, signal);
}

/** True when texts to the service's numbers go nowhere, not even into the message list. */
export function dropsInbound(service: ServiceRow): boolean {
  return !service.use_inbound_webhook_on_number && service.inbound_request_url === "";
}

/** Points the inbound webhook of a service that does not defer to its numbers at us, or only compares. */
export async function settleService(
  seams: ConnectSeams,
  service: ServiceRow,
  request: ConnectRequest,
  signal: AbortSignal,
): Promise<RestResult<readonly Warning[]>> {
  const { webhookUrl } = request;
  if (webhookUrl === undefined)
    return { kind: "ok", value: seams.inbound === "poll" ? othersOf(service) : [] };
  if (!request.register)
    return { kind: "ok", value: differences(service, webhookUrl, "or set register_webhook: true") };
  const changes = changesOf(service, webhookUrl);
  if (changes.length === 0) return { kind: "ok", value: [] };
  const url = messagingUrl(seams.account, `Services/${service.sid}`);
  const answer = await seams.rest.post(url, changes, serviceShape, signal);
  if (answer.kind !== "ok") return answer;
  const old = service.inbound_request_url;
  seams.log.info("twilio.webhook_registered", {
    service: service.sid,
    url: shownUrl(webhookUrl),
    changed: changes.map(([name]) => name),
    ...(old === "" || sameWebhook(old, webhookUrl) ? {} : { replaced: shownUrl(old) }),
  });
  return { kind: "ok", value: differences(answer.value, webhookUrl, "Twilio did not take our change") };
}

function changesOf(service: ServiceRow, webhookUrl: string): FormFields {
  const wanted = registeredUrl(webhookUrl);
  const fields: (readonly [string, string, string])[] = [
    ["InboundRequestUrl", wanted, service.inbound_request_url],
    ["InboundMethod", "POST", service.inbound_method.toUpperCase()],
    ["FallbackUrl", wanted, service.fallback_url],
    ["FallbackMethod", "POST", service.fallback_method.toUpperCase()],
  ];
  return fields.filter(([, want, have]) => want !== have).map(([name, want]) => [name, want]);
}

function differences(service: ServiceRow, webhookUrl: string, otherwise: string): readonly Warning[] {
  const { sid, inbound_request_url: url, inbound_method: method } = service;
  if (!sameWebhook(url, webhookUrl))
    return [
      {
        detail: `Texts to the Messaging Service ${sid} go to ${url === "" ? "nobody" : shownUrl(url)}.`,
        fix: `Set its request URL to ${shownUrl(webhookUrl)} (HTTP POST) in the console under Integration (${otherwise}).`,
      },
    ];
  if (method !== "" && method.toUpperCase() !== "POST")
    return [
      {
        detail: `The Messaging Service ${sid} calls the webhook with ${method}.`,
        fix: `Set it to HTTP POST in the console under Integration (${otherwise}).`,
      },
    ];
  return [];
}

function othersOf(service: ServiceRow): readonly Warning[] {
  if (service.inbound_request_url === "") return [];
  return [
    {
      detail: `Texts to the Messaging Service ${service.sid} also go to ${shownUrl(service.inbound_request_url)}, which may answer them.`,
      fix: "Clear its request URL in the console if it should not.",
    },
  ];
}

/** More services than this are not asked about; a home account has a few. */
const MAX_ASKED = 30;

function servicesList(account: TwilioAccount) {
  const url = messagingUrl(account, "Services", PAGE);
  return { base: account.messagingUrl, url, form: SERVICES, maxPages: MAX_PAGES };
}

/** The sids of the services that have this number in their pool; undefined where they may not be read. */
export async function servicesOf(
  rest: RestClient,
  account: TwilioAccount,
  numberSid: string,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  const answer = await collect(rest, servicesList(account), signal);
  if (answer.kind !== "ok") return undefined;
  const found: string[] = [];
  for (const { sid } of parseRows(answer.value.rows, serviceShape).items.slice(0, MAX_ASKED))
    if (await hasMember(rest, account, sid, numberSid, signal)) found.push(sid);
  return found;
}

async function hasMember(
  rest: RestClient,
  account: TwilioAccount,
  service: string,
  numberSid: string,
  signal: AbortSignal,
): Promise<boolean> {
  const url = messagingUrl(account, `Services/${service}/PhoneNumbers/${numberSid}`);
  return (await rest.get(url, memberShape, signal)).kind === "ok";
}

/**
 * The Messaging Service that takes this number's texts before the number's own webhook sees them: the number
 * is in its pool and it does not defer. Undefined also where the services may not be read.
 */
export async function interceptorOf(
  seams: ConnectSeams,
  numberSid: string,
  signal: AbortSignal,
): Promise<ServiceRow | undefined> {
  const { rest, account, log } = seams;
  const answer = await collect(rest, servicesList(account), signal);
  if (answer.kind !== "ok") {
    log.debug("twilio.services_unread", { outcome: answer.kind });
    return undefined;
  }
  const services = parseRows(answer.value.rows, serviceShape).items;
  const suspects = services.filter((service) => !service.use_inbound_webhook_on_number);
  for (const service of suspects.slice(0, MAX_ASKED))
    if (await hasMember(rest, account, service.sid, numberSid, signal)) return service;
  if (suspects.length > MAX_ASKED)
    log.warn("twilio.services_unasked", { count: suspects.length - MAX_ASKED });
  return undefined;
}
