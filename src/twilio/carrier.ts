import type { Carrier, SendOutcome, SendRequest } from "../carrier.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { ChannelSettings, Sender } from "../settings.ts";
import type { RestResult } from "./answer.ts";
import { type ConnectSeams, connect } from "./connect.ts";
import { isOptedOut } from "./errors.ts";
import { createListing } from "./listing.ts";
import { createMediaFetch } from "./media.ts";
import { acceptedShape } from "./resources.ts";
import { createRestClient, type Fetch, type FormFields } from "./rest.ts";
import { createSentList } from "./sent-list.ts";
import { membersOf } from "./service.ts";
import { accountUrl } from "./urls.ts";
import { attemptQuery } from "./webhook.ts";

export interface TwilioCarrierSeams {
  readonly settings: ChannelSettings;
  /** `server.public_url`; without it no public URL is asked for an answer. */
  readonly publicUrl?: string;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly log: Log;
}

/** The senders of a Messaging Service are asked for again after this long, milliseconds. */
const MEMBERS_TTL = 5 * 60_000;

/** The carrier of one channel: Twilio, or what speaks its API at `api_url`. */
export function createTwilioCarrier(seams: TwilioCarrierSeams): Carrier {
  const { settings, publicUrl, fetch, clock, log } = seams;
  const { account, sender } = settings;
  const rest = createRestClient({ account, fetch, clock, log });
  const connectSeams: ConnectSeams = {
    account,
    sender,
    inbound: settings.inbound,
    ...(publicUrl === undefined ? {} : { publicUrl }),
    rest,
    fetch,
    clock,
    log,
  };

  let members: { readonly numbers: readonly string[]; readonly at: number } | undefined;
  async function memberNumbers(signal: AbortSignal): Promise<RestResult<readonly string[]>> {
    if (sender.kind === "number") return { kind: "ok", value: [sender.number] };
    if (members !== undefined && clock.now() - members.at < MEMBERS_TTL)
      return { kind: "ok", value: members.numbers };
    const answer = await membersOf(rest, account, sender.sid, signal);
    if (answer.kind !== "ok") return answer;
    members = { numbers: answer.value.map((member) => member.address), at: clock.now() };
    return { kind: "ok", value: members.numbers };
  }

  const listing = createListing({ account, sender, rest, members: memberNumbers, clock, log });

  return {
    connect: (request, signal) => connect(connectSeams, request, signal),
    async send(request, signal) {
      const answer = await rest.post(
        accountUrl(account, "Messages"),
        sendFields(sender, request),
        acceptedShape,
        signal,
        { ownConnection: true },
      );
      return sendOutcome(answer);
    },
    listInbound: listing.listInbound,
    fetchStatus: listing.fetchStatus,
    listSent: createSentList({ account, sender, rest, members: memberNumbers, log }),
    fetchMedia: createMediaFetch({ settings, fetch, clock, log }),
  };
}

function sendFields(sender: Sender, request: SendRequest): FormFields {
  const { to, text, mediaUrls, contentSid, contentVariables, statusCallback, ref } = request;
  return [
    ["To", to],
    ...(sender.kind === "number"
      ? [["From", sender.number] as const]
      : [
          ["MessagingServiceSid", sender.sid] as const,
          ...(request.from === undefined ? [] : [["From", request.from] as const]),
        ]),
    // A template brings its own text.
    ...(text === "" || contentSid !== undefined ? [] : [["Body", text] as const]),
    ...mediaUrls.map((url) => ["MediaUrl", url] as const),
    ...(contentSid === undefined ? [] : [["ContentSid", contentSid] as const]),
    ...(contentVariables === undefined ? [] : [["ContentVariables", contentVariables] as const]),
    ...(statusCallback === undefined
      ? []
      : [["StatusCallback", withQuery(statusCallback, attemptQuery(ref))] as const]),
  ];
}

function withQuery(url: string, query: string): string {
  return `${url}${url.includes("?") ? "&" : "?"}${query}`;
}

function sendOutcome(
  answer: RestResult<{ sid: string; status: string; num_segments?: number | undefined }>,
): SendOutcome {
  switch (answer.kind) {
    case "ok": {
      const { sid, status, num_segments: segments } = answer.value;
      // A service answers 0 while it has not chosen the sender; that is no count.
      return { kind: "accepted", sid, status, ...(segments ? { segments } : {}) };
    }
    case "refused":
      return { kind: "refused", error: answer.error, optedOut: isOptedOut(answer.error.code) };
    case "throttled":
      return {
        kind: "retry",
        reason: answer.reason,
        ...(answer.retryAfter === undefined ? {} : { retryAfter: answer.retryAfter }),
      };
    case "not_sent":
      return { kind: "retry", reason: answer.reason };
    case "unclear":
      return { kind: "ambiguous", reason: answer.reason };
  }
}
