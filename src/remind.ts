import type { Clock } from "./clock.ts";
import type { NewId } from "./ids.ts";
import { parseReminder } from "./remind-request.ts";
import type { Settings } from "./settings.ts";
import type { Reminder, ReminderStore } from "./timed.ts";
import { type Tool, ToolFailure } from "./tool.ts";
import { localTimeText } from "./zoned.ts";

export interface RemindSeams {
  readonly settings: () => Settings;
  readonly store: ReminderStore;
  readonly newId: NewId;
  readonly clock: Clock;
  /** Told when one was set. */
  readonly onSet: () => void;
}

/** Reminders of one recipient on one channel. */
const MOST = 50;
/** From a prompt that was due to one that it sets, ms: else a chain of them costs a text each minute, for ever. */
const SOONEST = 3_600_000;

/**
 * The agents' `remind`: sets, lists and cancels reminders for the person the turn answers, and nobody else's. They
 * are kept on disk; `reminders.ts` delivers them.
 */
export function createRemind(seams: RemindSeams): Tool {
  const { store, clock } = seams;
  return {
    name: "remind",
    description:
      "Sets a reminder for the person you talk to, once or repeating; lists or cancels their reminders. Times are " +
      "local to timezone. It comes as a text message in this conversation even after a restart.",
    inputSchema: INPUT,
    async call(input, context) {
      const { channel, from: address, agent } = context;
      switch (input.action ?? "set") {
        case "list": {
          const all = await store.reminders(channel, address);
          return { kind: "done", text: JSON.stringify({ reminders: all.map(shown) }) };
        }
        case "cancel": {
          const id = typeof input.id === "string" ? input.id : "";
          if (!(await store.cancelReminder(id, channel, address)))
            throw new ToolFailure("There is no such reminder; action list shows their ids.");
          return { kind: "done", text: JSON.stringify({ status: "cancelled", id }) };
        }
        case "set": {
          const now = clock.now();
          const request = parseReminder(input, seams.settings().timezone, now);
          if (context.task === "reminder" && request.kind === "prompt" && request.nextAt < now + SOONEST)
            throw new ToolFailure(
              "A reminder began this turn, and its prompt may set another prompt in an hour at the earliest; a text may come sooner.",
            );
          const id = seams.newId("rem");
          const reminder: Reminder = { ...request, id, channel, address, agent, createdAt: now };
          if (!(await store.addReminder(reminder, MOST)))
            throw new ToolFailure(`This person has ${MOST} reminders already; cancel some first.`);
          seams.onSet();
          return { kind: "done", text: JSON.stringify({ status: "set", ...shown(reminder) }) };
        }
        default:
          throw new ToolFailure("action is set, list or cancel.");
      }
    },
  };
}

function shown({ id, kind, content, cron, nextAt, timezone }: Reminder) {
  return {
    id,
    [kind]: content,
    ...(cron === undefined ? {} : { repeats: cron }),
    next: localTimeText(nextAt, timezone),
  };
}

const INPUT = {
  type: "object",
  properties: {
    action: { type: "string", enum: ["set", "list", "cancel"], description: "set when not given." },
    text: { type: "string", description: "What the person is texted at that time, as it is." },
    prompt: {
      type: "string",
      description:
        "Instead of text: what you do at that time, with your tools, before you write to the person.",
    },
    at: {
      type: "string",
      description:
        'Once: local date and time "2026-03-29T07:30", or "07:30" for the next time it is that late.',
    },
    in_minutes: { type: "number", description: "Once, so many minutes from now." },
    repeat: {
      type: "string",
      enum: ["daily", "weekdays", "weekly"],
      description: "Again and again, at time.",
    },
    time: { type: "string", description: 'With repeat: "07:30".' },
    weekday: { type: "string", description: "With repeat weekly: mon, tue, wed, thu, fri, sat or sun." },
    cron: {
      type: "string",
      description: 'Instead of repeat: five fields "minute hour day month weekday", such as "0 9 1 * *".',
    },
    timezone: { type: "string", description: "IANA name; yours when not given." },
    id: { type: "string", description: "With cancel: which one." },
  },
  additionalProperties: false,
} as const;
