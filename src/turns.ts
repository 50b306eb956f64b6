import { addressKind, redactAddress } from "./address.ts";
import { type Agent, AgentFailure, type AgentReply, type TurnRequest } from "./agent.ts";
import { allowedLabel, type ChannelState, policyChannel, principalOf } from "./channel.ts";
import type { CancelTimer, Clock } from "./clock.ts";
import { compose, HELD_FOR } from "./compose.ts";
import { sessionKey } from "./conversation.ts";
import { decideRoute } from "./dispatch.ts";
import type { Explained } from "./errors.ts";
import type { NewId } from "./ids.ts";
import type { Log } from "./log.ts";
import type { NewOutbound } from "./message.ts";
import { allows, type PolicyEngine } from "./policy.ts";
import type { AgentSettings, ChannelSettings, Settings } from "./settings.ts";
import type { FinishTurn, HeldReply, Store } from "./store.ts";
import type { TextTools } from "./text.ts";
import type { ClaimedTurn, TurnText } from "./turn.ts";
import type { Queue } from "./worker.ts";

export interface TurnSeams {
  readonly settings: () => Settings;
  readonly policy: () => PolicyEngine;
  readonly agent: (name: string) => Agent | undefined;
  readonly channelState: (channel: string) => ChannelState;
  /** Channels whose turns may run now. */
  readonly runnable: () => readonly string[];
  readonly countryOf: (address: string) => string;
  readonly store: Store;
  readonly text: TextTools;
  readonly newId: NewId;
  readonly clock: Clock;
  readonly log: Log;
  /** Told after a turn's end is durable and there is something to send. */
  readonly onReplies: () => void;
}

/** A running turn stays ours for this long, ms; extended while the agent works. */
const LEASE = 60_000;
const HEARTBEAT = 20_000;

export interface Turns {
  readonly queue: Queue<ClaimedTurn>;
  /** Aborts the running turn of a key, where there is one. Its end is recorded by whoever cancelled it. */
  cancel(key: string, reason: string): void;
}

