import { redactAddress } from "./address.ts";
import { type Agent, AgentFailure, type AgentReply, type TurnRequest } from "./agent.ts";
import type { ChannelState } from "./channel.ts";
import { type CancelTimer, sleep } from "./clock.ts";
import { compose, HELD_FOR } from "./compose.ts";
import { sessionKey } from "./conversation.ts";
import { AppError, type Explained } from "./errors.ts";
import type { ChannelSettings, Settings } from "./settings.ts";
import type { FinishTurn, HeldReply, Store } from "./store.ts";
import { type ClaimedTurn, isTooOld, MAX_TURN_CRASHES, type Turn } from "./turn.ts";
import { type CheckSeams, checkAgain } from "./turn-check.ts";
import { isolate } from "./turn-isolation.ts";
import { addressed, type TurnReplySeams } from "./turn-reply.ts";
import { type TurnRequestSeams, turnRequest } from "./turn-request.ts";
import { createTurnSlots } from "./turn-slots.ts";
import type { Queue } from "./worker.ts";

export interface TurnSeams extends CheckSeams, TurnRequestSeams, TurnReplySeams {
  readonly settings: () => Settings;
  readonly agent: (name: string) => Agent | undefined;
  readonly channelState: (channel: string) => ChannelState;
  /** Channels whose turns may run now. */
  readonly runnable: () => readonly string[];
  readonly store: Store;
  /** Told when an agent gave no reply: which one, and what kind of failure it was. */
  readonly onFailed: (turn: Turn, kind: string, messages: readonly string[]) => void;
  /** Told when an answer had so many segments that they may not all go at once. */
  readonly onTooMuch: (turn: Turn, segments: number) => void;
  /** Told when the turn of the schedule of this name was not run. */
  readonly onUndone: (schedule: string) => void;
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
  const slots = createTurnSlots();
  const running = new Map<string, { readonly abort: AbortController; readonly address: string }>();

  function run(queued: ClaimedTurn, stop: AbortSignal): Promise<void> {
    return slots.during(queued.turn.agent, () => runInSlot(queued, stop));
  }

  /** A turn that cannot be run ends; it is not left to hold up the sender's others until its lease runs out. */
  async function runInSlot(queued: ClaimedTurn, stop: AbortSignal): Promise<void> {
    try {
      await attempt(queued, stop);
    } catch (error) {
      if (stop.aborted) return release(queued.turn);
      // The lease brings the turn back when the disk is well again.
      if (error instanceof AppError && error.code === "unavailable") throw error;
      report(queued, error);
      await finish(queued, { kind: "failed", error: failureOf(queued.turn, error) });
    }
  }

  /** Back into the queue for the next start, which is no crash. */
  async function release({ id }: Turn): Promise<void> {
    await store.releaseTurn(id).catch((error: unknown) => {
      log.warn("turn.not_released", { turn: id, error: String(error) });
    });
  }

