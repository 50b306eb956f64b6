import { sql } from "drizzle-orm";
import type { EventType } from "../event.ts";
import type { LostEvents } from "../event-store.ts";
import { webhooks } from "./schema.ts";
import { type Db, encoded, is, param, type Read, setTo, type Write } from "./statement.ts";

/**
 * Counts what is removed from the log of events before a webhook was told of it, until somebody was told of that. All
 * but `of` run inside a write.
 */
export interface WebhookLosses {
  /** Called before these rows of the log are removed. */
  removing(rows: readonly { readonly seq: number; readonly type: EventType }[]): void;
  /** What the webhook has lost of these types. */
  of(key: string, types: readonly EventType[]): LostEvents;
  /** The operator knows of so many. */
  told(key: string, lost: LostEvents): void;
}

type LossRow = Pick<typeof webhooks.$inferSelect, "key" | "position" | "lost">;

export function createWebhookLosses(db: Db): WebhookLosses {
  const columns = { key: webhooks.key, position: webhooks.position, lost: webhooks.lost };
  const before: Read<{ seq: number }, LossRow> = db
    .select(columns)
    .from(webhooks)
    .where(sql`${webhooks.position} < ${param("seq")}`)
    .prepare();
  const byKey: Read<{ key: string }, LossRow> = db
    .select(columns)
    .from(webhooks)
    .where(is(webhooks.key, "key"))
    .prepare();
  const write: Write<{ key: string; lost: string | null }> = db
    .update(webhooks)
    .set({ lost: setTo("lost") })
    .where(is(webhooks.key, "key"))
    .prepare();

  function change(row: LossRow, by: LostEvents, sign: 1 | -1): void {
    const lost = new Map(Object.entries(row.lost ?? {}));
    for (const [type, events] of Object.entries(by)) lost.set(type, (lost.get(type) ?? 0) + sign * events);
    const left = [...lost].filter(([, events]) => events > 0);
    write.run({ key: row.key, lost: left.length === 0 ? null : encoded(Object.fromEntries(left)) });
  }

  return {
    removing(rows) {
      const last = rows.at(-1)?.seq;
      if (last === undefined) return;
      for (const row of before.all({ seq: last })) {
        const lost: Partial<Record<EventType, number>> = {};
        for (const { seq, type } of rows) if (seq > row.position) lost[type] = (lost[type] ?? 0) + 1;
        change(row, lost, 1);
      }
    },
    of(key, types) {
      const lost = byKey.get({ key })?.lost ?? {};
      return Object.fromEntries(
        types.flatMap((type) => (lost[type] === undefined ? [] : [[type, lost[type]]])),
      );
    },
    told(key, lost) {
      const row = byKey.get({ key });
      if (row !== undefined) change(row, lost, -1);
    },
  };
}