/** Runs agents over queued turns: checks again, asks the agent, puts its one reply into the outbox. */
export function createTurns(seams: TurnSeams): Turns {
  const { store, clock, log } = seams;
  const running = new Map<string, AbortController>();

  async function run(claimed: ClaimedTurn, stop: AbortSignal): Promise<void> {
    const { turn } = claimed;
    const channel = seams.settings().channels[turn.channel];
    const agent = seams.agent(turn.agent);
    if (channel === undefined || agent === undefined) {
      await finish(claimed, { kind: "failed", error: GONE });
      return;
    }
    if (turn.held && clock.now() - turn.createdAt > channel.idleTimeout) {
      await finish(claimed, {
        kind: "shown",
        reason: "It waited longer than idle_timeout while the channel was down.",
      });
      return;
    }
    const { allowed, rerouted, suppressed } = await checkAgain(claimed, channel);
    if (allowed.length === 0) {
      await finish(
        claimed,
        { kind: "cancelled", reason: suppressed ?? "Its texts were denied when checked again." },
        { rerouted },
      );
      return;
    }
    const started = clock.now();
    const abort = new AbortController();
    const key = keyOf(claimed, channel, allowed[0]?.paired ?? false);
    running.set(key, abort);
    const signal = AbortSignal.any([abort.signal, stop]);
    const beat = heartbeat(turn.id);
    try {
      const request = await requestOf(claimed, allowed, channel);
      const reply = await answer(agent, request, signal);
      const ended = await conclude(claimed, channel, reply, rerouted);
      log.info("turn.done", {
        turn: turn.id,
        channel: turn.channel,
        conversation: turn.conversationId,
        agent: turn.agent,
        ms: clock.now() - started,
        cancelled: !ended || undefined,
      });
    } catch (error) {
      if (stop.aborted) throw error; // the lease brings the turn back after the restart
      if (abort.signal.aborted) return; // its end was recorded with the cancellation
      await fail(claimed, channel, error, rerouted);
    } finally {
      beat();
      if (running.get(key) === abort) running.delete(key);
    }
  }

  /** Mode and policies of this moment decide again; who opted out meanwhile gets no turn. */
  async function checkAgain(claimed: ClaimedTurn, channel: ChannelSettings) {
    const allowed: (TurnText & { readonly paired: boolean; readonly label?: string })[] = [];
    const rerouted: FinishTurn["rerouted"][number][] = [];
    let suppressed: string | undefined;
    for (const text of claimed.texts) {
      const now = clock.now();
      const facts = await store.senderFacts({ channel: channel.id, address: text.from, now });
      const decided = decideRoute(text, channel, facts, seams.policy(), seams.countryOf(text.from), now);
      if (decided.route === "message" && facts.optedOut) suppressed = "The sender opted out with STOP.";
      else if (decided.route === "message") {
        const label = facts.paired?.label ?? allowedLabel(channel, text.from);
        allowed.push({
          ...text,
          paired: facts.paired !== undefined,
          ...(label === undefined ? {} : { label }),
        });
      } else {
        log.info("turn.denied", {
          turn: claimed.turn.id,
          message: text.messageId,
          policies: decided.policies,
        });
        const { route, keepText, policies } = decided;
        rerouted.push({ messageId: text.messageId, route: keepText ? route : "dropped", keepText, policies });
      }
    }
    return { allowed, rerouted, suppressed };
  }

  async function requestOf(
    claimed: ClaimedTurn,
    texts: readonly (TurnText & { readonly label?: string })[],
    channel: ChannelSettings,
  ): Promise<TurnRequest> {
    const { turn } = claimed;
    const limit = historyLimit(seams.settings().agents[turn.agent]);
    const history = await store.history(turn.conversationId, Math.max(0, limit - texts.length));
    const label = texts.at(-1)?.label;
    return {
      turnId: turn.id,
      channel: channel.id,
      agent: turn.agent,
      conversationId: turn.conversationId,
      from: turn.address,
      ...(label === undefined ? {} : { label }),
      text: texts
        .map((text) => text.text)
        .filter((text) => text !== "")
        .join("\n"),
      media: texts.flatMap((text) => text.media),
      messages: [
        ...history.map(({ role, text, media }) => ({ role, text, media })),
        ...texts.map(({ text, media }) => ({ role: "user" as const, text, media })),
      ],
      timezone: seams.settings().timezone,
      now: clock.now(),
    };
  }

  async function conclude(
    claimed: ClaimedTurn,
    channel: ChannelSettings,
    reply: AgentReply,
    rerouted: FinishTurn["rerouted"],
  ): Promise<boolean> {
    const now = clock.now();
    const { limits } = seams.settings();
    const composed = compose(reply.text ?? "", channel.reply, limits.segmentsPerReply, seams.text);
    const media = reply.mediaUrls ?? [];
    const bodies = composed.bodies.length === 0 && media.length > 0 ? [""] : composed.bodies;
    const replies = await addressed(claimed, channel, bodies, media);
    const held: HeldReply | undefined =
      composed.held.length === 0
        ? undefined
        : { id: seams.newId("msg"), parts: composed.held, expiresAt: now + HELD_FOR };
    return finish(
      claimed,
      { kind: "done" },
      {
        replies,
        held: replies.length === 0 ? "keep" : held,
        rerouted,
        ...(reply.usage === undefined ? {} : { usage: reply.usage }),
      },
    );
  }

  /** A reply is a send like any other: `send_message` may forbid it, and then it is shown, not sent. */
  async function addressed(
    claimed: ClaimedTurn,
    channel: ChannelSettings,
    bodies: readonly string[],
    media: readonly string[],
  ): Promise<readonly NewOutbound[]> {
    if (bodies.length === 0) return [];
    const { turn } = claimed;
    const now = clock.now();
    const facts = await store.senderFacts({ channel: channel.id, address: turn.address, now });
    const decision = seams.policy().decide({
      action: "send_message",
      agent: principalOf(channel),
      channel: policyChannel(channel),
      recipient: {
        address: turn.address,
        kind: addressKind(turn.address) ?? "alphanumeric",
        country: seams.countryOf(turn.address),
        paired: facts.paired !== undefined,
        inConversation: true,
      },
      pairedAddresses: facts.pairedAddresses,
      now,
    });
    const forbidden: Explained | undefined = allows(decision)
      ? undefined
      : {
          meaning: `The reply may not be sent: ${[...decision.policies, ...decision.errors].join(", ") || "no policy permits send_message"}.`,
          fix: "Change the policy that forbids send_message to this recipient.",
        };
    if (forbidden !== undefined) log.warn("reply.forbidden", { turn: turn.id, policies: decision.policies });
    return bodies.map((body, index) => ({
      id: seams.newId("msg"),
      channel: channel.id,
      to: turn.address,
      text: body,
      mediaUrls: index === 0 ? media : [],
      segments: seams.text.segments(body),
      conversationId: turn.conversationId,
      turnId: turn.id,
      policies: decision.policies,
      ...(forbidden === undefined ? {} : { forbidden }),
      createdAt: now,
    }));
  }

  async function fail(
    claimed: ClaimedTurn,
    channel: ChannelSettings,
    error: unknown,
    rerouted: FinishTurn["rerouted"],
  ): Promise<void> {
    const cause = error instanceof AgentFailure ? error.message : "internal error, see the log";
    log.error("turn.failed", {
      turn: claimed.turn.id,
      channel: channel.id,
      agent: claimed.turn.agent,
      to: redactAddress(claimed.turn.address),
      error: error instanceof AgentFailure ? error.message : String(error),
    });
    const replies = await addressed(claimed, channel, [APOLOGY], []);
    await finish(
      claimed,
      {
        kind: "failed",
        error: {
          meaning: `The agent ${claimed.turn.agent} gave no reply: ${cause}`,
          fix:
            (error instanceof AgentFailure ? error.fix : undefined) ??
            "Check the agent's endpoint or command, then text again.",
        },
      },
      { replies, rerouted },
    );
  }

  async function finish(
    claimed: ClaimedTurn,
    end: FinishTurn["end"],
    more: Partial<Pick<FinishTurn, "replies" | "held" | "rerouted" | "usage">> = {},
  ): Promise<boolean> {
    const done = await store.finishTurn({
      turnId: claimed.turn.id,
      end,
      replies: more.replies ?? [],
      held: "held" in more ? more.held : "keep",
      rerouted: more.rerouted ?? [],
      ...(more.usage === undefined ? {} : { usage: more.usage }),
      at: clock.now(),
    });
    if (done && (more.replies?.length ?? 0) > 0) seams.onReplies();
    return done;
  }

  function heartbeat(turnId: string): CancelTimer {
    let cancel: CancelTimer = () => {};
    const beat = () => {
      cancel = clock.after(HEARTBEAT, () => {
        store.extendTurns([turnId], clock.now() + LEASE).catch((error: unknown) => {
          log.warn("turn.lease", { turn: turnId, error: String(error) });
        });
        beat();
      });
    };
    beat();
    return () => cancel();
  }

  return {
    queue: {
      name: "turns",
      claim: (limit, now) => store.claimTurns({ now, lease: LEASE, limit, channels: seams.runnable() }),
      nextDue: () => store.nextTurnDue(seams.runnable()),
      run,
    },
    cancel(key, reason) {
      running.get(key)?.abort(new AgentFailure("cancelled", reason));
    },
  };
}

const APOLOGY = "Sorry, something went wrong and I could not answer. Please try again later.";

const GONE: Explained = {
  meaning: "The channel or agent of this turn is no longer configured.",
  fix: "Configure it again, then resend the text.",
};

/** The rule that made the key at admission finds the running turn again. */
function keyOf(claimed: ClaimedTurn, channel: ChannelSettings, paired: boolean): string {
  return sessionKey(channel, claimed.turn.address, paired);
}

function historyLimit(agent: AgentSettings | undefined): number {
  return agent?.type === "llm" ? agent.history : 40;
}

/** The agent's answer, or the abort's reason as soon as it is aborted, whatever the agent does meanwhile. */
function answer(agent: Agent, request: TurnRequest, signal: AbortSignal): Promise<AgentReply> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    agent
      .run(request, signal)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", onAbort));
  });
}
