import { isSendable, redactAddress } from "./address.ts";
import type { Clock } from "./clock.ts";
import { confirmationText } from "./confirmation-text.ts";
import type { NewId, RandomBytes } from "./ids.ts";
import type { Log } from "./log.ts";
import type { NewOutbound } from "./message.ts";
import { allows, type PolicyEngine } from "./policy.ts";
import { askRecipient } from "./recipient.ts";
import type { Settings } from "./settings.ts";
import type { AdmissionStore } from "./store.ts";
import type { TextTools } from "./text.ts";
import type { ConfirmCall, JournalEntry, ToolContext } from "./tool.ts";
import type { Queue } from "./worker.ts";

/** How long a code is good for, ms. */
export const CONFIRMATION_TTL = 10 * 60_000;
/** Wrong codes after which a call is given up, and no other may be asked for until they are CONFIRMATION_WINDOW old. */
export const MAX_WRONG_CODES = 5;
export const CONFIRMATION_WINDOW = 60 * 60_000;
/** Calls of one sender that wait at once: each makes a guess more likely to be right. */
export const MAX_PENDING = 3;

const DIGITS = 6;

/** A call that waits for its code, of one sender on one channel. */
export interface PendingConfirmation {
  readonly turnId: string;
  readonly callId: string;
  readonly code: string;
  /** Epoch ms. */
  readonly expiresAt: number;
}

export interface NewConfirmation extends PendingConfirmation {
  readonly channel: string;
  readonly address: string;
  readonly createdAt: number;
}

export type AskOutcome =
  /** The code is in the outbox. */
  | { readonly kind: "asked" }
  /** It was asked for before, and this became of it; nothing was sent. */
  | { readonly kind: "known"; readonly state: "pending" | "confirmed" | "given_up" }
  /** Another call of this sender waits for the same code: draw another. */
  | { readonly kind: "taken" }
  | { readonly kind: "refused"; readonly why: "opted_out" | "guessing" | "too_many" | "turn_ended" };

export interface ConfirmationStore {
  /** One transaction: the confirmation and the text with its code, or nothing. */
  askConfirmation(confirmation: NewConfirmation, outbound: NewOutbound): Promise<AskOutcome>;
  /** Gives the calls whose time is over a failed result and queues their turns. Answers how many turns go on. */
  expireConfirmations(now: number): Promise<number>;
  /** When the next pending one expires. */
  nextConfirmationExpiry(): Promise<number | undefined>;
}

/** Draws six digits without bias: bytes that would favour the first digits are thrown away. */
export function newConfirmationCode(random: RandomBytes): string {
  let code = "";
  while (code.length < DIGITS) {
    for (const byte of random(DIGITS)) if (byte < 250 && code.length < DIGITS) code += byte % 10;
  }
  return code;
}

/** The code in a body that holds nothing else; spaces and hyphens do not matter. */
export function confirmationCodeIn(body: string): string | undefined {
  if (body.length > 64) return undefined;
  const bare = body.replace(/[\s\u00a0\u200b\u2010-\u2015-]/g, "");
  return /^[0-9]{6}$/.test(bare) ? bare : undefined;
}

/** The one of the pending calls that the code is for; compares all of them in constant time. */
export function confirmedBy(
  pending: readonly PendingConfirmation[],
  code: string,
  now: number,
): PendingConfirmation | undefined {
  let found: PendingConfirmation | undefined;
  for (const each of pending) {
    let difference = each.code.length ^ code.length;
    for (let i = 0; i < each.code.length; i++) difference |= each.code.charCodeAt(i) ^ code.charCodeAt(i);
    if (difference === 0 && now < each.expiresAt) found ??= each;
  }
  return found;
}

/** What the journal gets when a call was not confirmed. */
export function unconfirmed(callId: string, why: "expired" | "guessing"): JournalEntry {
  return { kind: "call_result", callId, failed: true, text: UNCONFIRMED[why] };
}

const UNCONFIRMED = {
  expired: "Not done: the person did not text the confirmation code back within 10 minutes.",
  guessing: `Not done: ${MAX_WRONG_CODES} wrong confirmation codes came back.`,
} as const;

