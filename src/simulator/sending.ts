import { addressKind, isE164 } from "../address.ts";
import { MAX_BODY } from "../text.ts";
import { MAX_MEDIA } from "./media.ts";
import {
  type Account,
  type Inventory,
  type MessagingService,
  numberForService,
  type PhoneNumber,
} from "./numbers.ts";
import type { Draft } from "./outbound.ts";
import { type Reach, senderKey } from "./reach.ts";
import { isRefusal, type Refusal, refusal } from "./refusals.ts";
import { smartEncode } from "./segments.ts";

/** Checks a message as Twilio does before it accepts one. */
export interface SendingRules {
  /** The form of `POST Messages.json`. */
  check(account: Account, form: URLSearchParams): Draft | Refusal;
  /** A reply out of TwiML, or a plain-text answer: the same rules without the form. */
  checkReply(account: Account, reply: Reply): Draft | Refusal;
}

interface Reply {
  readonly from: string;
  readonly to: string;
  readonly body: string;
  readonly mediaUrls: readonly string[];
  readonly statusCallback?: string;
  readonly serviceSid?: string;
}

/** Twilio's test numbers: https://www.twilio.com/docs/iam/test-credentials */
const MAGIC_FROM = new Map<string, readonly [code: number, meaning: string]>([
  ["+15005550001", [21_212, "is not a valid phone number"]],
  ["+15005550007", [21_606, "is not a phone number of yours that can send messages"]],
  ["+15005550008", [21_611, "has exceeded the maximum number of queued messages"]],
]);
const MAGIC_TO = new Map<string, readonly [code: number, meaning: string]>([
  ["+15005550001", [21_211, "is not a valid phone number"]],
  ["+15005550002", [21_612, "cannot be reached from this 'From' number"]],
  ["+15005550003", [21_408, "lies in a region that is not enabled for this account"]],
  ["+15005550004", [21_610, "has been opted out of messages from this sender"]],
  ["+15005550009", [21_614, "is not a mobile number"]],
]);
const MAGIC_SENDER = "+15005550006";

/** People whose sender is remembered, so that memory stays bounded. */
const MAX_STICKY = 100_000;

