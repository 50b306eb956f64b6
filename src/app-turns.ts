import type { AgentRegistry } from "./agent-registry.ts";
import type { Core, Wake } from "./app-core.ts";
import type { AwaitSignal } from "./await-signal.ts";
import type { Carrier } from "./carrier.ts";
import type { Channels } from "./channels.ts";
import { createConfirmations } from "./confirmation.ts";
import { meteredTurns } from "./metered.ts";
import { createRemind } from "./remind.ts";
import { createReminders } from "./reminders.ts";
import { createSchedules } from "./schedules.ts";
import { createSendMessage } from "./send-message.ts";
import { TURN_SLOTS } from "./turn-slots.ts";
import { turnTools } from "./turn-tools.ts";
import { createTurns, type Turns } from "./turns.ts";
import { startWorker, type Worker } from "./worker.ts";

/** What has agents answer: texts, schedules, and what their tools have set for later. */
export interface Turning {
  readonly cancel: Turns["cancel"];
  /** A turn was queued. */
  wake(dueAt?: number): void;
  /** What could not be run may be run now. */
  wakeAll(): void;
  /** Takes over the schedules of the settings. */
  readonly followSchedules: () => Promise<void>;
  idle: Worker["idle"];
  stop: Worker["stop"];
}

export function openTurns(
  core: Core,
  parts: {
    readonly agents: AgentRegistry;
    readonly channels: Channels;
    readonly carrier: (channel: string) => Carrier | undefined;
    readonly runnable: () => readonly string[];
    readonly awaitSignal: AwaitSignal;
    readonly wake: Wake;
  },
): Turning {
  const { policy, countryOf, store, alerts, limits, metrics, clock, log } = core;
  const { agents, channels, runnable, awaitSignal, wake } = parts;
  const shared = { ...core, channelState: channels.state };
  const scheduleUndone = (name: string): void =>
    alerts.raise({
      cause: `schedule.undone/${name}`,
      message: `The schedule ${name} was not run: its recipient has opted out.`,
      fix: "The suppressed text says why: sms-agent messages --state suppressed.",
    });
  const onDelivered = () => {
    wake.turns();
    wake.sends();
  };
  const sendMessage = createSendMessage({ ...shared, onSend: wake.sends });
  const remind = createRemind({ ...core, onSet: () => reminderWorker.wake() });
  const confirmations = createConfirmations({
    ...core,
    onAsked() {
      wake.sends();
      confirmationWorker.wake();
    },
    onResume: wake.turns,
  });
  const schedules = createSchedules({ ...shared, onDelivered, onSuppressed: scheduleUndone });
  const tools = {
    policy,
    countryOf,
    store,
    awaitSignal,
    builtIn: [remind, sendMessage],
    confirm: confirmations.confirm,
    clock,
  };
  const turns = createTurns({
    ...shared,
    tools: (turn, paired) => turnTools(tools, turn, paired),
    agent: (name) => agents.get(name),
    runnable,
    carrier: parts.carrier,
    onFailed: ({ agent, channel }, kind, messages) =>
      alerts.raise({
        cause: `agent.failed/${agent}`,
        message: `The agent ${agent} gave no reply on ${channel} (${kind}): ${messages.join(", ")}.`,
        fix: "The failed text says why: sms-agent messages --state failed. To have it tried again: sms-agent messages resend ID.",
        channel,
      }),
    onUndone: scheduleUndone,
    onTooMuch: limits.segmentsPerReply,
    onReplies: wake.sends,
  });

  const turnWorker = startWorker(meteredTurns(turns.queue, metrics, clock), {
    concurrency: TURN_SLOTS,
    clock,
    log,
  });
  const confirmationWorker = startWorker(confirmations.queue, { concurrency: 1, clock, log });
  const reminderWorker = startWorker(createReminders({ ...shared, onDelivered }), {
    concurrency: 1,
    clock,
    log,
  });
  const scheduleWorker = startWorker(schedules.queue, { concurrency: 1, clock, log });
  const workers = [reminderWorker, scheduleWorker, confirmationWorker, turnWorker];
  return {
    cancel: turns.cancel,
    wake: (dueAt) => turnWorker.wake(dueAt),
    wakeAll() {
      for (const worker of workers) worker.wake();
    },
    followSchedules: schedules.follow,
    idle: () => turnWorker.idle(),
    async stop(grace) {
      await Promise.all(workers.map((worker) => worker.stop(grace)));
    },
  };
}
