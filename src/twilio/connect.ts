import { isE164, redactAddress } from "../address.ts";
import type { ConnectOutcome, ConnectRequest, Warning } from "../carrier.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Sender, TwilioAccount } from "../settings.ts";
import type { RestFailure } from "./answer.ts";
import { sameWebhook, shownUrl, unusable } from "./inbound-url.ts";
import { findNumber, settleNumber } from "./number.ts";
import { probePublicUrl } from "./probe.ts";
import { messagesPage } from "./resources.ts";
import type { Fetch, RestClient } from "./rest.ts";
import {
  dropsInbound,
  fetchService,
  interceptorOf,
  type Member,
  membersOf,
  settleService,
} from "./service.ts";
import { accountUrl } from "./urls.ts";

export interface ConnectSeams {
  readonly account: TwilioAccount;
  readonly sender: Sender;
  readonly inbound: "webhook" | "poll" | "none";
  /** `server.public_url`, asked for an answer before the channel counts as connected. */
  readonly publicUrl?: string;
  readonly rest: RestClient;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a step found: the channel's numbers and warnings, or why it cannot be connected. */
type Found = Extract<ConnectOutcome, { kind: "ready" }>;
type Trouble = Exclude<ConnectOutcome, { kind: "ready" }>;

/**
 * Brings a channel up: its sender is in the account and can do SMS, its texts come to us, and
 * our public URL answers. Registering comes before asking the public URL: from a home network one's own
 * address may not be reachable, while Twilio reaches it.
 */
export async function connect(
  seams: ConnectSeams,
  request: ConnectRequest,
  signal: AbortSignal,
): Promise<ConnectOutcome> {
  const { webhookUrl } = request;
  const wrong = webhookUrl === undefined ? undefined : unusable(webhookUrl, seams.account.apiUrl);
  if (wrong !== undefined) return { kind: "failed", ...wrong };
  const found = await lookUp(seams, request, signal);
  if (found.kind !== "ready" || webhookUrl === undefined || seams.publicUrl === undefined) return found;
  const probe = await probePublicUrl(seams.publicUrl, signal, seams);
  if (probe.kind === "silent") return { kind: "unreachable", reason: probe.reason, fix: probe.fix };
  return { ...found, warnings: [...found.warnings, ...probe.warnings] };
}

function lookUp(seams: ConnectSeams, request: ConnectRequest, signal: AbortSignal): Promise<Found | Trouble> {
  const { sender } = seams;
  if (sender.kind === "service") return connectService(seams, sender.sid, request, signal);
  if (sender.number.startsWith("whatsapp:")) return connectWhatsApp(seams, sender.number, request, signal);
  return connectNumber(seams, sender.number, request, signal);
}

async function connectNumber(
  seams: ConnectSeams,
  number: string,
  request: ConnectRequest,
  signal: AbortSignal,
): Promise<Found | Trouble> {
  const found = await findNumber(seams, number, signal);
  if (found.kind !== "ok") return trouble(found, "look up the number");
  const row = found.value;
  if (row === undefined)
    return {
      kind: "failed",
      reason: `The number ${number} is not in the Twilio account ${seams.account.accountSid}.`,
      fix: "Compare from_number with the console (Phone Numbers > Active numbers); a subaccount's number needs the subaccount's account_sid.",
    };
  if (row.capabilities.sms === false)
    return {
      kind: "failed",
      reason: `The number ${number} cannot send or receive SMS.`,
      fix: "Buy a number with the SMS capability and set from_number to it.",
    };
  const settled = await settleNumber(seams, row, request, signal);
  if (settled.kind !== "ok") return trouble(settled, "set the number's webhook");
  if (seams.inbound === "none") return ready([number], settled.value);
  const interceptor = await interceptorOf(seams, row.sid, signal);
  if (interceptor === undefined) return ready([number], settled.value);
  if (dropsInbound(interceptor)) return dropped(interceptor.sid);
  const { webhookUrl } = request;
  const there = interceptor.inbound_request_url;
  if (webhookUrl !== undefined && sameWebhook(there, webhookUrl)) return ready([number], settled.value);
  return ready(
    [number],
    [
      ...settled.value,
      {
        detail: `${number} is in the Messaging Service ${interceptor.sid}, which sends its texts to ${shownUrl(there)} and not to the number's webhook.`,
        fix: `Set the service's Integration to "Defer to sender's webhook" in the console.`,
      },
    ],
  );
}

/** A WhatsApp sender need not be a number of the account; the message list tells whether the credentials work. */
async function connectWhatsApp(
  seams: ConnectSeams,
  number: string,
  request: ConnectRequest,
  signal: AbortSignal,
): Promise<Found | Trouble> {
  const url = accountUrl(seams.account, "Messages", [
    ["To", number],
    ["PageSize", "1"],
  ]);
  const answer = await seams.rest.get(url, messagesPage, signal);
  if (answer.kind !== "ok") return trouble(answer, "read the WhatsApp sender's messages");
  if (request.webhookUrl === undefined) return ready([number], []);
  return ready(
    [number],
    [
      {
        detail: "The webhook of a WhatsApp sender can only be set in the console, and not be seen from here.",
        fix: `See that it is ${shownUrl(request.webhookUrl)} (HTTP POST): Messaging > Senders > WhatsApp senders (or the sandbox's settings), "When a message comes in".`,
      },
    ],
  );
}

async function connectService(
  seams: ConnectSeams,
  sid: string,
  request: ConnectRequest,
  signal: AbortSignal,
): Promise<Found | Trouble> {
  const found = await fetchService(seams, sid, signal);
  if (found.kind === "refused" && found.status === 404)
    return {
      kind: "failed",
      reason: `There is no Messaging Service ${sid} in the Twilio account ${seams.account.accountSid}.`,
      fix: "Compare messaging_service_sid with the console (Messaging > Services).",
    };
  if (found.kind !== "ok") return trouble(found, "read the Messaging Service");
  const service = found.value;
  const answer = await membersOf(seams.rest, seams.account, sid, signal);
  if (answer.kind !== "ok") return trouble(answer, "list the Messaging Service's senders");
  const members = answer.value.filter((member) => member.sms);
  if (members.length === 0)
    return {
      kind: "failed",
      reason:
        answer.value.length === 0
          ? `The Messaging Service ${sid} has no sender.`
          : `No sender of the Messaging Service ${sid} can do SMS.`,
      fix: "Add an SMS-capable number to its sender pool (console: Messaging > Services > Sender pool).",
    };
  const numbers = members.map((member) => member.address);
  if (service.use_inbound_webhook_on_number) return settleMembers(seams, members, request, signal);
  const fixes = request.webhookUrl !== undefined && request.register;
  if (seams.inbound !== "none" && dropsInbound(service) && !fixes) return dropped(sid);
  const settled = await settleService(seams, service, request, signal);
  if (settled.kind !== "ok") return trouble(settled, "set the Messaging Service's webhook");
  return ready(numbers, settled.value);
}

/** A service that defers to its senders: each number has its own webhook. */
async function settleMembers(
  seams: ConnectSeams,
  members: readonly Member[],
  request: ConnectRequest,
  signal: AbortSignal,
): Promise<Found | Trouble> {
  const warnings: Warning[] = [];
  for (const { address, kind } of members) {
    if (kind !== "number" || !isE164(address)) {
      if (request.webhookUrl !== undefined)
        warnings.push({
          detail: `The webhook of ${address} can only be set in the console, and not be seen from here.`,
          fix: `See there, at that sender, that it is ${shownUrl(request.webhookUrl)} (HTTP POST).`,
        });
      continue;
    }
    const found = await findNumber(seams, address, signal);
    if (found.kind !== "ok") return trouble(found, "look up a number of the Messaging Service");
    if (found.value === undefined) {
      warnings.push({
        detail: `${address} is in the Messaging Service but not in the account's list of numbers, so its webhook was not looked at.`,
        fix: "Compare the service's sender pool with Phone Numbers > Active numbers in the console, and take out of the pool what this account does not have.",
      });
      continue;
    }
    const settled = await settleNumber(seams, found.value, request, signal);
    if (settled.kind !== "ok") return trouble(settled, `set the webhook of ${redactAddress(address)}`);
    warnings.push(...settled.value);
  }
  return ready(
    members.map((member) => member.address),
    warnings,
  );
}

function dropped(sid: string): Trouble {
  return {
    kind: "failed",
    reason: `The Messaging Service ${sid} drops inbound texts: it has no request URL and does not defer to its numbers, so Twilio neither delivers nor logs them.`,
    fix: `In the console, Messaging > Services > ${sid} > Integration, choose "Defer to sender's webhook" (or name the service in messaging_service_sid, with register_webhook: true).`,
  };
}

function ready(numbers: readonly string[], warnings: readonly Warning[]): Found {
  return { kind: "ready", numbers, warnings };
}

/** `doing` completes "Twilio refused to …". */
function trouble(failure: RestFailure, doing: string): Trouble {
  if (failure.kind === "refused") {
    const code = failure.error.code === undefined ? "" : ` (${failure.error.code})`;
    return {
      kind: "failed",
      reason: `Twilio refused to ${doing}: ${failure.error.meaning}${code}.`,
      fix: failure.error.fix,
    };
  }
  return { kind: "unreachable", reason: `Could not ${doing}: ${failure.reason}.`, fix: failure.fix };
}
