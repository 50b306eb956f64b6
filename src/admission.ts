import { redactAddress } from "./address.ts";
import { type ChannelState, isOwnNumber } from "./channel.ts";
import type { Clock } from "./clock.ts";
import { answerTo, commandEffects, moreEffects, outboundTo } from "./command-effects.ts";
import { sessionKey } from "./conversation.ts";
import { type Dispatch, dispatch, storedSender } from "./dispatch.ts";
import { AppError } from "./errors.ts";
import { heldBack } from "./held-back.ts";
import type { NewId } from "./ids.ts";
import type { Log } from "./log.ts";
import { channelsOf, unanswered } from "./loop.ts";
import type { InboundEvent, Route } from "./message.ts";
import type { PolicyEngine } from "./policy.ts";
import type { ChannelSettings, Settings } from "./settings.ts";
import { annotatedLater, type Signal, signalId } from "./signal.ts";
import type { Signals } from "./signals.ts";
import type { Effect, NewInbound, SenderFacts, Store } from "./store.ts";
import type { TextTools } from "./text.ts";
import { MAX_BACKFILL } from "./watch.ts";
import type { Offered } from "./watch-offers.ts";

export interface AdmissionSeams {
  readonly settings: () => Settings;
  readonly policy: () => PolicyEngine;
  readonly channelState: (channel: string) => ChannelState;
  readonly countryOf: (address: string) => string;
  readonly store: Store;
  readonly signals: Signals;
  readonly text: TextTools;
  readonly newId: NewId;
  readonly clock: Clock;
  readonly log: Log;
  /** Told after the commit what there is to do now. */
  readonly notify: (admitted: Admitted) => void;
}

/** What an inbound text became. */
export type Admitted =
  | {
      readonly kind: "admitted";
      readonly channel: string;
      readonly messageId: string;
      readonly route: Route;
      readonly late: boolean;
      /** Effects others must act on at once: running turns to abort, a fresh pairing. */
      readonly cancelled:
        | { readonly key: string; readonly reason: string; readonly address?: string }
        | undefined;
      readonly paired: boolean;
      /** When the turn it has joined or begun is due, epoch ms. */
      readonly turnDueAt: number | undefined;
      /** The sender's limit per minute puts the turn off. */
      readonly delayed: boolean;
      readonly sends: boolean;
    }
  | { readonly kind: "duplicate"; readonly messageId: string }
  /** Our own number: an echo of something we sent. */
  | { readonly kind: "echo" };

/**
 * Why an event is none of this channel's. `numbers` are those that reach the channel:
 * a Messaging Service that defers to its numbers may leave its own sid out.
 */
export function foreign(
  event: InboundEvent,
  channel: ChannelSettings,
  numbers: readonly string[],
): string | undefined {
  if (event.accountSid !== channel.account.accountSid) return "the AccountSid is not the channel's";
  if (channel.sender.kind === "number")
    return event.to === channel.sender.number ? undefined : "the To number is not the channel's";
  if (event.messagingServiceSid === channel.sender.sid) return undefined;
  // While they are not known, signature and account have to do: Twilio does not repeat what was refused.
  if (event.messagingServiceSid === undefined && (numbers.length === 0 || numbers.includes(event.to)))
    return undefined;
  return "the MessagingServiceSid is not the channel's";
}

/**
 * Takes one inbound text in: decides its route and makes it durable with everything that follows from it,
 * in one transaction. Rejects with AppError `unavailable` when it could not be made durable.
 */
export function createAdmission(
  seams: AdmissionSeams,
): (channel: string, event: InboundEvent) => Promise<Admitted> {
  const { store, clock, log } = seams;
  /** True for the number of another channel that an agent speaks from. */
  const loops = (from: string, channelId: string) => {
    const { channels } = seams.settings();
    const others = Object.values(channels).filter(({ id, mode }) => id !== channelId && mode === "message");
    return others.length > 0 && channelsOf(from, others, seams.channelState).length > 0;
  };

  return async (channelId, event) => {
    const channel = seams.settings().channels[channelId];
    if (channel === undefined) throw new AppError("not_found", `no channel ${channelId}`);
    if (isOwnNumber(event.from, channel, seams.channelState(channelId))) return { kind: "echo" };
    // A spent code or a reply that was fetched meanwhile changes the facts; decide again on the new ones.
    for (let tries = 0; tries < 5; tries++) {
      const now = clock.now();
      const facts = await store.senderFacts({ channel: channelId, address: event.from, now });
      const dispatched = dispatch(event, channel, facts, seams.policy(), seams.countryOf(event.from), now);
      const held = event.beforeRestore === true ? heldBack(dispatched) : dispatched;
      const decided = loops(event.from, channelId) ? unanswered(held) : held;
      const messageId = seams.newId("msg");
      const signal = signalOf(decided, event, channel, messageId, now);
      const offered = signal === undefined ? NO_OFFERS : seams.signals.offers(signal);
      const effects = [
        ...offerEffect(messageId, offered, decided, event, signal, now),
        ...effectsOf(decided, event, channel, facts, now, seams),
      ];
      const outcome = await store.admit({
        message: {
          id: messageId,
          channel: channelId,
          sid: event.sid,
          from: storedSender(event, decided.keepText),
          to: event.to,
          text: decided.keepText ? event.body : undefined,
          raw: decided.keepText ? JSON.stringify(event.raw) : undefined,
          media: decided.keepText ? event.media : [],
          route: decided.route,
          state: decided.state,
          policies: decided.policies,
          error: decided.error,
          segments: event.segments,
          annotation: decided.keepText ? annotationOf(signal, offered) : undefined,
          late: event.late,
          createdAt: event.receivedAt,
        },
        effects,
      });
      if (outcome.kind === "stale") continue;
      if (outcome.kind === "duplicate") {
        log.debug("inbound.duplicate", { channel: channelId, sid: event.sid, message: outcome.messageId });
        return { kind: "duplicate", messageId: outcome.messageId };
      }
      const cancel = effects.find((effect) => effect.kind === "cancel_turns");
      const admitted: Admitted = {
        kind: "admitted",
        channel: channelId,
        messageId,
        route: decided.route,
        late: event.late,
        cancelled: cancel,
        paired: decided.action === "pair",
        turnDueAt: outcome.turnDueAt,
        delayed: outcome.turnDueAt !== undefined && outcome.turnDueAt > now + channel.debounce,
        sends: outcome.sends > 0,
      };
      log.info("inbound.admitted", {
        channel: channelId,
        message: messageId,
        sid: event.sid,
        from: redactAddress(event.from),
        route: decided.route,
        action: decided.action,
        policies: decided.policies,
        late: event.late || undefined,
        delayed: admitted.delayed || undefined,
      });
      if (signal !== undefined) {
        const held = decided.keepText ? undefined : { ...signal, media: event.media };
        seams.signals.admitted(signal, offered.mark, outcome.offered, held);
      }
      seams.notify(admitted);
      return admitted;
    }
    throw new AppError("unavailable", "the sender's state kept changing; the text will be delivered again");
  };
}

