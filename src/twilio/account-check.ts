import * as z from "zod";
import type { Clock } from "../clock.ts";
import type { Finding } from "../finding.ts";
import type { Log } from "../log.ts";
import type { ChannelSettings, TwilioAccount } from "../settings.ts";
import type { RestFailure } from "./answer.ts";
import { networkFailure } from "./network.ts";
import { findNumber } from "./number.ts";
import { createRestClient, type Fetch, type RestClient } from "./rest.ts";
import { servicesOf } from "./service.ts";
import { accountUrl, messagingUrl } from "./urls.ts";

export interface AccountCheckSeams {
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly log: Log;
  readonly countryOf: (address: string) => string;
}

/** Further apart than this, signatures of other services and log times mislead, ms. */
const SKEW = 60_000;
const PROBE_TIME = 10_000;

const accountShape = z.object({ status: z.string(), type: z.string().catch("") });

/** Whether the credentials work, and what the account may do: https://www.twilio.com/docs/iam/api/account. */
export async function checkAccount(
  account: TwilioAccount,
  seams: AccountCheckSeams,
  signal: AbortSignal,
): Promise<Finding> {
  const name = `twilio account ${account.accountSid}`;
  const rest = createRestClient({ account, ...seams });
  const url = accountUrl(account, "").replace(/\/\.json$/, ".json");
  const answer = await rest.get(url, accountShape, signal);
  if (answer.kind !== "ok") return { name, status: "fail", ...wordsOf(answer) };
  const { status, type } = answer.value;
  if (status !== "active")
    return {
      name,
      status: "fail",
      detail: `the account is ${status}`,
      fix: "See the Twilio console: it says why, and how to have it opened again.",
    };
  if (type.toLowerCase() === "trial")
    return {
      name,
      status: "warn",
      detail: "it is a trial account: texts go to verified numbers only and begin with Twilio's own words",
      fix: "Verify the phones (Phone Numbers > Verified Caller IDs), or upgrade the account.",
    };
  return { name, status: "ok", detail: "the credentials work" };
}

/** How far this machine's clock is from the carrier's, by the `Date` of an answer. */
export async function checkClock(
  account: TwilioAccount,
  { fetch, clock }: AccountCheckSeams,
  signal: AbortSignal,
): Promise<Finding> {
  const name = "clock";
  const abort = new AbortController();
  const cancel = clock.after(PROBE_TIME, () => abort.abort());
  const before = clock.now();
  try {
    const response = await fetch(account.apiUrl, {
      method: "HEAD",
      redirect: "manual",
      signal: AbortSignal.any([signal, abort.signal]),
    });
    const theirs = Date.parse(response.headers.get("date") ?? "");
    if (Number.isNaN(theirs))
      return {
        name,
        status: "warn",
        detail: "the carrier does not say what time it is",
        fix: "Compare the clock with another one; timedatectl set-ntp true keeps it right.",
      };
    const skew = Math.round((before + clock.now()) / 2) - theirs;
    // The header counts whole seconds.
    if (Math.abs(skew) <= SKEW) return { name, status: "ok", detail: `within a minute of the carrier's` };
    return {
      name,
      status: "warn",
      detail: `${Math.round(Math.abs(skew) / 1000)} s ${skew > 0 ? "ahead of" : "behind"} the carrier's`,
      fix: "Set the clock by NTP: timedatectl set-ntp true. Reminders and schedules go by it.",
    };
  } catch (error) {
    const { reason, fix } = networkFailure(error, new URL(account.apiUrl).host);
    return { name, status: "fail", detail: `${reason}`, fix };
  } finally {
    cancel();
  }
}

const TOLL_FREE = /^\+1(800|833|844|855|866|877|888)\d{7}$/;

const campaigns = z.object({ compliance: z.array(z.object({ campaign_status: z.string().catch("") })) });
const verifications = z.object({ verifications: z.array(z.object({ status: z.string().catch("") })) });