  async function attempt(queued: ClaimedTurn, stop: AbortSignal): Promise<void> {
    const channel = seams.settings().channels[queued.turn.channel];
    const claimed = withPresentAgent(queued, channel);
    const { turn } = claimed;
    const agent = seams.agent(turn.agent);
    if (channel === undefined || agent === undefined) {
      log.error("turn.failed", { ...idsOf(claimed), error: GONE.meaning });
      await finish(claimed, { kind: "failed", error: GONE });
      return;
    }
    if (isTooOld(turn, channel.idleTimeout, clock.now())) {
      const reason = "It waited longer than idle_timeout while the channel was down.";
      log.warn("turn.shown", { ...idsOf(claimed), reason });
      await finish(claimed, { kind: "shown", reason });
      return;
    }
    const { allowed, rerouted, suppressed } = await checkAgain(claimed, channel, seams);
    if (allowed.length === 0) {
      const why = whyNot(turn, rerouted, suppressed);
      log.info("turn.cancelled", { ...idsOf(claimed), reason: why.reason });
      await finish(claimed, { kind: "cancelled", ...why }, { rerouted });
      if (turn.task?.kind === "schedule") seams.onUndone(turn.task.name);
      return;
    }
    if (turn.crashes >= MAX_TURN_CRASHES) {
      const trouble = { kind: "crashes", times: turn.crashes } as const;
      if (await kept(() => isolate(claimed, allowed, rerouted, trouble, seams))) return;
      return fail(claimed, channel, new Crashed(turn.crashes, allowed.length), rerouted);
    }
    const started = clock.now();
    const abort = new AbortController();
    const key = keyOf(claimed, channel, allowed[0]?.paired ?? false);
    running.set(key, { abort, address: turn.address });
    const signal = AbortSignal.any([abort.signal, stop]);
    const beat = heartbeat(turn.id);
    try {
      const request = await turnRequest(claimed, allowed, channel, seams, signal);
      const reply = await answer(agent, request, signal);
      const ended = await conclude(claimed, channel, reply, rerouted);
      log.info("turn.done", {
        ...idsOf(claimed),
        ms: clock.now() - started,
        parked: reply.parked !== undefined || undefined,
        cancelled: !ended || undefined,
      });
    } catch (error) {
      if (stop.aborted || (error instanceof AppError && error.code === "unavailable")) throw error;
      if (abort.signal.aborted) return; // its end was recorded with the cancellation
      if (error instanceof AgentFailure) {
        const trouble = { kind: "failure", error } as const;
        if (await kept(() => isolate(claimed, allowed, rerouted, trouble, seams))) return;
      }
      await fail(claimed, channel, error, rerouted);
    } finally {
      beat();
      if (running.get(key)?.abort === abort) running.delete(key);
    }
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
    if (composed.tooMuch !== undefined) seams.onTooMuch(claimed.turn, composed.tooMuch);
    const media = reply.mediaUrls ?? [];
    const bodies = composed.bodies.length === 0 && media.length > 0 ? [""] : composed.bodies;
    const replies = await addressed(claimed, channel, bodies, media, seams);
    const held: HeldReply | undefined =
      composed.held.length === 0
        ? undefined
        : {
            id: seams.newId("msg"),
            conversationId: claimed.turn.conversationId,
            turnId: claimed.turn.id,
            parts: composed.held,
            expiresAt: now + HELD_FOR,
          };
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

  /** What an agent says of a failure may quote the text, so it is shown with the message and never logged. */
  function report(claimed: ClaimedTurn, error: unknown): void {
    const { turn, texts } = claimed;
    log.error("turn.failed", {
      ...idsOf(claimed),
      to: redactAddress(turn.address),
      error: error instanceof AgentFailure ? error.kind : String(error),
    });
    seams.onFailed(
      turn,
      kindOf(error),
      texts.map((text) => text.messageId),
    );
  }

  async function fail(
    claimed: ClaimedTurn,
    channel: ChannelSettings,
    error: unknown,
    rerouted: FinishTurn["rerouted"],
  ): Promise<void> {
    report(claimed, error);
    const { splitFrom } = claimed.turn;
    // Texts that came in one turn have one apology, however many of them fail.
    const sorry = splitFrom === undefined || !(await store.failedApart(splitFrom));
    const replies = sorry ? await addressed(claimed, channel, [APOLOGY], [], seams) : [];
    await finish(
      claimed,
      { kind: "failed", error: failureOf(claimed.turn, error) },
      {
        replies,
        rerouted,
        ...(error instanceof AgentFailure && error.usage !== undefined ? { usage: error.usage } : {}),
      },
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
      claim: (limit, now) =>
        store.claimTurns({ now, lease: LEASE, limit, channels: seams.runnable(), held: slots.held() }),
      nextDue: () => store.nextTurnDue(seams.runnable(), slots.full()),
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

/** The service died whenever this turn was run. */
class Crashed extends Error {
  constructor(
    readonly times: number,
    readonly texts: number,
  ) {
    super(`the service died ${times} times while this was run`);
  }
}

function kindOf(error: unknown): string {
  if (error instanceof AgentFailure) return error.kind;
  return error instanceof Crashed ? error.message : "internal error";
}

function failureOf({ agent }: Turn, error: unknown): Explained {
  if (error instanceof Crashed)
    return {
      meaning: `The service died ${error.times} times while the agent ${agent} worked on this, so it is not tried any more.${error.texts > 1 ? TOGETHER : ""}`,
      fix: `See the log for what ended the service. ${AGAIN}`,
    };
  const cause = error instanceof AgentFailure ? error.message : "internal error, see the log";
  return {
    meaning: `The agent ${agent} gave no reply: ${cause}`,
    fix:
      (error instanceof AgentFailure ? error.fix : undefined) ??
      `Check the agent's endpoint or command. ${AGAIN}`,
  };
}

const TOGETHER =
  " It is one of several texts for which tools were called together, so they are not tried one by one.";
const AGAIN = "Once that is mended, sms-agent messages resend ID has the agent try it again.";

const GONE: Explained = {
  meaning: "The channel or agent of this turn is no longer configured.",
  fix: "Configure it again; then have the agent answer it: sms-agent messages resend ID.",
};

/** Why no text of a turn reaches its agent, in words that also stand with the prompt of a task. */
function whyNot(
  { task }: Turn,
  rerouted: FinishTurn["rerouted"],
  suppressed: string | undefined,
): { readonly reason: string; readonly fix?: string } {
  if (suppressed !== undefined)
    return { reason: suppressed, fix: "Only the recipient can lift this, by texting START." };
  if (task === undefined) return { reason: "Its texts were denied when checked again." };
  const policies =
    rerouted.flatMap((text) => text.policies).join(", ") || "no policy permits receive_message";
  return {
    reason: `It was not run, since its recipient may no longer text the agent: ${policies}.`,
    fix: "Pair the phone again, or permit receive_message to it; or have the reminder cancelled.",
  };
}

/** What joins a turn's lines to those of its texts and its replies. */
function idsOf({ turn, texts }: ClaimedTurn) {
  return {
    turn: turn.id,
    channel: turn.channel,
    conversation: turn.conversationId,
    agent: turn.agent,
    messages: texts.map((text) => text.messageId),
  };
}

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