const NO_OFFERS = { offers: [], judged: [], mark: 0 } as const;

/**
 * The text as watches see it; undefined where `receive_signal` is denied. Found in the carrier's list long after
 * it came, it is of no use to anyone who waits.
 */
function signalOf(
  decided: Dispatch,
  event: InboundEvent,
  channel: ChannelSettings,
  messageId: string,
  now: number,
): Signal | undefined {
  if (!decided.signal || event.receivedAt < now - MAX_BACKFILL) return undefined;
  return annotatedLater({
    id: signalId(messageId),
    messageId,
    channel: channel.id,
    from: event.from,
    receivedAt: event.receivedAt,
    text: event.body,
    numMedia: event.media.length,
  });
}

/** Found out now where a watch asks, otherwise later. */
function annotationOf(signal: Signal | undefined, offered: Offered): NewInbound["annotation"] {
  if (signal === undefined) return undefined;
  return offersAny(offered) ? signal.annotation : "unread";
}

function offersAny({ offers, judged }: Offered): boolean {
  return offers.length + judged.length > 0;
}

function offerEffect(
  messageId: string,
  offered: Offered,
  decided: Dispatch,
  event: InboundEvent,
  signal: Signal | undefined,
  now: number,
): readonly Effect[] {
  if (!offersAny(offered) || signal === undefined) return [];
  const { offers, judged } = offered;
  const { from, body: text, media } = event;
  const reveal = decided.keepText ? {} : { reveal: { from, text, media, annotation: signal.annotation } };
  return [{ kind: "offer_signal", messageId, offers, judged, ...reveal, at: now }];
}

function effectsOf(
  decided: Dispatch,
  event: InboundEvent,
  channel: ChannelSettings,
  facts: SenderFacts,
  now: number,
  seams: AdmissionSeams,
): readonly Effect[] {
  const at = { channel: channel.id, address: event.from };
  const send = (body: string): Effect => ({
    kind: "send",
    outbound: outboundTo(channel.id, event.from, body, now, seams),
  });
  const effects: Effect[] = decided.wrongCode ? [{ kind: "pairing_attempt", ...at, at: now }] : [];
  switch (decided.action) {
    case "none":
    case "help":
      return effects;
    case "pair":
      return [
        ...effects,
        {
          kind: "redeem_pairing",
          pairingId: decided.pairing.id,
          address: { ...at, pairedAt: now, ...(decided.label === undefined ? {} : { label: decided.label }) },
        },
        send(PAIRED),
      ];
    case "opt_out":
      return [
        ...effects,
        { kind: "opt_out", ...at, at: now },
        {
          kind: "cancel_turns",
          key: sessionKey(channel, event.from, facts.paired !== undefined),
          address: event.from,
          at: now,
          reason: "The sender opted out with STOP.",
        },
      ];
    case "opt_in":
      return [...effects, { kind: "opt_in", ...at }];
    case "more":
      return [...effects, ...moreEffects(decided.held, decided.key, event, channel, now, seams)];
    case "command":
      return [
        ...effects,
        ...commandEffects(decided.command, decided.key, event, channel, now),
        send(answerTo(decided.command, channel, seams.channelState(channel.id))),
      ];
    case "confirm": {
      const { turnId, callId } = decided.confirmation;
      return [...effects, { kind: "confirm_call", turnId, callId, at: now }];
    }
    case "turn":
      return [
        ...effects,
        ...(decided.guess === true ? [{ kind: "wrong_confirmation", ...at, at: now } as const] : []),
        {
          kind: "queue_turn",
          key: decided.key,
          turnId: seams.newId("turn"),
          conversationId: seams.newId("conv"),
          channel: channel.id,
          address: event.from,
          agent: channel.agent ?? "",
          debounce: channel.debounce,
          idleTimeout: channel.idleTimeout,
          perMinute: seams.settings().limits.senderPerMinute,
          held: isHeld(seams.channelState(channel.id)),
          at: now,
        },
      ];
  }
}

const PAIRED = "This phone is paired. Text me anything; /help lists commands, STOP ends all texts.";

/** Turns and sends of such a channel wait. */
export function isHeld(state: ChannelState): boolean {
  return state.status === "disabled" || state.status === "failed";
}