/**
 * Whether carriers in the United States take texts from this sender: a long code needs an A2P 10DLC campaign, through
 * its Messaging Service, and a toll-free number a verification. No finding for other senders.
 * https://www.twilio.com/docs/messaging/compliance/a2p-10dlc
 */
export async function checkCampaign(
  { id, sender, account }: ChannelSettings,
  seams: AccountCheckSeams,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const name = `channel ${id}: US carriers`;
  const rest = createRestClient({ account, ...seams });
  if (sender.kind === "service") return [await campaignOf(name, account, sender.sid, rest, signal)];
  const { number } = sender;
  if (!number.startsWith("+1") || seams.countryOf(number) !== "US") return [];
  const found = await findNumber({ account, rest }, number, signal);
  // That the number is not there, the look at the channel says.
  if (found.kind !== "ok" || found.value === undefined) return [];
  if (TOLL_FREE.test(number)) return [await verificationOf(name, account, found.value.sid, rest, signal)];
  const services = await servicesOf(rest, account, found.value.sid, signal);
  if (services === undefined) return [untold(name)];
  const [service] = services;
  if (service === undefined)
    return [
      {
        name,
        status: "warn",
        detail: `${number} is in no Messaging Service, so it has no A2P 10DLC campaign: US carriers refuse its texts (30034)`,
        fix: "Register a brand and a campaign (console: Messaging > Regulatory compliance), and add the number to its service.",
      },
    ];
  return [await campaignOf(name, account, service, rest, signal)];
}

async function campaignOf(
  name: string,
  account: TwilioAccount,
  service: string,
  rest: RestClient,
  signal: AbortSignal,
): Promise<Finding> {
  const url = messagingUrl(account, `Services/${encodeURIComponent(service)}/Compliance/Usa2p`);
  const answer = await rest.get(url, campaigns, signal);
  if (answer.kind !== "ok") return untold(name);
  const states = answer.value.compliance.map(({ campaign_status }) => campaign_status);
  if (states.includes("VERIFIED"))
    return { name, status: "ok", detail: "the A2P 10DLC campaign is verified" };
  return {
    name,
    status: "warn",
    detail:
      states.length === 0
        ? `the Messaging Service ${service} has no A2P 10DLC campaign: US carriers refuse texts of its long codes (30034)`
        : `the A2P 10DLC campaign is ${states.join(", ")}: until it is verified, US carriers refuse texts (30034)`,
    fix: "See Messaging > Regulatory compliance > Campaigns in the Twilio console.",
  };
}

async function verificationOf(
  name: string,
  account: TwilioAccount,
  numberSid: string,
  rest: RestClient,
  signal: AbortSignal,
): Promise<Finding> {
  const url = messagingUrl(account, "Tollfree/Verifications", [["TollfreePhoneNumberSid", numberSid]]);
  const answer = await rest.get(url, verifications, signal);
  if (answer.kind !== "ok") return untold(name);
  const states = answer.value.verifications.map(({ status }) => status);
  if (states.includes("TWILIO_APPROVED"))
    return { name, status: "ok", detail: "the toll-free number is verified" };
  return {
    name,
    status: "warn",
    detail: `the toll-free number is ${states.length === 0 ? "not verified" : states.join(", ")}: carriers block its texts (30032)`,
    fix: "See Messaging > Regulatory compliance > Toll-free in the Twilio console.",
  };
}

function untold(name: string): Finding {
  return {
    name,
    status: "warn",
    detail: "whether it is registered could not be read",
    fix: "See Messaging > Regulatory compliance in the Twilio console.",
  };
}

function wordsOf(failure: RestFailure): { readonly detail: string; readonly fix: string } {
  return failure.kind === "refused"
    ? { detail: failure.error.meaning, fix: failure.error.fix }
    : { detail: failure.reason, fix: failure.fix };
}
