import { addressKind, redactAddress } from "./address.ts";
import { type Agent, AgentFailure, type AgentReply, type TurnRequest } from "./agent.ts";
import type { Carrier } from "./carrier.ts";
import { allowedLabel, type ChannelState, policyChannel, principalOf } from "./channel.ts";
import { type CancelTimer, type Clock, sleep } from "./clock.ts";
import { compose, HELD_FOR } from "./compose.ts";
import { sessionKey } from "./conversation.ts";
import { decideRoute } from "./dispatch.ts";
import { AppError, type Explained } from "./errors.ts";
import type { NewId } from "./ids.ts";
import type { Log } from "./log.ts";
import type { NewOutbound } from "./message.ts";
import { allows, type PolicyEngine } from "./policy.ts";
import type { AgentSettings, ChannelSettings, Settings } from "./settings.ts";
import type { FinishTurn, HeldReply, Store } from "./store.ts";
import type { TextTools } from "./text.ts";
import type { JournalEntry, TurnTools } from "./tool.ts";
import type { ClaimedTurn, Turn, TurnText } from "./turn.ts";
import { withPictures } from "./turn-media.ts";
import type { Queue } from "./worker.ts";

export interface TurnSeams {
  readonly settings: () => Settings;
  readonly policy: () => PolicyEngine;
  readonly agent: (name: string) => Agent | undefined;
  readonly channelState: (channel: string) => ChannelState;
  /** Channels whose turns may run now. */
  readonly runnable: () => readonly string[];
  readonly countryOf: (address: string) => string;
  /** What the pictures of a channel's texts are fetched from. */
  readonly carrier: (channel: string) => Pick<Carrier, "fetchMedia"> | undefined;
  readonly store: Store;
  readonly text: TextTools;
  readonly newId: NewId;
  readonly clock: Clock;
  readonly log: Log;
  /** The tools of a turn of an llm agent. */
  readonly tools: (turn: Turn, paired: boolean) => Promise<TurnTools & { entries: readonly JournalEntry[] }>;
  /** Told when an agent gave no reply: which one, and what kind of failure it was. */
  readonly onFailed: (turn: Turn, kind: string) => void;
  /** Told after a turn's end is durable and there is something to send. */
  readonly onReplies: () => void;
}

/** A running turn stays ours for this long, ms; extended while the agent works. */
const LEASE = 60_000;
const HEARTBEAT = 20_000;
/** Tries to write a turn's end, over about five minutes. */
const MAX_WRITE_TRIES = 16;

export interface Turns {
  readonly queue: Queue<ClaimedTurn>;
  /**
   * Aborts the running turn of a key, where there is one (with `address`, only one that answers it). Its end is
   * recorded by whoever cancelled it.
   */
  cancel(key: string, reason: string, address?: string): void;
}

