import { redactNumbers } from "../address.ts";
import type { Problem } from "../errors.ts";
import type { AttemptRef, InboundEvent, Media, OptOutType, StatusEvent } from "../message.ts";
import type { Malformed } from "../webhook.ts";
import { type FormParams, parseForm } from "./form.ts";

/** Twilio's ids, loosely: test tools do not keep to the two letters and 32 hex digits. */
const SID = /^[A-Za-z0-9]{1,64}$/;
/** Something one line long. What kind of address it is the domain decides. */
const ADDRESS = /^[^\p{Cc}]{1,255}$/u;
const STATUS = /^[A-Za-z][A-Za-z_-]{0,39}$/;
const REF = /^([A-Za-z0-9_-]{1,64})\.(\d{1,9})$/;
/** Twilio takes and gives ten at most. */
const MAX_MEDIA = 10;

/** True for one line of text that may be an address; of which kind is not said. */
export function isAddress(value: unknown): value is string {
  return typeof value === "string" && ADDRESS.test(value);
}

/**
 * An inbound text from the parameters of Twilio's webhook (or its fallback). `now` (epoch ms) is when it came.
 * Only what tells who, to whom and which message makes it malformed; a text is not lost for a detail.
 */
export function parseInbound(params: FormParams, now: number): InboundEvent | Malformed {
  const problems: Problem[] = [];
  const sid = sidOf(params, ["MessageSid", "SmsMessageSid", "SmsSid"], problems);
  const accountSid = sidOf(params, ["AccountSid"], problems);
  const service = params.first("MessagingServiceSid") ?? "";
  if (service !== "")
    check(problems, "MessagingServiceSid", service, SID, "an id like MG… (letters, digits)");
  const from = params.first("From") ?? "";
  const to = params.first("To") ?? "";
  checkAddress(problems, "From", from);
  checkAddress(problems, "To", to);
  const numMedia = Math.min(count(params.first("NumMedia"), 0) ?? MAX_MEDIA, MAX_MEDIA);
  if (problems.length > 0) return { kind: "malformed", problems };
  return {
    kind: "inbound",
    sid,
    accountSid,
    messagingServiceSid: service === "" ? undefined : service,
    from,
    to,
    body: params.first("Body") ?? "",
    media: mediaOf(params, numMedia),
    segments: count(params.first("NumSegments"), undefined),
    optOutType: optOut(params.first("OptOutType")),
    receivedAt: now,
    late: false,
    raw: rawOf(params),
  };
}

function rawOf(params: FormParams): InboundEvent["raw"] {
  const raw: Record<string, string | readonly string[]> = Object.create(null);
  const { names, values } = params;
  if (params.size < names.length)
    for (const [name, all] of params) raw[name] = all.length === 1 ? (all[0] ?? "") : all;
  else for (let i = 0; i < names.length; i++) raw[names[i] ?? ""] = values[i] ?? "";
  return raw;
}

/**
 * A step of one message's delivery from the parameters of Twilio's status callback. `query` is that of the
 * callback's URL, without the `?`: its `m=<message id>.<attempt>` says whose it is before the sid is known.
 */
export function parseStatus(params: FormParams, query: string, now: number): StatusEvent | Malformed {
  const problems: Problem[] = [];
  const sid = sidOf(params, ["MessageSid", "SmsSid"], problems);
  const account = params.first("AccountSid") ?? "";
  if (account !== "") check(problems, "AccountSid", account, SID, "an id like AC… (letters, digits)");
  const status = params.first("MessageStatus") ?? params.first("SmsStatus") ?? "";
  check(problems, "MessageStatus", status, STATUS, "a word like delivered");
  if (problems.length > 0) return { kind: "malformed", problems };
  const ref = attemptRef(query);
  const errorCode = count(params.first("ErrorCode"), undefined);
  return {
    kind: "status",
    sid,
    ...(account === "" ? {} : { accountSid: account }),
    ...(ref === undefined ? {} : { ref }),
    status: status.toLowerCase(),
    ...(errorCode === undefined || errorCode === 0 ? {} : { errorCode }),
    at: now,
  };
}

/** The query by which a status callback names the attempt it is about; `attemptRef` reads it. */
export function attemptQuery(ref: AttemptRef): string {
  return `m=${encodeURIComponent(ref.messageId)}.${ref.attempt}`;
}

/** Undefined when there is none, or none of ours: the callback still tells its sid. */
export function attemptRef(query: string): AttemptRef | undefined {
  const match = REF.exec(parseForm(query).first("m") ?? "");
  if (match === null) return undefined;
  const [, messageId = "", attempt = ""] = match;
  return { messageId, attempt: Number(attempt) };
}

/** The first of `names` that came; Twilio sends the same id under several. */
function sidOf(params: FormParams, names: readonly string[], problems: Problem[]): string {
  const name = names.find((candidate) => (params.first(candidate) ?? "") !== "") ?? names[0] ?? "";
  const value = params.first(name) ?? "";
  check(problems, name, value, SID, "an id of letters and digits");
  return value;
}

function check(problems: Problem[], path: string, value: string, form: RegExp, what: string): void {
  if (form.test(value)) return;
  problems.push({ path, message: value === "" ? "is missing" : `must be ${what}, not ${quote(value)}` });
}

/** Never quoted: a full number does not belong in a log. */
function checkAddress(problems: Problem[], path: string, value: string): void {
  if (ADDRESS.test(value)) return;
  problems.push({ path, message: value === "" ? "is missing" : "must be a phone address" });
}

/** A little of the value; where a number stands in the place of something else, not the whole of it. */
function quote(value: string): string {
  return redactNumbers(JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value));
}

/** A whole number of at most nine digits; `absent` when there is nothing, undefined when it is none. */
function count<T>(text: string | undefined, absent: T): number | T | undefined {
  if (text === undefined || text.trim() === "") return absent;
  return /^\d{1,9}$/.test(text.trim()) ? Number(text) : undefined;
}

function optOut(text: string | undefined): OptOutType | undefined {
  switch (text?.toUpperCase()) {
    case "STOP":
      return "STOP";
    case "START":
      return "START";
    case "HELP":
      return "HELP";
    default:
      return undefined;
  }
}

function mediaOf(params: FormParams, numMedia: number): readonly Media[] {
  const media: Media[] = [];
  for (let i = 0; i < numMedia; i++) {
    const url = params.first(`MediaUrl${i}`) ?? "";
    const contentType = params.first(`MediaContentType${i}`) ?? "";
    if (!/^https?:\/\/[^\s]+$/i.test(url)) continue;
    media.push({ url, contentType: contentType === "" ? "application/octet-stream" : contentType });
  }
  return media;
}