export function createSendingRules(options: {
  readonly inventory: Inventory;
  readonly reach: Reach;
}): SendingRules {
  const { inventory, reach } = options;
  /** Which number of a service a person gets its texts from. */
  const sticky = new Map<string, string>();

  /** The number behind a `From`, made in open mode where there is none. */
  function ownedSender(account: Account, from: string): PhoneNumber | Refusal | undefined {
    const magic = MAGIC_FROM.get(from);
    if (magic) return refusal(magic[0], `The 'From' number ${from} ${magic[1]}`);
    if (from === MAGIC_SENDER) return undefined;
    const kind = addressKind(from);
    if (kind === undefined || kind === "rcs")
      return refusal(
        21_212,
        `The 'From' number ${from} is not a valid phone number, short code or alphanumeric sender ID`,
      );
    if (kind === "alphanumeric") return undefined;
    const known = inventory.number(from);
    if (known && known.accountSid !== account.sid) {
      return refusal(21_660, `The 'From' number ${from} belongs to another account than ${account.sid}`);
    }
    const number = known ?? (inventory.open ? inventory.addNumber(account.sid, { number: from }) : undefined);
    if (kind === "whatsapp") {
      if (number?.whatsapp) return number;
      if (number && inventory.open) return inventory.updateNumber(number, { whatsapp: true });
      return refusal(63_007, `There is no WhatsApp sender ${from} in this account`);
    }
    if (!number)
      return refusal(21_659, `The 'From' number ${from} is not a phone number or short code of this account`);
    if (!number.sms) return refusal(21_606, `The 'From' number ${from} cannot send messages`);
    return number;
  }

  function serviceSender(account: Account, service: MessagingService, to: string): string | Refusal {
    const whatsapp = to.startsWith("whatsapp:");
    const fit = inventory.senders(service.sid).filter((number) => (whatsapp ? number.whatsapp : number.sms));
    const key = `${service.sid} ${to}`;
    const remembered = service.stickySender ? sticky.get(key) : undefined;
    const chosen = fit.find((number) => number.number === remembered) ?? fit[0];
    if (!chosen || chosen.accountSid !== account.sid) {
      return refusal(21_703, `The Messaging Service ${service.sid} has no sender that can reach ${to}`);
    }
    if (fit.length > 1) {
      sticky.set(key, chosen.number);
      const [oldest] = sticky.keys();
      if (sticky.size > MAX_STICKY && oldest !== undefined) sticky.delete(oldest);
    }
    return whatsapp ? `whatsapp:${chosen.number}` : chosen.number;
  }

  function findService(account: Account, sid: string): MessagingService | Refusal {
    const service = inventory.service(sid) ?? provisionService(inventory, account, sid);
    if (service?.accountSid === account.sid) return service;
    return refusal(21_701, `There is no Messaging Service ${sid} in this account`);
  }

  /** What holds for every message, whoever makes it. `to` is in its final form. */
  function checkPair(from: string, to: string): Refusal | undefined {
    const magic = MAGIC_TO.get(to);
    if (magic) return refusal(magic[0], `The 'To' number ${to} ${magic[1]}`);
    if (from === to) return refusal(21_266, `'To' and 'From' are the same number, ${to}`);
    if (from.startsWith("whatsapp:") !== to.startsWith("whatsapp:")) {
      return refusal(21_910, `'From' ${from} and 'To' ${to} are not of the same channel`);
    }
    if (addressKind(from) === "alphanumeric" && to.startsWith("+1")) {
      return refusal(21_612, `The 'To' number ${to} cannot be reached from an alphanumeric sender`);
    }
    if (reach.isOptedOut(senderKey(inventory.number(from), from), to)) {
      return refusal(21_610, `${to} has been opted out of messages from this sender`);
    }
    return undefined;
  }

  return {
    check(account, form) {
      const rawTo = form.get("To") ?? "";
      if (rawTo === "") return refusal(21_604, "A 'To' phone number is required");
      const to = normalizeRecipient(rawTo);
      if (isRefusal(to)) return to;

      const givenFrom = form.get("From") ?? "";
      const serviceSid = form.get("MessagingServiceSid") || (givenFrom.startsWith("MG") ? givenFrom : "");
      if (givenFrom === "" && serviceSid === "") {
        return refusal(21_603, "A 'From' phone number or a 'MessagingServiceSid' is required");
      }
      const content = checkContent(form);
      if (isRefusal(content)) return content;
      const options = checkOptions(form);
      if (options) return options;

      let from = normalizeSender(givenFrom);
      let service: MessagingService | undefined;
      if (serviceSid !== "") {
        const found = findService(account, serviceSid);
        if (isRefusal(found)) return found;
        service = found;
        if (givenFrom !== "" && givenFrom !== serviceSid) {
          if (!inventory.senders(found.sid).some((number) => number === inventory.number(from))) {
            return refusal(21_606, `The 'From' number ${from} is not a sender of ${found.sid}`);
          }
        } else {
          const chosen = serviceSender(account, found, to.address);
          if (typeof chosen !== "string") return chosen;
          from = chosen;
        }
      }
      const sender = ownedSender(account, from);
      if (sender && isRefusal(sender)) return sender;
      const refused = checkPair(from, to.address);
      if (refused) return refused;

      const callback = form.get("StatusCallback") || service?.statusCallback || undefined;
      const smart = form.get("SmartEncoded")?.toLowerCase() === "true" || (service?.smartEncoding ?? false);
      return {
        accountSid: account.sid,
        direction: "outbound-api",
        from,
        to: to.address,
        ...(service ? { serviceSid: service.sid } : {}),
        body: smart ? smartEncode(content.body) : content.body,
        mediaUrls: content.mediaUrls,
        ...(callback === undefined ? {} : { statusCallback: callback }),
        template: content.template,
        listed: true,
      };
    },

    checkReply(account, reply) {
      const to = normalizeRecipient(reply.to);
      if (isRefusal(to)) return to;
      if (reply.body.length > MAX_BODY) return bodyTooLong(reply.body);
      const sender = ownedSender(account, reply.from);
      if (sender && isRefusal(sender)) return sender;
      const refused = checkPair(reply.from, to.address);
      if (refused) return refused;
      return {
        accountSid: account.sid,
        direction: "outbound-reply",
        from: reply.from,
        to: to.address,
        ...(reply.serviceSid === undefined ? {} : { serviceSid: reply.serviceSid }),
        body: reply.body,
        mediaUrls: reply.mediaUrls,
        ...(reply.statusCallback === undefined ? {} : { statusCallback: reply.statusCallback }),
        template: false,
        listed: true,
      };
    },
  };
}

