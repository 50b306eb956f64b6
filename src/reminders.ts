import { redactAddress } from "./address.ts";
import { isHeld } from "./admission.ts";
import type { ChannelState } from "./channel.ts";
import type { Clock } from "./clock.ts";
import { compose } from "./compose.ts";
import { sessionKey } from "./conversation.ts";
import { parseCron } from "./cron.ts";
import { decideRoute } from "./dispatch.ts";
import type { Explained } from "./errors.ts";
import type { NewId } from "./ids.ts";
import type { Log } from "./log.ts";
import type { NewOutbound } from "./message.ts";
import { allows, type PolicyDecision } from "./policy.ts";
import { askRecipient, type RecipientSeams } from "./recipient.ts";
import { createRetries } from "./retries.ts";
import type { ChannelSettings, Settings } from "./settings.ts";
import type { JoinConversation } from "./store.ts";
import type { TextTools } from "./text.ts";
import {
  deliveredIds,
  type Reminder,
  type ReminderStore,
  type TimedDelivery,
  type TimedOutcome,
} from "./timed.ts";
import type { Queue } from "./worker.ts";
import { clockTimeText, localTimeText, nextDue } from "./zoned.ts";

export interface ReminderSeams extends RecipientSeams {
  readonly settings: () => Settings;
  readonly channelState: (channel: string) => ChannelState;
  readonly store: ReminderStore & RecipientSeams["store"];
  readonly text: TextTools;
  readonly newId: NewId;
  readonly clock: Clock;
  readonly log: Log;
  /** Told when a turn or a text was queued. */
  readonly onDelivered: (outcome: TimedOutcome) => void;
}

/** A text that comes later than this says when it was meant to, ms. */
const LATE = 5 * 60_000;
/** A clock that was set forward, and a machine that slept, are noticed within this, ms. */
export const LOOK_AGAIN = 30_000;

/**
 * Delivers reminders at their time: one occurrence and the time of the next are one transaction, so that none is
 * delivered twice. What was missed while the service was down comes late, of a repeating one only the last.
 * Clocks that go back repeat nothing.
 */
export function createReminders(seams: ReminderSeams): Queue<Reminder> {
  const { store, clock, log } = seams;
  const channels = () => Object.keys(seams.settings().channels);
  const retries = createRetries(clock);

  async function deliveryOf(reminder: Reminder, channel: ChannelSettings): Promise<TimedDelivery> {
    const now = clock.now();
    const { address, kind, content, timezone, nextAt } = reminder;
    const { decision, facts } = await askRecipient(channel, address, now, seams);
    const { route, policies } = decideRoute(
      { from: address, media: [] },
      channel,
      facts,
      seams.policy(),
      seams.countryOf(address),
      now,
    );
    const forbidden = allows(decision)
      ? route === "message"
        ? undefined
        : mayNoLongerText(policies)
      : forbiddenBy(decision);
    const key = sessionKey(channel, address, facts.paired !== undefined);
    const conversation: JoinConversation = {
      key,
      conversationId: seams.newId("conv"),
      channel: channel.id,
      address,
      agent: channel.agent ?? reminder.agent,
      idleTimeout: channel.idleTimeout,
      at: now,
    };
    const outbound = (text: string): NewOutbound => ({
      id: seams.newId("msg"),
      channel: channel.id,
      to: address,
      text,
      mediaUrls: [],
      segments: seams.text.segments(text),
      policies: decision.policies,
      ...(forbidden === undefined ? {} : { forbidden }),
      createdAt: now,
    });
    if (kind === "text") {
      const late = now - nextAt > LATE ? ` (meant for ${clockTimeText(nextAt, timezone)})` : "";
      const { segmentsPerReply } = seams.settings().limits;
      const { bodies } = compose(
        `${content}${late}`,
        { ...channel.reply, overflow: "truncate" },
        segmentsPerReply,
        seams.text,
      );
      return { kind: "texts", conversation, outbound: bodies.map(outbound) };
    }
    const prompt = `[Nobody has texted just now. This is due, as this person asked for ${localTimeText(nextAt, timezone)}: do it, then write to the person.]\n${content}`;
    return {
      kind: "turn",
      standIn: outbound(content),
      turn: {
        ...conversation,
        turnId: seams.newId("turn"),
        held: isHeld(seams.channelState(channel.id)),
        task: { kind: "reminder", name: reminder.id, prompt, content },
      },
    };
  }

  async function deliver(reminder: Reminder): Promise<void> {
    const channel = seams.settings().channels[reminder.channel];
    if (channel === undefined) return;
    const delivery = await deliveryOf(reminder, channel);
    const outcome = await store.fireReminder({
      id: reminder.id,
      dueAt: reminder.nextAt,
      nextAt: nextOf(reminder.cron, reminder.timezone, Math.max(reminder.nextAt, clock.now())),
      delivery,
    });
    log.info("reminder.due", {
      reminder: reminder.id,
      channel: channel.id,
      to: redactAddress(reminder.address),
      outcome,
      ...deliveredIds(delivery, outcome),
    });
    seams.onDelivered(outcome);
  }

  return {
    name: "reminders",
    async claim(limit, now) {
      const due = await store.dueReminders(channels(), now, limit + retries.size);
      return due.filter(({ id }) => !retries.isLeftAlone(id)).slice(0, limit);
    },
    async nextDue() {
      const next = await store.nextReminderDue(channels());
      return next === undefined ? undefined : Math.min(next, clock.now() + LOOK_AGAIN);
    },
    run: (reminder) => retries.run(reminder.id, () => deliver(reminder)),
  };
}

/** The next time of an expression that was checked when it was stored; undefined without one. */
export function nextOf(cron: string | undefined, timezone: string, after: number): number | undefined {
  if (cron === undefined) return undefined;
  const parsed = parseCron(cron);
  return "message" in parsed ? undefined : nextDue(parsed, timezone, after);
}

/** Who may no longer text the agent, since the phone was revoked say, is no longer texted what it was to remind of. */
function mayNoLongerText(policies: readonly string[]): Explained {
  return {
    meaning: `It was not sent, since its recipient may no longer text the agent: ${policies.join(", ") || "no policy permits receive_message"}.`,
    fix: "Pair the phone again, or permit receive_message to it.",
  };
}

export function forbiddenBy(decision: PolicyDecision): Explained {
  const why = [...decision.policies, ...decision.errors].join(", ") || "no policy permits send_message";
  return {
    meaning: `It may not be sent: ${why}.`,
    fix: "Change the policy that forbids send_message to this recipient.",
  };
}
