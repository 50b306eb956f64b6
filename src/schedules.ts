import { isHeld } from "./admission.ts";
import type { ChannelState } from "./channel.ts";
import type { Clock } from "./clock.ts";
import { sessionKey } from "./conversation.ts";
import type { NewId } from "./ids.ts";
import type { Log } from "./log.ts";
import type { RecipientSeams } from "./recipient.ts";
import { LOOK_AGAIN, nextOf } from "./reminders.ts";
import { createRetries } from "./retries.ts";
import type { ScheduleSettings, Settings } from "./settings.ts";
import type { TextTools } from "./text.ts";
import {
  deliveredIds,
  type ScheduleRun,
  type ScheduleStore,
  type TimedDelivery,
  type TimedOutcome,
} from "./timed.ts";
import type { Queue } from "./worker.ts";

export interface ScheduleSeams {
  readonly settings: () => Settings;
  readonly channelState: (channel: string) => ChannelState;
  readonly store: ScheduleStore & RecipientSeams["store"];
  readonly text: TextTools;
  readonly newId: NewId;
  readonly clock: Clock;
  readonly log: Log;
  /** Told when a turn was queued. */
  readonly onDelivered: (outcome: TimedOutcome) => void;
  /** Told when the schedule of this name reaches nobody. */
  readonly onSuppressed: (schedule: string) => void;
}

export interface Schedules {
  readonly queue: Queue<ScheduleRun>;
  /** Takes over the schedules of the settings: at start, and after every reload. */
  follow(): Promise<void>;
}

/** Later than this a run counts as missed, ms: a busy moment is no downtime. */
const GRACE = 60_000;

/**
 * Runs the prompts of `schedules:` at their times, each as a turn whose reply goes to `home`. Runs that were missed
 * while the service was down are left out, or made up for by one, as `missed` says.
 */
export function createSchedules(seams: ScheduleSeams): Schedules {
  const { store, clock, log } = seams;

  async function deliveryOf({ name, agent, prompt }: ScheduleSettings): Promise<TimedDelivery | undefined> {
    const { home, channels } = seams.settings();
    const channel = home === undefined ? undefined : channels[home.channel];
    if (home === undefined || channel === undefined) return undefined;
    const now = clock.now();
    const facts = await store.senderFacts({ channel: channel.id, address: home.address, now });
    // Another agent than the channel's has a conversation of its own, or it would end the person's.
    const key =
      agent === channel.agent
        ? sessionKey(channel, home.address, facts.paired !== undefined)
        : `schedule:${name}`;
    return {
      kind: "turn",
      standIn: {
        id: seams.newId("msg"),
        channel: channel.id,
        to: home.address,
        text: prompt,
        mediaUrls: [],
        segments: seams.text.segments(prompt),
        createdAt: now,
      },
      turn: {
        key,
        turnId: seams.newId("turn"),
        conversationId: seams.newId("conv"),
        channel: channel.id,
        address: home.address,
        agent,
        idleTimeout: channel.idleTimeout,
        held: isHeld(seams.channelState(channel.id)),
        at: now,
        task: {
          kind: "schedule",
          name,
          content: prompt,
          prompt: `[Nobody has texted just now. This is due by schedule.]\n${prompt}`,
        },
      },
    };
  }

  const retries = createRetries(clock);

  async function deliver(run: ScheduleRun): Promise<void> {
    const schedule = seams.settings().schedules.find(({ name }) => name === run.name);
    if (schedule === undefined) return;
    const now = clock.now();
    const missed = now - run.nextAt > GRACE;
    const delivery = missed && schedule.missed === "skip" ? undefined : await deliveryOf(schedule);
    const outcome = await store.fireSchedule({
      name: run.name,
      dueAt: run.nextAt,
      nextAt: nextOf(schedule.cron, schedule.timezone, Math.max(run.nextAt, now)),
      ...(delivery === undefined ? {} : { delivery }),
    });
    log.info("schedule.due", {
      schedule: run.name,
      outcome,
      missed: missed || undefined,
      ...deliveredIds(delivery, outcome),
    });
    if (outcome === "suppressed") seams.onSuppressed(run.name);
    if (outcome !== "skipped") seams.onDelivered(outcome);
  }

  return {
    async follow() {
      const now = clock.now();
      await store.followSchedules(
        seams.settings().schedules.map(({ name, cron, timezone }) => ({
          name,
          rule: `${cron} ${timezone}`,
          nextAt: nextOf(cron, timezone, now) ?? 0,
        })),
      );
    },
    queue: {
      name: "schedules",
      async claim(limit, now) {
        const known = new Set(seams.settings().schedules.map(({ name }) => name));
        const due = (await store.dueSchedules(now)).filter(({ name }) => known.has(name));
        return due.filter(({ name }) => !retries.isLeftAlone(name)).slice(0, limit);
      },
      async nextDue() {
        const next = await store.nextScheduleDue();
        return next === undefined ? undefined : Math.min(next, clock.now() + LOOK_AGAIN);
      },
      run: (run) => retries.run(run.name, () => deliver(run)),
    },
  };
}
