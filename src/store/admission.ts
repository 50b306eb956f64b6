import type { NewOutbound } from "../message.ts";
import type { Admission, AdmitOutcome, Effect } from "../store.ts";
import { billedSegments, type LocalDay } from "../usage.ts";
import type { Confirmations } from "./confirmations.ts";
import type { Conversations } from "./conversations.ts";
import type { Events } from "./events.ts";
import type { Messages } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import type { Senders } from "./senders.ts";
import type { Turns } from "./turns.ts";
import type { Usage } from "./usage.ts";
import type { WatchSignals } from "./watch-signals.ts";

export interface AdmissionParts {
  readonly messages: Messages;
  readonly turns: Turns;
  readonly outbox: Outbox;
  readonly senders: Senders;
  readonly conversations: Conversations;
  readonly confirmations: Confirmations;
  readonly signals: WatchSignals;
  readonly events: Pick<Events, "received">;
  readonly usage: Usage;
  readonly localDay: (at: number) => LocalDay;
  readonly now: number;
  /** Ask whether the text is there before anything is written. */
  readonly askFirst: boolean;
}

/** Thrown to undo an admission whose facts have changed since it was decided. */
export class Stale extends Error {
  override readonly name = "Stale";
}

/** Thrown to undo an admission of a text that is there. */
export class Duplicate extends Error {
  override readonly name = "Duplicate";
  readonly messageId: string;

  constructor(messageId: string) {
    super(`the text is there as ${messageId}`);
    this.messageId = messageId;
  }
}

/**
 * Writes a text with all of its effects; throws Stale when one of them no longer fits, and Duplicate when the text
 * turns out to be there. Runs inside a write that undoes what was written before the throw.
 */
export function admit(admission: Admission, parts: AdmissionParts): AdmitOutcome {
  const { message, effects } = admission;
  if (parts.askFirst) {
    const messageId = parts.messages.inboundId(message.sid);
    if (messageId !== undefined) return { kind: "duplicate", messageId };
  }
  // The turn comes first, so that the text is written with it; but where a watch may take the text, that decides.
  const open = effects.every(({ kind }) => kind !== "offer_signal");
  const first = open ? effects.find((effect) => effect.kind === "queue_turn") : undefined;
  const place = first === undefined ? undefined : parts.turns.place(first);
  const seq = parts.messages.insertInbound(message, place);
  if (seq === undefined) {
    const messageId = parts.messages.inboundId(message.sid);
    if (messageId === undefined) throw new Error(`there is a message ${message.id} with another sid`);
    throw new Duplicate(messageId);
  }
  // A text that comes late is of the day the carrier took it.
  const { day } = parts.localDay(Math.min(message.createdAt, parts.now));
  parts.usage.received(message.channel, day, billedSegments(message.segments));
  let turnDueAt = place?.dueAt;
  let sends = 0;
  let offered: ReturnType<WatchSignals["offer"]> | undefined;
  for (const effect of effects) {
    if (effect === first || (effect.kind === "queue_turn" && offered?.claimedFromAgent === true)) continue;
    const applied = apply(effect, seq, parts);
    turnDueAt = applied.turnDueAt ?? turnDueAt;
    offered = applied.offered ?? offered;
    if (applied.send) sends += 1;
  }
  // What was there before a restore has been told before.
  const told = message.state === "failed";
  if (message.route === "message" && offered?.claimedFromAgent !== true && !told)
    parts.events.received(message.id, parts.now);
  return {
    kind: "admitted",
    ...(turnDueAt === undefined ? {} : { turnDueAt }),
    ...(offered === undefined ? {} : { offered }),
    sends,
  };
}

interface Applied {
  readonly turnDueAt?: number;
  /** Something waits in the outbox. */
  readonly send?: boolean;
  readonly offered?: ReturnType<WatchSignals["offer"]>;
}

function apply(effect: Effect, seq: number, parts: AdmissionParts): Applied {
  const { senders, turns, conversations, outbox } = parts;
  switch (effect.kind) {
    case "redeem_pairing":
      if (!senders.redeem(effect.pairingId, effect.address)) throw new Stale("the code is spent");
      return {};
    case "pairing_attempt":
      senders.wrongCode(effect.channel, effect.address, effect.at);
      return {};
    case "opt_out":
      senders.optOut(effect.channel, effect.address, effect.at);
      return {};
    case "opt_in":
      senders.optIn(effect.channel, effect.address);
      return {};
    case "queue_turn":
      return { turnDueAt: turns.queue(seq, effect) };
    case "end_conversation": {
      const open = conversations.openOf(effect.key);
      if (open !== undefined) conversations.end(open.id, effect.at);
      return {};
    }
    case "cancel_turns":
      turns.cancelKey(effect.key, effect.at, effect.reason, effect.address);
      return {};
    case "hold":
      if (effect.expected !== undefined) checkHeld(effect, effect.expected, senders);
      senders.hold(effect.channel, effect.address, effect.held);
      return {};
    case "go_on":
      turns.goOn(effect);
      return {};
    case "send":
      return { send: outbox.put(placed(effect, turns)).state === "pending" };
    case "confirm_call":
      if (!parts.confirmations.confirm(effect.turnId, effect.callId, effect.at))
        throw new Stale("the call no longer waits for its code");
      return { turnDueAt: effect.at };
    case "wrong_confirmation":
      return parts.confirmations.wrong(effect.channel, effect.address, effect.at)
        ? { turnDueAt: effect.at }
        : {};
    case "offer_signal":
      return { offered: parts.signals.offer(effect) };
  }
}

/** The text, without the conversation that it would be a part of where that is no longer open. */
function placed(
  { outbound, ifOpen }: Extract<Effect, { kind: "send" }>,
  turns: Pick<Turns, "openConversation">,
): NewOutbound {
  if (ifOpen === undefined || turns.openConversation(ifOpen) === outbound.conversationId) return outbound;
  const { conversationId, turnId, ...alone } = outbound;
  return alone;
}

/**
 * What is left of a held reply keeps its id, so the id alone does not tell whether another MORE was faster:
 * what is left must also be less than what is there.
 */
function checkHeld(effect: Extract<Effect, { kind: "hold" }>, expected: string, senders: Senders): void {
  const present = senders.held(effect.channel, effect.address);
  const left = effect.held?.id === expected ? effect.held.parts.length : 0;
  if (present?.id !== expected || present.parts.length <= left) throw new Stale("the held reply has changed");
}
