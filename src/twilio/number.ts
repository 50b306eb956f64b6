import { redactAddress } from "../address.ts";
import type { ConnectRequest, Warning } from "../carrier.ts";
import type { RestResult } from "./answer.ts";
import type { ConnectSeams } from "./connect.ts";
import { registeredUrl, sameWebhook, shownUrl } from "./inbound-url.ts";
import { collect, parseRows } from "./pages.ts";
import { type NumberRow, numberShape, numbersPage } from "./resources.ts";
import type { FormFields } from "./rest.ts";
import { accountUrl } from "./urls.ts";

/**
 * The number's row in the account; undefined when it is not there. Twilio matches any part of a number, so the
 * rows are compared.
 */
export async function findNumber(
  seams: Pick<ConnectSeams, "account" | "rest">,
  number: string,
  signal: AbortSignal,
): Promise<RestResult<NumberRow | undefined>> {
  const { rest, account } = seams;
  const url = accountUrl(account, "IncomingPhoneNumbers", [
    ["PhoneNumber", number],
    ["PageSize", "50"],
  ]);
  const answer = await collect(rest, { base: account.apiUrl, url, form: NUMBERS, maxPages: 20 }, signal);
  if (answer.kind !== "ok") return answer;
  const { items } = parseRows(answer.value.rows, numberShape);
  return { kind: "ok", value: items.find((row) => row.phone_number === number) };
}

/** The account's list of numbers. */
export const NUMBERS = {
  shape: numbersPage,
  rows: (page: { incoming_phone_numbers: unknown[] }) => page.incoming_phone_numbers,
  next: (page: { next_page_uri?: string | null | undefined }) => page.next_page_uri,
};

/**
 * Points the number's webhook at us, or (without `register`, or without a webhook) only compares. The value
 * is warnings.
 */
export async function settleNumber(
  seams: ConnectSeams,
  row: NumberRow,
  request: ConnectRequest,
  signal: AbortSignal,
): Promise<RestResult<readonly Warning[]>> {
  const { webhookUrl } = request;
  if (webhookUrl === undefined) return { kind: "ok", value: seams.inbound === "poll" ? othersOf(row) : [] };
  if (!request.register)
    return { kind: "ok", value: differences(row, webhookUrl, "or set register_webhook: true") };
  const changes = changesOf(row, webhookUrl);
  if (changes.length === 0) return { kind: "ok", value: [] };
  const url = accountUrl(seams.account, `IncomingPhoneNumbers/${row.sid}`);
  const answer = await seams.rest.post(url, changes, numberShape, signal);
  if (answer.kind !== "ok") return answer;
  seams.log.info("twilio.webhook_registered", {
    number: redactAddress(row.phone_number),
    url: shownUrl(webhookUrl),
    changed: changes.map(([name]) => name),
    ...(row.sms_url === "" || sameWebhook(row.sms_url, webhookUrl)
      ? {}
      : { replaced: shownUrl(row.sms_url) }),
    ...(row.sms_application_sid === "" ? {} : { application: row.sms_application_sid }),
  });
  return { kind: "ok", value: differences(answer.value, webhookUrl, "Twilio did not take our change") };
}

/** Only what differs; an `SmsApplicationSid` goes too, since with one the URLs are ignored. */
function changesOf(row: NumberRow, webhookUrl: string): FormFields {
  const wanted = registeredUrl(webhookUrl);
  const fields: (readonly [string, string, string])[] = [
    ["SmsUrl", wanted, row.sms_url],
    ["SmsMethod", "POST", row.sms_method.toUpperCase()],
    ["SmsFallbackUrl", wanted, row.sms_fallback_url],
    ["SmsFallbackMethod", "POST", row.sms_fallback_method.toUpperCase()],
    ["SmsApplicationSid", "", row.sms_application_sid],
  ];
  return fields.filter(([, want, have]) => want !== have).map(([name, want]) => [name, want]);
}

/** What keeps texts to this number from our webhook. */
function differences(row: NumberRow, webhookUrl: string, otherwise: string): readonly Warning[] {
  const warnings: Warning[] = [];
  const number = row.phone_number;
  if (row.sms_application_sid !== "")
    warnings.push({
      detail: `${number} has the application ${row.sms_application_sid}: Twilio sends its texts there and ignores the webhook.`,
      fix: `Remove it in the console (${otherwise}).`,
    });
  if (!sameWebhook(row.sms_url, webhookUrl))
    warnings.push({
      detail: `Texts to ${number} go to ${row.sms_url === "" ? "nobody" : shownUrl(row.sms_url)}.`,
      fix: `Set "A message comes in" to ${shownUrl(webhookUrl)} (HTTP POST) in the console (${otherwise}).`,
    });
  else if (row.sms_method !== "" && row.sms_method.toUpperCase() !== "POST")
    warnings.push({
      detail: `The webhook of ${number} is called with ${row.sms_method}.`,
      fix: `Set it to HTTP POST in the console (${otherwise}).`,
    });
  return warnings;
}

/** Who else gets, and may answer, the texts that we poll. */
function othersOf(row: NumberRow): readonly Warning[] {
  const other =
    row.sms_application_sid !== ""
      ? `the application ${row.sms_application_sid}`
      : row.sms_url !== ""
        ? shownUrl(row.sms_url)
        : undefined;
  if (other === undefined) return [];
  return [
    {
      detail: `Texts to ${row.phone_number} also go to ${other}, which may answer them.`,
      fix: "Clear the number's webhook in the console if it should not.",
    },
  ];
}
