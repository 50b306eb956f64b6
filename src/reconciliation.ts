import { redactAddress } from "./address.ts";
import type { Alerts } from "./alerts.ts";
import type { Carrier } from "./carrier.ts";
import type { Clock } from "./clock.ts";
import type { ClaimedLook, LookOutcome, SettleLook, Undecided } from "./doubt-store.ts";
import type { Explained } from "./errors.ts";
import type { Log } from "./log.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import type { Queue } from "./worker.ts";

export interface ReconciliationSeams {
  readonly settings: () => Settings;
  readonly carrier: (channel: string) => Carrier | undefined;
  /** Channels whose carrier may be asked now. */
  readonly runnable: () => readonly string[];
  /** Meaning and fix of a carrier's error code. */
  readonly explain: (code: number) => Explained;
  /** Told when something became sendable: what is sent again, or what waited behind it. */
  readonly onSend: () => void;
  readonly store: Store;
  readonly alerts: Pick<Alerts, "raise">;
  readonly clock: Clock;
  readonly log: Log;
}

type Alert = Parameters<Alerts["raise"]>[0];

/** More than this at once on one channel are told of together. */
const FEW = 5;

/** A look is ours for this long, ms: longer than reading a list takes. */
const LEASE = 120_000;

/**
 * Finds out what became of sends whose answer was lost, by the carrier's own list: found, and then settled; absent, and
 * then sent again; or neither, and then left to the operator.
 */
export function createReconciliation(seams: ReconciliationSeams): Queue<ClaimedLook> {
  const { store, alerts, clock, log } = seams;

  /** All that the list has; undefined when it could not be read. */
  async function list(look: ClaimedLook, signal: AbortSignal): Promise<SettleLook["listed"]> {
    const carrier = seams.carrier(look.channel);
    const sender = seams.settings().channels[look.channel]?.sender;
    const current = sender?.kind === "number" ? sender.number : sender?.sid;
    // Under another sender it would not be in the list, whether it was taken or not.
    const answer =
      carrier === undefined || current !== look.from
        ? { kind: "unreachable" as const, reason: "the channel does not send as it did then" }
        : await carrier.listSent({ to: look.to, since: look.since }, signal);
    switch (answer.kind) {
      case "ok":
        return answer.items.map((sent) =>
          sent.errorCode === undefined ? sent : { ...sent, error: seams.explain(sent.errorCode) },
        );
      case "refused":
        log.warn("send.lookup", { message: look.messageId, reason: answer.error.meaning });
        return undefined;
      case "unreachable":
        log.warn("send.lookup", { message: look.messageId, reason: answer.reason });
        return undefined;
    }
  }

  function report(look: ClaimedLook, { kind, found }: LookOutcome): void {
    const fields = { channel: look.channel, to: redactAddress(look.to) };
    for (const { messageId, channel, sid, state, doubled } of found) {
      log.info("send.found", { ...fields, message: messageId, sid, state });
      if (doubled) alerts.raise(doubledAlert(messageId, channel));
    }
    if (kind === "absent")
      log.warn("send.absent", { ...fields, message: look.messageId, attempt: look.attempt });
    if (kind === "absent" || found.length > 0) seams.onSend();
  }

  /** After an outage there may be very many; then the operator is told of them in one word. */
  function tell(undecided: readonly Undecided[]): void {
    for (const { messageId, channel, to } of undecided)
      log.error("send.undecided", { message: messageId, channel, to: redactAddress(to) });
    for (const [channel, all] of Map.groupBy(undecided, (one) => one.channel))
      if (all.length > FEW) alerts.raise(manyAlert(channel, all.length));
      else for (const one of all) alerts.raise(undecidedAlert(one));
  }

  return {
    name: "reconciliation",
    async claim(limit, now) {
      const { looks, undecided } = await store.claimLooks({
        now,
        lease: LEASE,
        limit,
        channels: seams.runnable(),
      });
      tell(undecided);
      // What waited behind them may go.
      if (undecided.length > 0) seams.onSend();
      return looks;
    },
    nextDue: () => store.nextLookDue(seams.runnable()),
    async run(look, signal) {
      const lookedAt = clock.now();
      const listed = await list(look, signal);
      const { messageId, attempt } = look;
      const outcome = await store.settleLook({
        messageId,
        attempt,
        lookedAt,
        at: clock.now(),
        ...(listed === undefined ? {} : { listed }),
      });
      report(look, outcome);
    },
  };
}

function undecidedAlert({ messageId, channel, to }: Undecided): Alert {
  return {
    cause: `send.undecided/${messageId}`,
    message: `It could not be told whether the carrier has message ${messageId} to ${redactAddress(to)}; it is not sent again by itself.`,
    fix: `Look into the carrier's log, or ask the recipient; if it is missing: sms-agent messages resend ${messageId}`,
    channel,
  };
}

function manyAlert(channel: string, count: number): Alert {
  return {
    cause: `send.undecided/${channel}`,
    message: `It could not be told whether the carrier has ${count} messages of ${channel}; they are not sent again by themselves.`,
    fix: "See them with sms-agent messages --state unknown; send the missing ones with sms-agent messages resend ID",
    channel,
  };
}

/** The carrier has taken one message twice: one try was taken for lost. */
export function doubledAlert(messageId: string, channel: string): Alert {
  return {
    cause: `send.doubled/${messageId}`,
    message: `The carrier has taken message ${messageId} twice: its first answer was lost, and its list did not have it in time.`,
    fix: `Nothing is left to be done but perhaps a word to the recipient. See sms-agent messages ${messageId}`,
    channel,
  };
}
