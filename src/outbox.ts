import { redactAddress } from "./address.ts";
import type { Carrier, SendOutcome } from "./carrier.ts";
import type { Clock } from "./clock.ts";
import { retryDelay } from "./delivery.ts";
import type { Explained } from "./errors.ts";
import type { Log } from "./log.ts";
import type { StatusEvent } from "./message.ts";
import { createPace, type Pace } from "./pace.ts";
import type { ChannelSettings, Settings } from "./settings.ts";
import type { ClaimedSend, StatusOutcome, Store } from "./store.ts";
import type { Queue } from "./worker.ts";

export interface OutboxSeams {
  readonly settings: () => Settings;
  readonly carrier: (channel: string) => Carrier | undefined;
  /** The numbers a channel sends from, as far as they are known. */
  readonly numbers: (channel: string) => readonly string[];
  /** Our status webhook for a channel; undefined where states are polled. */
  readonly statusCallback: (channel: string) => string | undefined;
  /** Channels whose sends may go out now. */
  readonly runnable: () => readonly string[];
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Meaning and fix of a carrier's error code. */
  readonly explain: (code: number) => Explained;
  /** Told once when sends wait for the next day, as `limits.segments_per_day` is used up. */
  readonly onLimit: (until: number) => void;
  /** Told when the carrier's answer was lost: its list must be asked. */
  readonly onDoubt: () => void;
  /** Told when a callback lets the recipient's next message go. */
  readonly onFreed: () => void;
  /** Told when the carrier has taken one message twice. */
  readonly onDoubled: (messageId: string, channel: string) => void;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/** The attempt is ours for this long, ms: longer than any time-out of the carrier's client. */
const LEASE = 60_000;

export interface Outbox {
  readonly queue: Queue<ClaimedSend>;
  /** Takes a callback, or a state that was polled. */
  record(event: StatusEvent): Promise<StatusOutcome>;
}

/** Hands messages to the carrier and keeps what becomes of them. */
export function createOutbox(seams: OutboxSeams): Outbox {
  const { store, clock, log } = seams;
  const paces = new Map<string, { readonly pace: Pace; readonly settings: ChannelSettings | undefined }>();

  /** A channel that sends as somebody else after a reload has a pace of its own. */
  function pace(channel: string): Pace {
    const settings = seams.settings().channels[channel];
    const found = paces.get(channel);
    if (found?.settings === settings && found !== undefined) return found.pace;
    const kept = found !== undefined && isSameSender(found.settings, settings);
    const now = kept ? found.pace : createPace(settings, clock.now());
    paces.set(channel, { pace: now, settings });
    return now;
  }

  let toldUntil: number | undefined;

  /** When sends may go on, where the day's limit holds them. */
  async function heldUntil(channels: readonly string[], now: number): Promise<number | undefined> {
    const { segmentsPerDay } = seams.settings().limits;
    const until = await store.sendsHeldUntil(channels, now, segmentsPerDay);
    if (until !== undefined && until !== toldUntil) {
      toldUntil = until;
      seams.onLimit(until);
    }
    return until;
  }

  function open(now: number): readonly string[] {
    return seams.runnable().filter((channel) => pace(channel).opensAt(now) <= now);
  }

  /**
   * A Messaging Service writes to whom it has never written from any of its numbers. Whoever texted one of them
   * gets the answer from that one.
   */
  async function numberFor({ channel, to }: ClaimedSend["message"]): Promise<string | undefined> {
    if (seams.settings().channels[channel]?.sender.kind !== "service") return undefined;
    const texted = await store.lastTexted(channel, to);
    return texted !== undefined && seams.numbers(channel).includes(texted) ? texted : undefined;
  }

  async function run({ message, attempt }: ClaimedSend, stop: AbortSignal): Promise<void> {
    const carrier = seams.carrier(message.channel);
    const ref = { messageId: message.id, attempt };
    const statusCallback = seams.statusCallback(message.channel);
    const from = await numberFor(message);
    pace(message.channel).spend(Math.max(1, message.segments), clock.now());
    const outcome: SendOutcome =
      carrier === undefined
        ? { kind: "retry", reason: "the channel has no carrier at the moment" }
        : await carrier.send(
            {
              to: message.to,
              ...(from === undefined ? {} : { from }),
              text: message.text,
              mediaUrls: message.mediaUrls,
              ...(message.contentSid === undefined ? {} : { contentSid: message.contentSid }),
              ...(message.contentVariables === undefined
                ? {}
                : { contentVariables: message.contentVariables }),
              ...(statusCallback === undefined ? {} : { statusCallback }),
              ref,
            },
            stop,
          );
    const now = clock.now();
    if (outcome.kind === "retry" && outcome.retryAfter !== undefined)
      pace(message.channel).close(now + outcome.retryAfter);
    const { doubled } = await store.settleSend({
      ...ref,
      outcome,
      at: now,
      ...(outcome.kind === "retry"
        ? { dueAt: now + retryDelay(attempt, seams.random(), outcome.retryAfter) }
        : {}),
    });
    report(message, attempt, outcome);
    if (outcome.kind === "ambiguous") seams.onDoubt();
    if (doubled) seams.onDoubled(message.id, message.channel);
  }

  function report(message: ClaimedSend["message"], attempt: number, outcome: SendOutcome): void {
    const fields = {
      message: message.id,
      channel: message.channel,
      to: redactAddress(message.to),
      attempt,
      turn: message.turnId,
    };
    switch (outcome.kind) {
      case "accepted":
        log.info("send.accepted", { ...fields, sid: outcome.sid, status: outcome.status });
        break;
      case "refused":
        log.error("send.refused", { ...fields, code: outcome.error.code, error: outcome.error.meaning });
        break;
      case "retry":
        log.warn("send.retry", { ...fields, reason: outcome.reason });
        break;
      case "ambiguous":
        log.error("send.unknown", { ...fields, error: outcome.reason });
    }
  }

  return {
    queue: {
      name: "outbox",
      claim(limit, now) {
        const channels = open(now);
        return channels.length === 0
          ? Promise.resolve([])
          : store.claimSends({
              now,
              lease: LEASE,
              limit,
              channels,
              segmentsPerDay: seams.settings().limits.segmentsPerDay,
            });
      },
      async nextDue() {
        const now = clock.now();
        const channels = seams.runnable();
        const opened = channels.filter((channel) => pace(channel).opensAt(now) <= now);
        const held = await heldUntil(opened, now);
        // While the limit holds, only what is with the carrier already becomes due.
        const due = await store.nextSendDue(held === undefined ? opened : []);
        // A closed channel is looked at again when it opens, whether or not it has something to send.
        const opens = channels.map((channel) => pace(channel).opensAt(now)).filter((at) => at > now);
        const times = [...opens, due, held].filter((at) => at !== undefined);
        return times.length === 0 ? undefined : Math.min(...times);
      },
      run,
    },
    async record(event) {
      const error = event.errorCode === undefined ? undefined : seams.explain(event.errorCode);
      const outcome = await store.recordStatus({ ...event, ...(error === undefined ? {} : { error }) });
      log.info("delivery.status", {
        sid: event.sid,
        status: event.status,
        channel: outcome.kind === "applied" ? outcome.channel : event.channel,
        message: outcome.kind === "applied" ? outcome.messageId : event.ref?.messageId,
        moved: outcome.kind === "applied" ? outcome.moved : undefined,
        code: event.errorCode,
      });
      if (outcome.kind === "applied" && outcome.freed) seams.onFreed();
      if (outcome.kind === "applied" && outcome.doubled) seams.onDoubled(outcome.messageId, outcome.channel);
      return outcome;
    },
  };
}

function isSameSender(a: ChannelSettings | undefined, b: ChannelSettings | undefined): boolean {
  return a?.provider === b?.provider && JSON.stringify(a?.sender) === JSON.stringify(b?.sender);
}