export interface ConfirmationSeams {
  readonly settings: () => Settings;
  readonly policy: () => PolicyEngine;
  readonly countryOf: (address: string) => string;
  readonly store: ConfirmationStore & Pick<AdmissionStore, "senderFacts">;
  readonly text: TextTools;
  readonly newId: NewId;
  readonly random: RandomBytes;
  readonly clock: Clock;
  readonly log: Log;
  /** Told when a code was put into the outbox. */
  readonly onAsked: () => void;
  /** Told when a turn was queued again. */
  readonly onResume: () => void;
}

type Call = Parameters<ConfirmCall>[0];

export interface Confirmations {
  readonly confirm: ConfirmCall;
  /** Ends those whose time is over; nothing of it is run as an item. */
  readonly queue: Queue<never>;
}

/**
 * Lets calls wait until their sender has texted back a code that we texted to the sender's number: a sender
 * number can be forged, but the code does not reach the forger. The code's text is no part of the conversation,
 * so that no model ever reads a code it could be talked into giving away.
 */
export function createConfirmations(seams: ConfirmationSeams): Confirmations {
  const { store, clock, log } = seams;

  async function mayText(context: ToolContext): Promise<boolean> {
    const channel = seams.settings().channels[context.channel];
    if (channel === undefined || !isSendable(context.from)) return false;
    const { decision } = await askRecipient(channel, context.from, clock.now(), seams);
    return allows(decision);
  }

  async function ask(call: Call, context: ToolContext): Promise<Exclude<AskOutcome, { kind: "taken" }>> {
    const { turnId, callId, channel, from: address } = context;
    for (;;) {
      const now = clock.now();
      const code = newConfirmationCode(seams.random);
      const body = confirmationText(call.tool, call.input, code, seams.text);
      const outcome = await store.askConfirmation(
        { turnId, callId, channel, address, code, createdAt: now, expiresAt: now + CONFIRMATION_TTL },
        {
          id: seams.newId("msg"),
          channel,
          to: address,
          text: body,
          mediaUrls: [],
          segments: seams.text.segments(body),
          turnId,
          createdAt: now,
        },
      );
      if (outcome.kind !== "taken") return outcome;
    }
  }

  return {
    async confirm(call, context) {
      const { tool } = call;
      if (!(await mayText(context)))
        return { kind: "refused", reason: "it must be confirmed, and no code may be texted to this person" };
      const outcome = await ask(call, context);
      switch (outcome.kind) {
        case "asked":
          log.info("tool.confirmation_asked", {
            turn: context.turnId,
            call: context.callId,
            tool,
            to: redactAddress(context.from),
          });
          seams.onAsked();
          return { kind: "parked" };
        case "known":
          if (outcome.state === "pending") return { kind: "parked" };
          if (outcome.state === "confirmed") return { kind: "confirmed" };
          return { kind: "refused", reason: "it was not confirmed" };
        case "refused":
          log.warn("tool.confirmation_refused", { turn: context.turnId, tool, why: outcome.why });
          return { kind: "refused", reason: REFUSED[outcome.why] };
      }
    },
    queue: {
      name: "confirmations",
      async claim(_limit, now) {
        if ((await store.expireConfirmations(now)) > 0) seams.onResume();
        return [];
      },
      async nextDue() {
        const next = await store.nextConfirmationExpiry();
        // A clock that was set forward, or a machine that slept, is noticed at the next look.
        return next === undefined ? undefined : Math.min(next, clock.now() + LOOK_AGAIN);
      },
      run: () => Promise.resolve(),
    },
  };
}

const LOOK_AGAIN = 60_000;

const REFUSED = {
  opted_out: "it must be confirmed, and this person has opted out of texts with STOP",
  guessing:
    "it must be confirmed, and too many wrong codes came from this number; it can be tried in an hour",
  too_many: "it must be confirmed, and other calls of this person still wait for their codes",
  turn_ended: "it must be confirmed, and this conversation was ended",
} as const;
