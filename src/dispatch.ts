import { addressKind, redactAddress } from "./address.ts";
import { allowedLabel, policyChannel, principalOf } from "./channel.ts";
import { asksForMore, type Command, commandIn, optOutKeyword } from "./command.ts";
import { confirmationCodeIn, confirmedBy, type PendingConfirmation } from "./confirmation.ts";
import { sessionKey } from "./conversation.ts";
import type { Explained } from "./errors.ts";
import type { InboundEvent, InboundState, OptOutType, Route } from "./message.ts";
import type { Pairing } from "./pairing.ts";
import { pairingCodeIn, redeems } from "./pairing.ts";
import { allows, type PolicyDecision, type PolicyEngine, type PolicyQuestion } from "./policy.ts";
import type { ChannelSettings } from "./settings.ts";
import type { HeldReply, SenderFacts } from "./store.ts";

/** What is decided about an inbound text: one of these, with its route and whether its text is kept. */
export type Dispatch = DispatchBase &
  (
    | { readonly action: "pair"; readonly pairing: Pairing; readonly label?: string }
    | { readonly action: "opt_out" }
    | { readonly action: "opt_in" }
    /** Answered by the carrier itself. */
    | { readonly action: "help" }
    | { readonly action: "command"; readonly command: Command; readonly key: string }
    | { readonly action: "more"; readonly held: HeldReply; readonly key: string }
    /** The code of a call that waits for it. */
    | { readonly action: "confirm"; readonly confirmation: PendingConfirmation }
    /** `guess`: six digits that are no pending code while a call waits for one. */
    | { readonly action: "turn"; readonly key: string; readonly guess?: true }
    /** For watches only, or for nobody. */
    | { readonly action: "none" }
  );

interface DispatchBase {
  readonly route: Route;
  readonly state: InboundState;
  /** False: neither the text nor the full sender may reach the disk. */
  readonly keepText: boolean;
  /** True when watches may see it. */
  readonly signal: boolean;
  readonly policies: readonly string[];
  readonly error?: Explained;
  /** A code-shaped body that was not the code: counts against the sender. */
  readonly wrongCode: boolean;
}

/**
 * Decides what becomes of an inbound text. Pure but for the policy engine; the order of the steps is the
 * order in which they take precedence.
 */
export function dispatch(
  event: Pick<InboundEvent, "from" | "body" | "media" | "optOutType">,
  channel: ChannelSettings,
  facts: SenderFacts,
  policy: PolicyEngine,
  country: string,
  now: number,
): Dispatch {
  const code = pairingCodeIn(event.body);
  const locked = facts.pairingLockedUntil !== undefined && now < facts.pairingLockedUntil;
  if (code !== undefined && !locked && redeems(facts.pairing, code, now)) {
    const label = allowedLabel(channel, event.from);
    return {
      action: "pair",
      pairing: facts.pairing,
      ...(label === undefined ? {} : { label }),
      route: "pairing",
      state: "handled",
      keepText: true,
      signal: false,
      policies: [],
      wrongCode: false,
    };
  }
  const routed = decideRoute(event, channel, facts, policy, country, now);
  const pending = facts.pairing !== undefined && now < facts.pairing.expiresAt;
  const wrongCode = code !== undefined && pending && !locked && facts.paired === undefined;
  const base = { ...routed, wrongCode };

  const keyword = carrierKeyword(event, facts.optedOut);
  if (keyword !== undefined) {
    const action = keyword === "STOP" ? "opt_out" : keyword === "START" ? "opt_in" : "help";
    // A stranger's STOP is obeyed like anyone's, but leaves no more of the stranger than a dropped text.
    if (!base.keepText) return { ...base, action };
    return { ...base, action, route: "command", state: "handled" };
  }
  if (facts.optedOut) {
    if (base.route !== "message") return { ...base, action: "none" };
    return { ...base, action: "none", state: "dropped", error: OPTED_OUT };
  }
  if (base.route !== "message") return { ...base, action: "none" };

  const key = sessionKey(channel, event.from, facts.paired !== undefined);
  const confirmation = confirmationCodeIn(event.body);
  const waiting = facts.confirmations ?? [];
  const confirmed = confirmation === undefined ? undefined : confirmedBy(waiting, confirmation, now);
  // A spent code is nobody else's verification code, so no watch sees it.
  if (confirmed !== undefined)
    return {
      ...base,
      action: "confirm",
      confirmation: confirmed,
      route: "command",
      state: "handled",
      signal: false,
    };
  const command = facts.paired === undefined ? undefined : commandIn(event.body);
  if (command !== undefined)
    return { ...base, action: "command", command, key, route: "command", state: "handled" };
  if (facts.held !== undefined && facts.held.expiresAt > now && asksForMore(event.body))
    return { ...base, action: "more", held: facts.held, key, route: "command", state: "handled" };
  const guess = confirmation !== undefined && waiting.length > 0;
  const turn = { ...base, action: "turn", key, state: "queued" } as const;
  return guess ? { ...turn, guess } : turn;
}

