import { optOutKeyword } from "../command.ts";
import type { RandomBytes } from "../ids.ts";
import type { Log } from "../log.ts";
import type { OptOutType } from "../message.ts";
import type { Faults } from "./faults.ts";
import type { Ledger, StoredMedia, StoredMessage } from "./ledger.ts";
import type { Inventory, PhoneNumber, WebhookMethod } from "./numbers.ts";
import { newSid } from "./numbers.ts";
import { isTollFree, type Reach, senderKey } from "./reach.ts";
import { countSegments } from "./segments.ts";
import type { Parameters } from "./signature.ts";
import type { CallWebhook, WebhookOutcome } from "./webhook.ts";
import { splitWebhookUrl } from "./webhook.ts";
import type { Work } from "./work.ts";

/** A text from a phone, checked. */
export interface InboundText {
  readonly number: PhoneNumber;
  readonly from: string;
  readonly to: string;
  readonly body: string;
  readonly media: readonly StoredMedia[];
  readonly profileName?: string;
  readonly parameters?: Readonly<Record<string, string>>;
}

/** What the webhook's answer makes the carrier do. Returns the error that sends the call to the fallback URL. */
export type HandleAnswer = (
  message: StoredMessage,
  answer: Extract<WebhookOutcome, { readonly kind: "answered" }>,
  url: string,
) =>
  | { readonly redirect: { readonly url: string; readonly method: WebhookMethod } }
  | { readonly code: number }
  | undefined;

/** A phone's next text to the same number waits at most this long for the webhook of the one before. */
const ORDER_WAIT = 2_000;
const MAX_REDIRECTS = 5;

/** Receives texts from phones: stores them, answers keywords, calls the webhook that applies. */
export function createInbound(options: {
  readonly work: Work;
  readonly random: RandomBytes;
  readonly log: Log;
  readonly ledger: Ledger;
  readonly inventory: Inventory;
  readonly reach: Reach;
  readonly faults: Faults;
  readonly call: CallWebhook;
  readonly handleAnswer: HandleAnswer;
  /** Sends one of the carrier's own replies to the phone. */
  readonly autoReply: (message: StoredMessage, text: string) => void;
  readonly changed: (message: StoredMessage) => void;
  /** `https://api.twilio.com` in the life of the account: where its media URLs point. */
  readonly originOf: (accountSid: string) => string;
}): (text: InboundText) => StoredMessage {
  const { work, random, log, ledger, inventory, reach, faults, call } = options;
  const { clock } = work;
  /** Ends of the webhooks that are under way, by phone and number. */
  const tails = new Map<string, Promise<void>>();

  function inOrder(key: string, deliver: () => Promise<void>): void {
    const before = tails.get(key) ?? Promise.resolve();
    const released = before.then(
      () =>
        new Promise<void>((resolve) => {
          const cancel = clock.after(ORDER_WAIT, resolve);
          const delivery = deliver().finally(() => {
            cancel();
            resolve();
          });
          work.track(delivery);
        }),
    );
    tails.set(key, released);
    work.track(
      released.then(() => {
        if (tails.get(key) === released) tails.delete(key);
      }),
    );
  }

  async function callUntilAnswered(
    message: StoredMessage,
    hook: { readonly url: string; readonly method: WebhookMethod },
    parameters: Parameters,
    authToken: string,
    idempotencyToken: string,
  ): Promise<{ readonly code: number; readonly url: string } | undefined> {
    let { url, method } = hook;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const outcome = await call({ url, method, parameters, authToken, idempotencyToken });
      if (outcome.kind === "failed") {
        log.warn("simulator.webhook_failed", {
          sid: message.sid,
          code: outcome.code,
          reason: outcome.reason,
        });
        return { code: outcome.code, url };
      }
      const next = options.handleAnswer(message, outcome, url);
      if (next === undefined) return undefined;
      if ("code" in next) return { code: next.code, url };
      ({ url, method } = next.redirect);
    }
    log.warn("simulator.webhook_failed", { sid: message.sid, code: 11_200, reason: "too many redirects" });
    return { code: 11_200, url };
  }

  return (text) => {
    const { number, from, to } = text;
    const now = clock.now();
    const facts = { from, to, body: text.body };
    const whatsapp = to.startsWith("whatsapp:");
    const hook = hookOf(inventory, number);
    const lag = faults.takeInbound("list_lag", facts);
    const message = ledger.add({
      sid: newSid(text.media.length > 0 ? "MM" : "SM", random),
      accountSid: number.accountSid,
      direction: "inbound",
      from,
      to,
      ...(number.serviceSid === undefined ? {} : { serviceSid: number.serviceSid }),
      body: text.body,
      media: text.media,
      segments: Math.max(1, countSegments(text.body)),
      status: "received",
      createdAt: now,
      updatedAt: now,
      sentAt: now,
      // A service without an inbound URL takes the text and keeps no trace of it.
      listedFrom: hook.kind === "unlogged" ? Number.POSITIVE_INFINITY : now + (lag?.delay ?? 0),
    });
    options.changed(message);

    const keyword = whatsapp ? undefined : optOutKeyword(text.body);
    if (keyword) answerKeyword(message, number, keyword);
    if (whatsapp) reach.openWindow(to, from, now);

    if (hook.kind !== "call") {
      if (hook.kind === "swallowed")
        log.warn("simulator.inbound_swallowed", { sid: message.sid, reason: hook.reason });
      return message;
    }
    const lost = faults.takeInbound("lost", facts);
    const slow = faults.takeInbound("slow", facts);
    const duplicate = faults.takeInbound("duplicate", facts);
    const forged = faults.takeInbound("bad_signature", facts);
    if (lost) return message;

    const advanced =
      number.advancedOptOut || inventory.service(number.serviceSid ?? "")?.advancedOptOut === true;
    const parameters = webhookParameters(
      message,
      text,
      options.originOf(number.accountSid),
      advanced ? keyword : undefined,
    );
    const authToken = forged ? newSid("", random) : (inventory.account(number.accountSid)?.authToken ?? "");
    const token = newSid("", random);
    const deliver = async () => {
      const failure = await callUntilAnswered(message, hook, parameters, authToken, token);
      if (!failure || hook.fallbackUrl === "") return;
      const more: Parameters = [
        ...parameters,
        ["ErrorCode", String(failure.code)],
        ["ErrorUrl", splitWebhookUrl(failure.url)?.url ?? failure.url],
      ];
      const fallback = { url: hook.fallbackUrl, method: hook.fallbackMethod };
      await callUntilAnswered(message, fallback, more, authToken, newSid("", random));
    };
    const deliverCopies = async () => {
      await Promise.all(Array.from({ length: duplicate?.count ?? 1 }, deliver));
    };
    if (slow) work.after(slow.delay, () => work.track(deliverCopies()));
    else inOrder(`${from} ${to}`, deliverCopies);
    return message;
  };

  /** Twilio's default handling of keywords; the webhook is called all the same. */
  function answerKeyword(message: StoredMessage, number: PhoneNumber, keyword: OptOutType): void {
    const sender = senderKey(number, number.number);
    switch (keyword) {
      case "STOP":
        if (reach.isOptedOut(sender, message.from)) return;
        options.autoReply(
          message,
          "You are unsubscribed and will get no more texts from this number. Text START to undo this.",
        );
        reach.optOut(sender, message.from);
        return;
      case "START": {
        const counts = !isTollFree(number.number) || message.body.trim().toUpperCase() !== "YES";
        if (counts && reach.optIn(sender, message.from)) {
          options.autoReply(
            message,
            "You are subscribed to texts from this number again. Text STOP to end this.",
          );
        }
        return;
      }
      case "HELP":
        options.autoReply(message, "Text STOP to get no more texts from this number.");
        return;
    }
  }
}

