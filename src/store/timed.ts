import { and, asc, gt, lte, sql } from "drizzle-orm";
import type {
  Reminder,
  ReminderStore,
  ScheduleRun,
  ScheduleStore,
  TimedDelivery,
  TimedOutcome,
} from "../timed.ts";
import { earliest, type Outbox } from "./outbox.ts";
import { reminders, scheduleRuns } from "./schema.ts";
import type { Senders } from "./senders.ts";
import { type Db, is, param, type Read, setTo, upTo, type Write } from "./statement.ts";
import type { Turns } from "./turns.ts";

type ReminderRow = typeof reminders.$inferSelect;
type Port = ReminderStore & ScheduleStore;
type Now<Name extends keyof Port> = (...args: Parameters<Port[Name]>) => Awaited<ReturnType<Port[Name]>>;

/** Reminders and the next times of schedules. What changes anything runs inside a write. */
export type Timed = { readonly [Name in keyof Port]: Now<Name> };

export interface TimedParts {
  readonly turns: Turns;
  readonly outbox: Outbox;
  readonly senders: Senders;
}

export function createTimed(db: Db, parts: TimedParts): Timed {
  const { turns, outbox, senders } = parts;
  const ofRecipient = and(is(reminders.channel, "channel"), is(reminders.address, "address"));

  const insert: Write<Omit<ReminderRow, "seq">> = db
    .insert(reminders)
    .values({
      id: param("id"),
      channel: param("channel"),
      address: param("address"),
      agent: param("agent"),
      kind: param("kind"),
      content: param("content"),
      timezone: param("timezone"),
      cron: param("cron"),
      nextAt: param("nextAt"),
      createdAt: param("createdAt"),
    })
    .prepare();
  const byId: Read<{ id: string }, ReminderRow> = db
    .select()
    .from(reminders)
    .where(is(reminders.id, "id"))
    .prepare();
  const list: Read<{ channel: string; address: string }, ReminderRow> = db
    .select()
    .from(reminders)
    .where(ofRecipient)
    .orderBy(asc(reminders.nextAt), asc(reminders.seq))
    .prepare();
  const due: Read<{ channel: string; now: number; limit: number }, ReminderRow> = db
    .select()
    .from(reminders)
    .where(and(is(reminders.channel, "channel"), lte(reminders.nextAt, param("now"))))
    .orderBy(upTo("limit", asc(reminders.nextAt)))
    .prepare();
  const firstDue: Read<{ channel: string }, { nextAt: number }> = db
    .select({ nextAt: reminders.nextAt })
    .from(reminders)
    .where(is(reminders.channel, "channel"))
    .orderBy(asc(reminders.nextAt))
    .prepare();
  const advance: Write<{ seq: number; nextAt: number }> = db
    .update(reminders)
    .set({ nextAt: setTo("nextAt") })
    .where(is(reminders.seq, "seq"))
    .prepare();
  const remove: Write<{ seq: number }> = db.delete(reminders).where(is(reminders.seq, "seq")).prepare();

  const allRuns: Read<Record<string, never>, ScheduleRun> = db
    .select()
    .from(scheduleRuns)
    .where(gt(scheduleRuns.nextAt, sql`-1`))
    .prepare();
  const runOf: Read<{ name: string }, ScheduleRun> = db
    .select()
    .from(scheduleRuns)
    .where(is(scheduleRuns.name, "name"))
    .prepare();
  const saveRun: Write<{ name: string; rule: string; nextAt: number }> = db
    .insert(scheduleRuns)
    .values({ name: param("name"), rule: param("rule"), nextAt: param("nextAt") })
    .onConflictDoUpdate({
      target: scheduleRuns.name,
      set: { rule: sql`excluded.rule`, nextAt: sql`excluded.next_at` },
    })
    .prepare();
  const removeRun: Write<{ name: string }> = db
    .delete(scheduleRuns)
    .where(is(scheduleRuns.name, "name"))
    .prepare();
  const dueRuns: Read<{ now: number }, ScheduleRun> = db
    .select()
    .from(scheduleRuns)
    .where(and(gt(scheduleRuns.nextAt, sql`0`), lte(scheduleRuns.nextAt, param("now"))))
    .orderBy(asc(scheduleRuns.nextAt))
    .prepare();
  const firstRun: Read<Record<string, never>, { nextAt: number }> = db
    .select({ nextAt: scheduleRuns.nextAt })
    .from(scheduleRuns)
    .where(gt(scheduleRuns.nextAt, sql`0`))
    .orderBy(asc(scheduleRuns.nextAt))
    .prepare();

  function deliver(delivery: TimedDelivery): TimedOutcome {
    if (delivery.kind === "texts") {
      const { channel, address } = delivery.conversation;
      const sent = delivery.outbound.some(({ forbidden }) => forbidden === undefined);
      // Whoever answers a reminder is understood: it stands in the conversation. What is not sent does not.
      const conversationId =
        sent && !senders.optedOut(channel, address)
          ? turns.enterConversation(delivery.conversation)
          : undefined;
      for (const text of delivery.outbound)
        outbox.put(conversationId === undefined ? text : { ...text, conversationId });
      return conversationId === undefined ? "suppressed" : "texts";
    }
    const { channel, address } = delivery.turn;
    if (senders.optedOut(channel, address)) {
      outbox.put(delivery.standIn);
      return "suppressed";
    }
    turns.queueTask(delivery.turn);
    return "turn";
  }

  return {
    addReminder(reminder, most) {
      const { channel, address } = reminder;
      if (list.all({ channel, address }).length >= most) return false;
      insert.run({ ...reminder, cron: reminder.cron ?? null });
      return true;
    },
    reminders: (channel, address) => list.all({ channel, address }).map(reminderOf),
    cancelReminder(id, channel, address) {
      const row = byId.get({ id });
      if (row === undefined || row.channel !== channel || row.address !== address) return false;
      remove.run({ seq: row.seq });
      return true;
    },
    dueReminders: (channels, now, limit) =>
      channels
        .flatMap((channel) => due.all({ channel, now, limit }))
        .sort((a, b) => a.nextAt - b.nextAt || a.seq - b.seq)
        .slice(0, limit)
        .map(reminderOf),
    nextReminderDue: (channels) => earliest(channels.map((channel) => firstDue.get({ channel })?.nextAt)),
    fireReminder({ id, dueAt, nextAt, delivery }) {
      const row = byId.get({ id });
      if (row === undefined || row.nextAt !== dueAt) return "stale";
      if (nextAt === undefined) remove.run({ seq: row.seq });
      else advance.run({ seq: row.seq, nextAt });
      return deliver(delivery);
    },
    followSchedules(runs) {
      const known = new Map(allRuns.all({}).map((run) => [run.name, run]));
      for (const run of runs) {
        if (known.get(run.name)?.rule !== run.rule) saveRun.run({ ...run });
        known.delete(run.name);
      }
      for (const name of known.keys()) removeRun.run({ name });
    },
    dueSchedules: (now) => dueRuns.all({ now }),
    nextScheduleDue: () => firstRun.get({})?.nextAt,
    fireSchedule({ name, dueAt, nextAt, delivery }) {
      const run = runOf.get({ name });
      if (run === undefined || run.nextAt !== dueAt) return "stale";
      // A row stays even when it is due no more, so that its schedule is not taken for a new one.
      saveRun.run({ ...run, nextAt: nextAt ?? NEVER });
      return delivery === undefined ? "skipped" : deliver(delivery);
    },
  };
}

const NEVER = 0;

function reminderOf({ seq: _, cron, ...row }: ReminderRow): Reminder {
  return { ...row, ...(cron === null ? {} : { cron }) };
}
