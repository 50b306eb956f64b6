import type { NewOutbound } from "./message.ts";
import type { JoinConversation, QueueTurn } from "./store.ts";
import type { TurnTask } from "./turn.ts";

/** What somebody asked to be told, or to have done, at a time. */
export interface Reminder {
  readonly id: string;
  readonly channel: string;
  readonly address: string;
  readonly agent: string;
  /** `text` is sent as it is; a `prompt` is done by the agent, in the conversation with its recipient. */
  readonly kind: "text" | "prompt";
  readonly content: string;
  readonly timezone: string;
  /** Absent for a reminder that comes once. */
  readonly cron?: string;
  /** Epoch ms. */
  readonly nextAt: number;
  readonly createdAt: number;
}

/** A turn that no text began. */
export type QueueTask = Omit<QueueTurn, "kind" | "debounce" | "perMinute"> & { readonly task: TurnTask };

/** What happens at the time; with it, when the next one is: one transaction. */
export type TimedDelivery =
  | {
      readonly kind: "texts";
      readonly conversation: JoinConversation;
      readonly outbound: readonly NewOutbound[];
    }
  /** To a recipient who has opted out goes neither: `standIn` is kept as suppressed, to show why. */
  | { readonly kind: "turn"; readonly turn: QueueTask; readonly standIn: NewOutbound };

export type TimedOutcome =
  /** It was cancelled, changed or delivered meanwhile; nothing was done. */
  "stale" | "turn" | "texts" | "suppressed";

/** What joins the line of an occurrence in the log to those of what became of it. */
export function deliveredIds(
  delivery: TimedDelivery | undefined,
  outcome: TimedOutcome | "skipped",
): { readonly turn?: string; readonly messages?: readonly string[] } {
  if (delivery === undefined || outcome === "stale" || outcome === "skipped") return {};
  switch (delivery.kind) {
    case "texts":
      return { messages: delivery.outbound.map(({ id }) => id) };
    case "turn":
      return outcome === "suppressed" ? { messages: [delivery.standIn.id] } : { turn: delivery.turn.turnId };
  }
}

export interface ReminderStore {
  /** False when the recipient has `most` already. */
  addReminder(reminder: Reminder, most: number): Promise<boolean>;
  /** Those of one recipient, the next one first. */
  reminders(channel: string, address: string): Promise<readonly Reminder[]>;
  /** False when the recipient has none with this id. */
  cancelReminder(id: string, channel: string, address: string): Promise<boolean>;
  /** Those of these channels that are due, the oldest first. */
  dueReminders(channels: readonly string[], now: number, limit: number): Promise<readonly Reminder[]>;
  nextReminderDue(channels: readonly string[]): Promise<number | undefined>;
  /** Delivers one occurrence and sets the next one; without `nextAt` it was the last. */
  fireReminder(fire: {
    readonly id: string;
    /** The occurrence: no other one is delivered. */
    readonly dueAt: number;
    readonly nextAt: number | undefined;
    readonly delivery: TimedDelivery;
  }): Promise<TimedOutcome>;
}

/** When a schedule of sms.yaml is due next. */
export interface ScheduleRun {
  readonly name: string;
  /** What its times follow from; when that changes, so does `nextAt`. */
  readonly rule: string;
  readonly nextAt: number;
}

export interface ScheduleStore {
  /** Keeps the times of schedules whose rule is unchanged, takes the given ones for the others, forgets the rest. */
  followSchedules(runs: readonly ScheduleRun[]): Promise<void>;
  dueSchedules(now: number): Promise<readonly ScheduleRun[]>;
  nextScheduleDue(): Promise<number | undefined>;
  /** As `fireReminder`; without `delivery` the occurrence is left out. Without `nextAt` it is due no more. */
  fireSchedule(fire: {
    readonly name: string;
    readonly dueAt: number;
    readonly nextAt: number | undefined;
    readonly delivery?: TimedDelivery;
  }): Promise<TimedOutcome | "skipped">;
}