/** Runs agents over queued turns: checks again, asks the agent, puts its one reply into the outbox. */
export function createTurns(seams: TurnSeams): Turns {
  const { store, clock, log } = seams;
  const running = new Map<string, { readonly abort: AbortController; readonly address: string }>();

  async function run(queued: ClaimedTurn, stop: AbortSignal): Promise<void> {
    const channel = seams.settings().channels[queued.turn.channel];
    const claimed = withPresentAgent(queued, channel);
    const { turn } = claimed;
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
    running.set(key, { abort, address: turn.address });
    const signal = AbortSignal.any([abort.signal, stop]);
    const beat = heartbeat(turn.id);
    try {
      const request = await requestOf(claimed, allowed, channel, signal);
      const reply = await answer(agent, request, signal);
      const ended = await conclude(claimed, channel, reply, rerouted);
      log.info("turn.done", {
        turn: turn.id,
        channel: turn.channel,
        conversation: turn.conversationId,
        agent: turn.agent,
        ms: clock.now() - started,
        parked: reply.parked !== undefined || undefined,
        cancelled: !ended || undefined,
      });
    } catch (error) {
      // The lease brings the turn back: after the restart, or when the disk is well again.
      if (stop.aborted || (error instanceof AppError && error.code === "unavailable")) throw error;
      if (abort.signal.aborted) return; // its end was recorded with the cancellation
      await fail(claimed, channel, error, rerouted);
    } finally {
      beat();
      if (running.get(key)?.abort === abort) running.delete(key);
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
      // A schedule is the operator's own: its recipient need not be somebody who may text the agent.
      const may = decided.route === "message" || claimed.turn.task?.kind === "schedule";
      if (may && facts.optedOut) suppressed = "The sender opted out with STOP.";
      else if (may) {
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
    allowed: readonly (TurnText & { readonly paired: boolean; readonly label?: string })[],
    channel: ChannelSettings,
    signal: AbortSignal,
  ): Promise<TurnRequest> {
    const { turn } = claimed;
    const llm = seams.settings().agents[turn.agent]?.type === "llm";
    // Other agents get the URLs, and fetch what they want to see.
    const carrier = llm ? seams.carrier(channel.id) : undefined;
    const texts =
      carrier === undefined ? allowed : await withPictures(allowed, carrier.fetchMedia, clock, signal);
    const tools = llm ? await seams.tools(turn, texts[0]?.paired ?? false) : undefined;
    const limit = historyLimit(seams.settings().agents[turn.agent]);
    const history = await store.history(turn.conversationId, Math.max(0, limit - texts.length));
    const label = texts.at(-1)?.label;
    // A turn that was parked goes on where it was; what was said since then comes after its own texts.
    const resumed = (tools?.entries.length ?? 0) > 0;
    const since = resumed ? (texts.at(-1)?.receivedAt ?? 0) : Number.POSITIVE_INFINITY;
    const [earlier, meanwhile] = [
      history.filter((entry) => entry.at <= since),
      history.filter((entry) => entry.at > since),
    ];
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
        ...earlier.map(({ role, text, media }) => ({ role, text, media })),
        ...texts.map(({ text, media }) => ({ role: "user" as const, text, media })),
      ],
      ...(meanwhile.length === 0
        ? {}
        : { meanwhile: meanwhile.map(({ role, text, media }) => ({ role, text, media })) }),
      ...(tools === undefined ? {} : { tools }),
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
    if (reply.parked !== undefined)
      return finish(claimed, { kind: "parked", calls: reply.parked }, { rerouted });
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
    // What an agent says of a failure may quote the text, so it is shown with the message and never logged.
    const cause = error instanceof AgentFailure ? error.message : "internal error, see the log";
    log.error("turn.failed", {
      turn: claimed.turn.id,
      channel: channel.id,
      agent: claimed.turn.agent,
      to: redactAddress(claimed.turn.address),
      messages: claimed.texts.map((text) => text.messageId),
      error: error instanceof AgentFailure ? error.kind : String(error),
    });
    seams.onFailed(claimed.turn, error instanceof AgentFailure ? error.kind : "internal error");
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
    const done = await kept(() =>
      store.finishTurn({
        turnId: claimed.turn.id,
        end,
        replies: more.replies ?? [],
        held: "held" in more ? more.held : "keep",
        rerouted: more.rerouted ?? [],
        ...(more.usage === undefined ? {} : { usage: more.usage }),
        at: clock.now(),
      }),
    );
    if (done && (more.replies?.length ?? 0) > 0) seams.onReplies();
    return done;
  }

  /**
   * An answer is not thrown away, and the agent not asked again, because the disk fails for a while: the end of
   * the turn is written as soon as that is possible.
   */
  async function kept<T>(write: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await write();
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== "unavailable" || tries >= MAX_WRITE_TRIES)
          throw error;
        log.warn("turn.not_written", { tries, error: error.message });
        await sleep(clock, Math.min(30_000, 250 * 2 ** tries));
      }
    }
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
    cancel(key, reason, address) {
      const found = running.get(key);
      if (found === undefined || (address !== undefined && found.address !== address)) return;
      found.abort.abort(new AgentFailure("cancelled", reason));
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

/** A turn that has not begun is for the agent the channel has now; one that has, ends on its own. */
function withPresentAgent(claimed: ClaimedTurn, channel: ChannelSettings | undefined): ClaimedTurn {
  if (channel?.agent === undefined || claimed.turn.attempt > 1) return claimed;
  if (claimed.turn.task?.kind === "schedule") return claimed; // it names its own
  return { ...claimed, turn: { ...claimed.turn, agent: channel.agent } };
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
