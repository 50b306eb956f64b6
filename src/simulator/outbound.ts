import type { Clock } from "../clock.ts";
import type { RandomBytes } from "../ids.ts";
import type { CallbackLine, OpenCallbackLine } from "./callbacks.ts";
import type { Faults } from "./faults.ts";
import type { Direction, Ledger, MessageChange, StoredMessage } from "./ledger.ts";
import type { MediaFiles } from "./media.ts";
import type { FetchOutboundMedia } from "./media-fetch.ts";
import { newSid } from "./numbers.ts";
import type { Reach } from "./reach.ts";
import { countSegments } from "./segments.ts";
import { type Delays, type Fate, timeline } from "./timeline.ts";
import type { Work } from "./work.ts";

/** A message that passed all checks and is about to be accepted. */
export interface Draft {
  readonly accountSid: string;
  readonly direction: Exclude<Direction, "inbound">;
  /** The sender, also where a service chose it. */
  readonly from: string;
  readonly to: string;
  readonly serviceSid?: string;
  readonly body: string;
  readonly mediaUrls: readonly string[];
  readonly statusCallback?: string;
  /** Made from an approved template, so it may leave outside WhatsApp's window. */
  readonly template: boolean;
  /** False for the carrier's own replies, which no account's list shows. */
  readonly listed: boolean;
}

interface Accepted {
  readonly message: StoredMessage;
  /** Waits for callbacks that are to come before the answer. */
  readonly answerable: Promise<void>;
}

export type AcceptMessage = (draft: Draft) => Accepted;

/** Accepts messages and takes them through their states. */
export function createOutbound(options: {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly ledger: Ledger;
  readonly media: MediaFiles;
  readonly fetchMedia: FetchOutboundMedia;
  readonly reach: Reach;
  readonly faults: Faults;
  readonly openLine: OpenCallbackLine;
  readonly work: Work;
  readonly delays: Delays;
  /** Told of every new message and every new state. */
  readonly changed: (message: StoredMessage) => void;
}): AcceptMessage {
  const { clock, random, ledger, media, faults, work, delays } = options;

  function fateOf(draft: Draft): Fate {
    // The carrier's own replies are not what a fault is ordered for.
    const fault = draft.listed ? faults.takeSend(["undelivered", "failed", "read"], draft) : undefined;
    switch (fault?.kind) {
      case "undelivered":
      case "failed":
        return { kind: fault.kind, code: fault.code };
      case "read":
        return { kind: "read" };
      case undefined:
        break;
    }
    const closed =
      draft.to.startsWith("whatsapp:") &&
      !draft.template &&
      !options.reach.hasWindow(draft.from, draft.to, clock.now());
    return closed ? { kind: "failed", code: 63_016 } : { kind: "delivered" };
  }

  function move(message: StoredMessage, status: string, errorCode: number | undefined): void {
    const now = clock.now();
    const change: MessageChange = {
      status,
      updatedAt: now,
      ...(errorCode === undefined ? {} : { errorCode }),
      ...(status === "sent" ? { sentAt: now } : {}),
      ...(status === "delivered" ? { arrivedAt: now } : {}),
    };
    ledger.change(message, change);
    options.changed(message);
  }

  return (draft) => {
    const now = clock.now();
    const lag = draft.listed ? faults.takeSend(["list_lag"], draft) : undefined;
    const first =
      draft.serviceSid !== undefined && draft.direction === "outbound-api" ? "accepted" : "queued";
    const message = ledger.add({
      sid: newSid(draft.mediaUrls.length > 0 ? "MM" : "SM", random),
      accountSid: draft.accountSid,
      direction: draft.direction,
      from: draft.from,
      to: draft.to,
      ...(draft.serviceSid === undefined ? {} : { serviceSid: draft.serviceSid }),
      body: draft.body,
      media: draft.mediaUrls.map((url) => media.link(url)),
      segments: Math.max(1, countSegments(draft.body)),
      status: first,
      createdAt: now,
      updatedAt: now,
      listedFrom: draft.listed ? now + (lag?.delay ?? 0) : Number.POSITIVE_INFINITY,
    });
    options.changed(message);
    const fate = fateOf(draft);
    const line =
      draft.statusCallback === undefined ? undefined : options.openLine(message, draft.statusCallback);
    const hold = line?.holdAnswerFor;
    let release = () => {};
    const answerable =
      hold === undefined ? Promise.resolve() : new Promise<void>((resolve) => (release = resolve));

    let lastReport: Promise<void> = Promise.resolve();
    const report = (open: CallbackLine) => {
      const { status } = message;
      lastReport = open.report();
      if (status === hold) lastReport.then(release);
    };
    const run = (steps: ReturnType<typeof timeline>) => {
      const [step, ...rest] = steps;
      if (step === undefined) {
        line?.end();
        lastReport.then(release); // a state the message never reaches must not hold the answer for ever
        return;
      }
      work.after(step.delay, () => {
        const proceed = (errorCode: number | undefined) => {
          move(message, errorCode === undefined ? step.status : "failed", errorCode ?? step.errorCode);
          if (line) report(line);
          run(errorCode === undefined ? rest : []);
        };
        if (step.status !== "sending" || message.media.length === 0) return proceed(undefined);
        work.track(options.fetchMedia(message).then(proceed));
      });
    };
    const steps = timeline(first, fate, delays);
    if (!line) run(steps);
    else if (hold !== undefined) {
      report(line);
      run(steps);
    } else {
      // The answer to the request is on its way by then, as it mostly is with Twilio.
      work.after(Math.min(5, delays.queued), () => {
        report(line);
        run(steps);
      });
    }
    return { message, answerable };
  };
}
