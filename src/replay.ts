import { addressKind } from "./address.ts";
import { isHeld } from "./admission.ts";
import type { ChannelState } from "./channel.ts";
import type { Clock } from "./clock.ts";
import { sessionKey } from "./conversation.ts";
import { decideRoute } from "./dispatch.ts";
import { AppError } from "./errors.ts";
import type { NewId } from "./ids.ts";
import type { InboundState, Message } from "./message.ts";
import type { PolicyEngine } from "./policy.ts";
import type { Settings } from "./settings.ts";
import type { AdmissionStore, TurnStore } from "./store.ts";

export interface ReplaySeams {
  readonly settings: () => Settings;
  readonly policy: () => PolicyEngine;
  readonly countryOf: (address: string) => string;
  readonly channelState: (channel: string) => ChannelState;
  readonly store: Pick<AdmissionStore, "senderFacts"> & Pick<TurnStore, "replayText">;
  readonly newId: NewId;
  readonly clock: Clock;
  /** Told when a turn was queued. */
  readonly onTurn: () => void;
}

/**
 * Has the agent answer a text that it has failed, or was not asked about: a fresh turn for that text alone. Mode and
 * policies of this moment decide again. Rejects with AppError `conflict` that says what to do instead.
 */
export async function replay(
  message: Message,
  idempotencyKey: string | undefined,
  seams: ReplaySeams,
): Promise<{ readonly id: string; readonly state: InboundState }> {
  const { settings, store } = seams;
  const now = seams.clock.now();
  const { id, from } = message;
  const channel = settings().channels[message.channel];
  if (channel === undefined || addressKind(from) === undefined || message.text === undefined)
    throw channel === undefined ? gone(id, message.channel) : erased(id);
  const facts = await store.senderFacts({ channel: channel.id, address: from, now });
  const routed = decideRoute(message, channel, facts, seams.policy(), seams.countryOf(from), now);
  if (message.state === "failed" && facts.optedOut)
    throw conflict(`The sender of ${id} has opted out with STOP, so nothing is answered.`, {
      fix: "Only the sender can lift this, by texting START. Run it again after that.",
    });
  if (message.state === "failed" && routed.route !== "message")
    throw conflict(
      channel.mode === "signal"
        ? `The channel ${channel.id} is in signal mode, so no agent answers ${id}.`
        : `The sender of ${id} may not text the agent now: ${routed.policies.join(", ") || "no policy permits receive_message"}.`,
      { fix: "See why with sms-agent policy check; pair the phone, or permit receive_message to it." },
    );
  const outcome = await store.replayText({
    messageId: id,
    turn: {
      kind: "queue_turn",
      key: sessionKey(channel, from, facts.paired !== undefined),
      turnId: seams.newId("turn"),
      conversationId: seams.newId("conv"),
      channel: channel.id,
      address: from,
      agent: channel.agent ?? "",
      debounce: 0,
      idleTimeout: channel.idleTimeout,
      perMinute: settings().limits.senderPerMinute,
      held: isHeld(seams.channelState(channel.id)),
      at: now,
    },
    ...(idempotencyKey === undefined
      ? {}
      : { idempotency: { key: idempotencyKey, fingerprint: `resend ${id}` } }),
  });
  switch (outcome.kind) {
    case "queued":
      seams.onTurn();
      return { id, state: "queued" };
    case "replayed":
      return { id, state: outcome.state };
    case "state":
      throw conflict(`${id} ${STATE_SAYS[outcome.state]}`, {
        fix: "Only a text that has failed is given to the agent again: sms-agent messages --state failed.",
      });
    case "erased":
      throw erased(id);
    case "key_conflict":
      throw conflict("This Idempotency-Key was used for another request.", {
        fix: "Use a new key for a new request, or repeat the first one exactly.",
      });
  }
}

const STATE_SAYS: Readonly<Record<Exclude<InboundState, "failed">, string>> = {
  received: "was kept for whoever waits for it, and is not for an agent.",
  queued: "waits for its agent already, or is being answered at this moment.",
  handled: "was answered.",
  dropped: "was dropped, which was no failure.",
};

function gone(id: string, channel: string): AppError {
  return conflict(`The channel ${channel}, which got ${id}, is not configured any more.`, {
    fix: "Configure it again, or answer the sender on another channel with sms-agent send.",
  });
}

function erased(id: string): AppError {
  return conflict(`The text of ${id} is not kept any more.`, {
    fix: "Ask the sender to text again.",
  });
}

function conflict(message: string, options: { readonly fix: string }): AppError {
  return new AppError("conflict", message, options);
}