const OPTED_OUT: Explained = {
  meaning: "The sender has opted out with STOP, so the agent neither ran nor answered.",
  fix: "Only the sender can lift this, by texting START.",
};

/**
 * The route of a text by mode and policies. Used at admission and again just before the agent runs.
 */
export function decideRoute(
  event: Pick<InboundEvent, "from" | "media">,
  channel: ChannelSettings,
  facts: Pick<SenderFacts, "paired" | "pairedAddresses">,
  policy: PolicyEngine,
  country: string,
  now: number,
): Omit<DispatchBase, "wrongCode"> {
  const ask = (action: "receive_message" | "receive_signal"): PolicyDecision => {
    const question: PolicyQuestion = {
      action,
      agent: principalOf(channel),
      channel: policyChannel(channel),
      sender: {
        address: event.from,
        kind: addressKind(event.from) ?? "alphanumeric",
        country,
        paired: facts.paired !== undefined,
      },
      numMedia: event.media.length,
      pairedAddresses: facts.pairedAddresses,
      now,
    };
    return policy.decide(question);
  };
  const signal = ask("receive_signal");
  const seen = allows(signal);
  if (channel.mode === "signal") {
    if (seen)
      return { route: "signal", state: "received", keepText: true, signal: true, policies: signal.policies };
    return denied("dropped", [signal], "receive_signal");
  }
  const message = ask("receive_message");
  if (allows(message)) {
    // Where watches are denied the text, what denied it has decided too.
    const policies = seen ? message.policies : policiesOf([message, signal]);
    return { route: "message", state: "queued", keepText: true, signal: seen, policies };
  }
  return denied(allows(signal) ? "signal" : "dropped", [message, signal], "receive_message");
}

function denied(
  route: "signal" | "dropped",
  decisions: readonly PolicyDecision[],
  action: "receive_message" | "receive_signal",
): Omit<DispatchBase, "wrongCode"> {
  const errors = decisions.flatMap((decision) => decision.errors);
  const first = decisions[0];
  const why =
    errors.length > 0
      ? `A policy could not be evaluated, which denies: ${errors.join("; ")}`
      : first !== undefined && first.policies.length > 0
        ? `Forbidden by ${first.policies.join(", ")}`
        : "No policy permits it";
  return {
    route,
    state: "dropped",
    keepText: false,
    signal: route === "signal",
    policies: policiesOf(decisions),
    error: {
      meaning: `Not permitted to ${action === "receive_message" ? "text the agent" : "be heard here"} (${action}): ${why}.`,
      fix: "Pair the phone, add it to allowed_senders, or write a policy that permits it (sms-agent policy check shows the decision).",
    },
  };
}

/** The policies of several decisions, each once, in the order of the decisions. */
function policiesOf(decisions: readonly PolicyDecision[]): readonly string[] {
  return [...new Set(decisions.flatMap((decision) => decision.policies))];
}

/**
 * The carrier keyword of a text that counts here. START, YES and UNSTOP count only while the sender has opted
 * out, otherwise a YES is an answer to the agent. WhatsApp has no HELP of the carrier's own.
 */
function carrierKeyword(
  event: Pick<InboundEvent, "body" | "optOutType" | "from">,
  optedOut: boolean,
): OptOutType | undefined {
  const keyword = event.optOutType ?? optOutKeyword(event.body);
  if (keyword === "START") return optedOut ? "START" : undefined;
  if (keyword === "HELP") {
    const carrierAnswers = addressKind(event.from) !== "whatsapp";
    return event.optOutType === "HELP" || carrierAnswers ? "HELP" : undefined;
  }
  return keyword;
}

/** The sender as it may be stored: redacted where nothing else of the text is kept. */
export function storedSender(event: Pick<InboundEvent, "from">, keepText: boolean): string {
  return keepText ? event.from : redactAddress(event.from);
}