type Hook =
  | {
      readonly kind: "call";
      readonly url: string;
      readonly method: WebhookMethod;
      readonly fallbackUrl: string;
      readonly fallbackMethod: WebhookMethod;
    }
  | { readonly kind: "none" }
  | { readonly kind: "unlogged" }
  | { readonly kind: "swallowed"; readonly reason: string };

function hookOf(inventory: Inventory, number: PhoneNumber): Hook {
  const service = number.serviceSid === undefined ? undefined : inventory.service(number.serviceSid);
  if (service && !service.useInboundWebhookOnNumber) {
    if (service.inboundRequestUrl === null) return { kind: "unlogged" };
    return {
      kind: "call",
      url: service.inboundRequestUrl,
      method: service.inboundMethod,
      fallbackUrl: service.fallbackUrl ?? "",
      fallbackMethod: service.fallbackMethod,
    };
  }
  if (number.smsApplicationSid !== "") {
    return { kind: "swallowed", reason: `sms_application_sid is set to ${number.smsApplicationSid}` };
  }
  if (number.smsUrl === "") return { kind: "none" };
  return {
    kind: "call",
    url: number.smsUrl,
    method: number.smsMethod,
    fallbackUrl: number.smsFallbackUrl,
    fallbackMethod: number.smsFallbackMethod,
  };
}

function webhookParameters(
  message: StoredMessage,
  text: InboundText,
  origin: string,
  optOutType: OptOutType | undefined,
): Parameters {
  const { sid, accountSid, from, to } = message;
  const whatsapp = to.startsWith("whatsapp:");
  const parameters = new Map<string, string>([
    ...(whatsapp ? [] : GEOGRAPHY),
    ["SmsMessageSid", sid],
    ["NumMedia", String(message.media.length)],
    ["SmsSid", sid],
    ["SmsStatus", "received"],
    ["Body", message.body],
    ["To", to],
    ["NumSegments", String(message.segments)],
    ["MessageSid", sid],
    ["AccountSid", accountSid],
    ["From", from],
    ["ApiVersion", "2010-04-01"],
    ["ReferralNumMedia", "0"],
  ]);
  if (message.serviceSid !== undefined) parameters.set("MessagingServiceSid", message.serviceSid);
  if (optOutType) parameters.set("OptOutType", optOutType);
  if (whatsapp) {
    parameters.set("ProfileName", text.profileName ?? "");
    parameters.set("WaId", from.replace(/\D/g, ""));
    parameters.set("MessageType", message.media[0]?.contentType.split("/")[0] ?? "text");
  }
  message.media.forEach((media, index) => {
    parameters.set(`MediaContentType${index}`, media.contentType);
    parameters.set(
      `MediaUrl${index}`,
      `${origin}/2010-04-01/Accounts/${accountSid}/Messages/${sid}/Media/${media.sid}`,
    );
  });
  for (const [name, value] of Object.entries(text.parameters ?? {})) parameters.set(name, value);
  return [...parameters];
}

/** Where the numbers are from is unknown here, which is what Twilio sends then as well. */
const GEOGRAPHY: readonly (readonly [string, string])[] = ["From", "To"].flatMap((side) =>
  ["City", "State", "Zip", "Country"].map((field) => [`${side}${field}`, ""] as const),
);
