import { isE164 } from "../address.ts";
import type { Inventory, PhoneNumber, WebhookMethod } from "./numbers.ts";
import { pageEnvelope, parsePage } from "./paging.ts";
import { answer, isRefusal, notFound, type Refusal, refusal, refuse } from "./refusals.ts";
import { numberResource } from "./resources.ts";
import { notAllowed, type RestHandler, type RestRequest } from "./rest-messages.ts";
import { isWebUrl } from "./sending.ts";

/** `IncomingPhoneNumbers.json` and `IncomingPhoneNumbers/{Sid}.json`. */
export function createNumberRoutes(inventory: Inventory): RestHandler {
  function list({ url, account }: RestRequest): Response {
    const page = parsePage(url.searchParams);
    if (isRefusal(page)) return refuse(page);
    const wanted = url.searchParams.get("PhoneNumber") ?? "";
    if (inventory.open && isE164(wanted) && !inventory.number(wanted))
      inventory.addNumber(account.sid, { number: wanted });
    const pattern = numberPattern(wanted);
    const name = url.searchParams.get("FriendlyName") || undefined;
    const found = inventory
      .numbers(account.sid)
      .filter((number) => isE164(number.number)) // short codes are another resource
      .filter((number) => pattern === undefined || pattern.test(number.number))
      .filter((number) => name === undefined || number.friendlyName === name)
      .reverse();
    const start = page.page * page.size;
    const rows = found.slice(start, start + page.size);
    const tokens = {
      next: found.length > start + page.size ? `PA${page.page.toString(16)}` : undefined,
      previous: `PB${page.page.toString(16)}`,
    };
    return answer(200, {
      ...pageEnvelope(url, page, rows.length, tokens),
      incoming_phone_numbers: rows.map(numberResource),
    });
  }

  return (rest) => {
    const [, sid, ...more] = rest.path;
    const { method } = rest.request;
    if (more.length > 0 || !rest.json) return refuse(notFound(rest.url.pathname));
    if (sid === undefined) return method === "GET" ? list(rest) : notAllowed(method);
    const number = inventory.numberBySid(sid);
    if (number?.accountSid !== rest.account.sid) return refuse(notFound(rest.url.pathname));
    if (method === "GET") return answer(200, numberResource(number));
    if (method !== "POST") return notAllowed(method);
    const change = parseChange(number, rest.form);
    if (isRefusal(change)) return refuse(change);
    return answer(200, numberResource(inventory.updateNumber(number, change)));
  };
}

/** Twilio's search: any part of the number fits, `*` stands for one digit. */
function numberPattern(wanted: string): RegExp | undefined {
  const digits = wanted.replace(/[^\d*+]/g, "");
  if (digits === "") return undefined;
  return new RegExp(digits.replaceAll("+", "\\+").replaceAll("*", "\\d"));
}

function parseChange(number: PhoneNumber, form: URLSearchParams): Partial<PhoneNumber> | Refusal {
  const url = (name: string) => {
    const value = form.get(name);
    if (value === null || value === "" || isWebUrl(value)) return value ?? undefined;
    return refusal(21_402, `The '${name}' ${value} is not a valid URL`);
  };
  const method = (name: string) => parseMethod(form, name);
  const smsUrl = url("SmsUrl");
  const smsFallbackUrl = url("SmsFallbackUrl");
  const smsMethod = method("SmsMethod");
  const smsFallbackMethod = method("SmsFallbackMethod");
  for (const value of [smsUrl, smsFallbackUrl, smsMethod, smsFallbackMethod]) {
    if (typeof value === "object") return value;
  }
  if (typeof smsUrl === "object" || typeof smsFallbackUrl === "object") return refusal(21_402, "");
  if (typeof smsMethod === "object" || typeof smsFallbackMethod === "object") return refusal(21_403, "");
  if (smsFallbackUrl && !(smsUrl ?? number.smsUrl)) {
    return refusal(21_406, "'SmsFallbackUrl' cannot be set without 'SmsUrl'");
  }
  const application = form.get("SmsApplicationSid");
  if (application && !/^AP[0-9a-fA-F]{32}$/.test(application)) {
    return refusal(20_001, `The 'SmsApplicationSid' ${application} is not the SID of an application`);
  }
  const friendlyName = form.get("FriendlyName");
  return {
    ...(smsUrl === undefined ? {} : { smsUrl }),
    ...(smsFallbackUrl === undefined ? {} : { smsFallbackUrl }),
    ...(smsMethod === undefined ? {} : { smsMethod }),
    ...(smsFallbackMethod === undefined ? {} : { smsFallbackMethod }),
    ...(application === null ? {} : { smsApplicationSid: application }),
    ...(friendlyName === null ? {} : { friendlyName }),
  };
}

export function parseMethod(form: URLSearchParams, name: string): WebhookMethod | Refusal | undefined {
  const value = form.get(name)?.toUpperCase();
  if (value === undefined || value === "") return undefined;
  if (value === "GET" || value === "POST") return value;
  return refusal(21_403, `The '${name}' ${value} is neither GET nor POST`);
}