/** In open mode a service nobody knows comes into being with one sender of its own, whose webhook it uses. */
export function provisionService(
  inventory: Inventory,
  account: Account,
  sid: string,
): MessagingService | undefined {
  if (!inventory.open || !/^MG[0-9a-fA-F]{32}$/.test(sid)) return undefined;
  const number = numberForService(sid);
  if (!inventory.number(number)) inventory.addNumber(account.sid, { number });
  return inventory.addService(account.sid, { sid, numbers: [number], useInboundWebhookOnNumber: true });
}

interface Content {
  readonly body: string;
  readonly mediaUrls: readonly string[];
  readonly template: boolean;
}

function checkContent(form: URLSearchParams): Content | Refusal {
  const body = form.get("Body") ?? "";
  const mediaUrls = form.getAll("MediaUrl").filter((url) => url !== "");
  const contentSid = form.get("ContentSid") ?? "";
  if (body === "" && mediaUrls.length === 0 && contentSid === "") {
    return refusal(21_602, "A message body, a 'MediaUrl' or a 'ContentSid' is required");
  }
  if (body.length > MAX_BODY) return bodyTooLong(body);
  if (mediaUrls.length > MAX_MEDIA) {
    return refusal(21_623, `${mediaUrls.length} media are more than the ${MAX_MEDIA} that are allowed`);
  }
  const badMedia = mediaUrls.find((url) => !isWebUrl(url));
  if (badMedia !== undefined) return refusal(21_620, `The 'MediaUrl' ${badMedia} is not a valid URL`);
  if (contentSid === "") return { body, mediaUrls, template: false };
  if (!/^HX[0-9a-fA-F]{32}$/.test(contentSid))
    return refusal(21_655, `The 'ContentSid' ${contentSid} is invalid`);
  const variables = form.get("ContentVariables") ?? "";
  if (variables !== "" && !isJsonObject(variables)) {
    return refusal(21_656, "'ContentVariables' is not a JSON object of variables");
  }
  // The simulator has no templates to fill in, so the phone shows which one was used and with what.
  const text = `[template ${contentSid}]${variables === "" ? "" : ` ${variables}`}`;
  return { body: body || text, mediaUrls, template: true };
}

function bodyTooLong(body: string): Refusal {
  return refusal(
    21_617,
    `The message body has ${body.length} characters, more than the ${MAX_BODY} that are allowed`,
  );
}

function checkOptions(form: URLSearchParams): Refusal | undefined {
  const callback = form.get("StatusCallback") ?? "";
  if (callback !== "" && (!isWebUrl(callback) || new URL(callback).hostname.includes("_"))) {
    return refusal(21_609, `The 'StatusCallback' URL ${callback} is not a valid URL`);
  }
  const validity = form.get("ValidityPeriod") ?? "";
  if (validity !== "" && (!/^\d{1,5}$/.test(validity) || Number(validity) < 1 || Number(validity) > 36_000)) {
    return refusal(21_624, `The 'ValidityPeriod' ${validity} is not a whole number from 1 to 36000`);
  }
  if ((form.get("ScheduleType") ?? "") !== "" || (form.get("SendAt") ?? "") !== "") {
    return refusal(35_111, "The simulator does not schedule messages; leave out 'ScheduleType' and 'SendAt'");
  }
  return undefined;
}

function normalizeRecipient(to: string): { readonly address: string } | Refusal {
  const whatsapp = to.startsWith("whatsapp:");
  const bare = (whatsapp ? to.slice(9) : to).replace(/[\s().-]/g, "");
  const number = /^\d{10}$/.test(bare) ? `+1${bare}` : /^1\d{10}$/.test(bare) ? `+${bare}` : bare;
  if (isE164(number)) return { address: whatsapp ? `whatsapp:${number}` : number };
  if (/^\d{3,8}$/.test(number)) return refusal(21_265, `The 'To' number ${to} is a short code`);
  return refusal(21_211, `The 'To' number ${to} is not a valid phone number`);
}

function normalizeSender(from: string): string {
  const bare = from.replace(/[\s().-]/g, "");
  return from.includes("+") && addressKind(bare) !== undefined ? bare : from;
}

export function isWebUrl(url: string): boolean {
  return /^https?:\/\/[^\s]+$/i.test(url) && URL.canParse(url);
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
