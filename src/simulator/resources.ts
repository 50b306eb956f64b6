import { numberOf } from "../address.ts";
import { rfc3339 } from "../clock.ts";
import type { StoredMedia, StoredMessage } from "./ledger.ts";
import type { Account, MessagingService, PhoneNumber } from "./numbers.ts";

/** The JSON of the REST resources, field by field as https://www.twilio.com/docs/usage/api has them. */

const API = "/2010-04-01/Accounts";

/** `Thu, 01 Jan 2026 12:00:00 +0000`: the 2010 API's dates, in whole seconds. */
function rfc2822(at: number): string {
  return new Date(at).toUTCString().replace("GMT", "+0000");
}

/** RFC 3339 in whole seconds, the newer APIs' form. */
function iso(at: number): string {
  return rfc3339(at - (at % 1000)).replace(".000Z", "Z");
}

/** The sender as the API shows it: a service has none until it has chosen one. */
export function shownFrom(message: StoredMessage): string | null {
  return message.status === "accepted" ? null : message.from;
}

export function messageResource(message: StoredMessage): Record<string, unknown> {
  const uri = `${API}/${message.accountSid}/Messages/${message.sid}`;
  return {
    account_sid: message.accountSid,
    api_version: "2010-04-01",
    body: message.redacted ? "" : message.body,
    date_created: rfc2822(message.createdAt),
    date_sent: message.sentAt === undefined ? null : rfc2822(message.sentAt),
    date_updated: rfc2822(message.updatedAt),
    direction: message.direction,
    error_code: message.errorCode ?? null,
    error_message: message.errorCode === undefined ? null : `Simulated error ${message.errorCode}`,
    from: shownFrom(message),
    messaging_service_sid: message.serviceSid ?? null,
    num_media: String(message.media.length),
    // A service counts segments once it has chosen the sender.
    num_segments: message.status === "accepted" ? "0" : String(message.segments),
    price: null,
    price_unit: "USD",
    sid: message.sid,
    status: message.status,
    subresource_uris: { media: `${uri}/Media.json` },
    to: message.to,
    uri: `${uri}.json`,
  };
}

export function mediaResource(message: StoredMessage, media: StoredMedia): Record<string, unknown> {
  return {
    sid: media.sid,
    account_sid: message.accountSid,
    parent_sid: message.sid,
    content_type: media.contentType,
    date_created: rfc2822(media.createdAt),
    date_updated: rfc2822(media.createdAt),
    uri: `${API}/${message.accountSid}/Messages/${message.sid}/Media/${media.sid}.json`,
  };
}

export function accountResource(account: Account): Record<string, unknown> {
  const uri = `${API}/${account.sid}`;
  return {
    auth_token: account.authToken,
    date_created: rfc2822(account.createdAt),
    date_updated: rfc2822(account.createdAt),
    friendly_name: account.friendlyName,
    owner_account_sid: account.parent ?? account.sid,
    sid: account.sid,
    status: "active",
    subresource_uris: {
      incoming_phone_numbers: `${uri}/IncomingPhoneNumbers.json`,
      messages: `${uri}/Messages.json`,
    },
    type: "Full",
    uri: `${uri}.json`,
  };
}

export function numberResource(number: PhoneNumber): Record<string, unknown> {
  return {
    account_sid: number.accountSid,
    address_requirements: "none",
    address_sid: null,
    api_version: "2010-04-01",
    beta: false,
    bundle_sid: null,
    capabilities: { voice: false, sms: number.sms, mms: number.mms, fax: false },
    date_created: rfc2822(number.createdAt),
    date_updated: rfc2822(number.updatedAt),
    emergency_address_sid: null,
    emergency_address_status: "unregistered",
    emergency_status: "Inactive",
    friendly_name: number.friendlyName,
    identity_sid: null,
    origin: "twilio",
    phone_number: number.number,
    sid: number.sid,
    sms_application_sid: number.smsApplicationSid,
    sms_fallback_method: number.smsFallbackMethod,
    sms_fallback_url: number.smsFallbackUrl,
    sms_method: number.smsMethod,
    sms_url: number.smsUrl,
    status: "in-use",
    status_callback: "",
    status_callback_method: "POST",
    trunk_sid: null,
    type: "local",
    uri: `${API}/${number.accountSid}/IncomingPhoneNumbers/${number.sid}.json`,
    voice_application_sid: "",
    voice_caller_id_lookup: false,
    voice_fallback_method: "POST",
    voice_fallback_url: "",
    voice_method: "POST",
    voice_receive_mode: "voice",
    voice_url: "",
  };
}

export function serviceResource(service: MessagingService, origin: string): Record<string, unknown> {
  const url = `${origin}/v1/Services/${service.sid}`;
  return {
    account_sid: service.accountSid,
    area_code_geomatch: true,
    date_created: iso(service.createdAt),
    date_updated: iso(service.updatedAt),
    fallback_method: service.fallbackMethod,
    fallback_to_long_code: true,
    fallback_url: service.fallbackUrl,
    friendly_name: service.friendlyName,
    inbound_method: service.inboundMethod,
    inbound_request_url: service.inboundRequestUrl,
    links: { phone_numbers: `${url}/PhoneNumbers` },
    mms_converter: true,
    scan_message_content: "inherit",
    sid: service.sid,
    smart_encoding: service.smartEncoding,
    status_callback: service.statusCallback,
    sticky_sender: service.stickySender,
    synchronous_validation: false,
    us_app_to_person_registered: false,
    url,
    use_inbound_webhook_on_number: service.useInboundWebhookOnNumber,
    usecase: "undeclared",
    validity_period: service.validityPeriod,
  };
}

export function serviceNumberResource(
  number: PhoneNumber,
  serviceSid: string,
  origin: string,
): Record<string, unknown> {
  return {
    account_sid: number.accountSid,
    capabilities: [...(number.mms ? ["MMS"] : []), ...(number.sms ? ["SMS"] : [])],
    country_code: numberOf(number.number)?.startsWith("+1") ? "US" : "",
    date_created: iso(number.createdAt),
    date_updated: iso(number.updatedAt),
    phone_number: number.number,
    service_sid: serviceSid,
    sid: number.sid,
    url: `${origin}/v1/Services/${serviceSid}/PhoneNumbers/${number.sid}`,
  };
}
