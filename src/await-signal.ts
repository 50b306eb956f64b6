import { addressKind } from "./address.ts";
import { policyChannel } from "./channel.ts";
import type { Clock } from "./clock.ts";
import { formatDuration } from "./duration.ts";
import { allows, type PolicyEngine } from "./policy.ts";
import type { Settings } from "./settings.ts";
import type { Signal } from "./signal.ts";
import type { SignalStore } from "./signal-store.ts";
import type { Signals } from "./signals.ts";
import type { TurnStore } from "./store.ts";
import { ADMIN } from "./token.ts";
import { type JournalEntry, type Tool, ToolFailure } from "./tool.ts";
import { parseWait } from "./wait-request.ts";
import type { CompilePattern, Watch } from "./watch.ts";

export interface AwaitSignalSeams {
  readonly settings: () => Settings;
  readonly policy: () => PolicyEngine;
  readonly countryOf: (address: string) => string;
  readonly pairedAddresses: (channel: string) => readonly string[];
  readonly compile: CompilePattern;
  readonly signals: () => Signals;
  readonly store: Pick<TurnStore, "resumeTurn" | "journal"> & SignalStore;
  readonly clock: Clock;
  /** Told when a parked turn is queued again. */
  readonly onResume: () => void;
}

/** How long the tool waits when the model does not say. */
const DEFAULT_WAIT = "10m";

/** The agents' `await_signal`: parks the turn until a matching text arrives on any channel, or the time is over. */
export interface AwaitSignal {
  readonly tool: Tool;
  /** Gives a watch's end to the turn that waits for it. Does nothing for watches of others. */
  ended(watch: Watch): Promise<void>;
  /** Before a turn runs again: ends its watches whose call was not parked when the service stopped. */
  forgetOrphans(turnId: string, entries: readonly JournalEntry[]): Promise<void>;
  /** At start: gives turns the ends that were reached while the service was stopping. */
  recover(): Promise<void>;
}

export function createAwaitSignal(seams: AwaitSignalSeams): AwaitSignal {
  const { store, clock } = seams;

  /** What the model learns: never more of a stranger's text than its code. */
  function told(agent: string, signal: Signal): string {
    const { code, link, origin } = signal.annotation;
    return JSON.stringify({
      status: "matched",
      from: signal.from,
      ...(code === undefined ? {} : { code }),
      ...(link === undefined ? {} : { link }),
      ...(origin === undefined ? {} : { origin }),
      ...(mayRead(agent, signal) ? { text: signal.text } : {}),
    });
  }

  function mayRead(agent: string, signal: Signal): boolean {
    const channel = seams.settings().channels[signal.channel];
    if (channel === undefined) return false;
    const pairedAddresses = seams.pairedAddresses(signal.channel);
    return allows(
      seams.policy().decide({
        action: "receive_message",
        agent,
        channel: policyChannel(channel),
        sender: {
          address: signal.from,
          kind: addressKind(signal.from) ?? "alphanumeric",
          country: seams.countryOf(signal.from),
          paired: pairedAddresses.includes(signal.from),
        },
        numMedia: signal.numMedia,
        pairedAddresses,
        now: clock.now(),
      }),
    );
  }

  function resultOf(agent: string, watch: Watch): string {
    const signal = watch.signals[0];
    if (signal !== undefined) return told(agent, signal);
    return JSON.stringify({ status: watch.state === "cancelled" ? "cancelled" : "timeout" });
  }

  async function ended(watch: Watch): Promise<void> {
    const { owner } = watch;
    if (owner.kind !== "agent" || watch.state === "pending") return;
    const entries = await store.journal(owner.turnId);
    const answered = entries.some((entry) => entry.kind === "call_result" && entry.callId === owner.callId);
    if (answered) return;
    const result: JournalEntry = {
      kind: "call_result",
      callId: owner.callId,
      failed: false,
      text: resultOf(owner.agent, watch),
    };
    if (await store.resumeTurn(owner.turnId, [result], clock.now())) seams.onResume();
  }

  return {
    ended,
    async forgetOrphans(turnId, entries) {
      const parked = new Set(entries.flatMap((entry) => (entry.kind === "call_parked" ? entry.callId : [])));
      for (const { id, owner } of await store.pendingWatches()) {
        if (owner.kind === "agent" && owner.turnId === turnId && !parked.has(owner.callId))
          await seams.signals().cancel(id);
      }
    },
    async recover() {
      for (const watch of await store.unansweredWatches()) await ended(watch);
    },
    tool: {
      name: "await_signal",
      description:
        "Waits for a text message with a code or link that someone else sends to one of the numbers, such as a " +
        "verification code, and returns it. Name who it comes from (from), the website it is for (origin) or a " +
        "pattern in it (match).",
      inputSchema: INPUT,
      async call(input, context) {
        const { timeout, ...fields } = input;
        const request = parseWait(
          "watch",
          { ...fields, expires_in: timeout ?? DEFAULT_WAIT },
          { settings: seams.settings(), compile: seams.compile, caller: ADMIN, agent: context.agent },
        );
        const { from, origin, match } = request.watch.filters;
        if (from === undefined && origin === undefined && match === undefined)
          throw new ToolFailure("Give at least one of from, origin and match.");
        const { agent, turnId, callId, channel, from: address } = context;
        const watch = await seams.signals().create({
          ...request.watch,
          owner: { kind: "agent", agent, turnId, callId, channel, address },
        });
        if (watch.state === "pending") return { kind: "parked" };
        return { kind: "done", text: resultOf(context.agent, watch) };
      },
    },
  };
}

const INPUT = {
  type: "object",
  properties: {
    from: {
      type: "array",
      items: { type: "string" },
      description: 'Senders as they appear: "+15551234567", "22000", "MYBANK"; a trailing * makes a prefix.',
    },
    origin: { type: "string", description: "The website the code is for, as in @example.com #123456." },
    match: { type: "string", description: "A regular expression (RE2) found in the text." },
    channel: { type: "string", description: "Only texts to this channel." },
    category: {
      type: "string",
      enum: ["verification_code", "confirmation_link", "delivery", "appointment", "payment", "other"],
    },
    instructions: {
      type: "string",
      description:
        "What the text must be about, in words; judged by the model, and never takes the text from others.",
    },
    timeout: {
      type: "string",
      description: `How long to wait, as ${formatDuration(120_000)} or 1h; ${DEFAULT_WAIT} when not given.`,
    },
    backfill: {
      type: "string",
      description: "How far back to look for a text that came before; at most 10m.",
    },
  },
  additionalProperties: false,
} as const;
