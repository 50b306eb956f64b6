import { sql } from "drizzle-orm";
import type {
  BacklogOf,
  ClaimedWebhook,
  EventPage,
  LagOf,
  WantedEvents,
  WebhookClaim,
  WebhookSettle,
} from "../event-store.ts";
import type { Events } from "./events.ts";
import { earliest } from "./outbox.ts";
import { webhooks } from "./schema.ts";
import { type Db, is, param, type Read, setTo, type Write } from "./statement.ts";
import type { WebhookLosses } from "./webhook-losses.ts";

type WebhookRow = typeof webhooks.$inferSelect;

/**
 * The queue of what webhooks are to be told: the log of events, and for each webhook how far it has come. A claim is
 * of the webhook, so that its events stay in order.
 */
export interface Webhooks {
  follow(keys: readonly string[], now: number): void;
  /** Ends every lease: whoever held it is gone. */
  release(): void;
  claim(claim: WebhookClaim, page: Page): readonly ClaimedWebhook[];
  nextDue(wanted: readonly WantedEvents[]): number | undefined;
  settle(settle: WebhookSettle): number;
  backlog(wanted: readonly WantedEvents[], limit: number): readonly BacklogOf[];
  lags(wanted: readonly WantedEvents[]): readonly LagOf[];
}

type Page = (after: number, types: WantedEvents["types"], limit: number) => EventPage;

export function createWebhooks(db: Db, events: Events, losses: Pick<WebhookLosses, "of">): Webhooks {
  const insert: Write<{ key: string; position: number; now: number }> = db
    .insert(webhooks)
    .values({
      key: param("key"),
      position: param("position"),
      failures: 0,
      paused: false,
      dueAt: param("now"),
    })
    .onConflictDoNothing()
    .prepare();
  const forget: Write<{ keys: string }> = db
    .delete(webhooks)
    .where(sql`${webhooks.key} not in (select value from json_each(${param("keys")}))`)
    .prepare();
  const release: Write<Record<string, never>> = db.update(webhooks).set({ leaseUntil: null }).prepare();
  const byKey: Read<{ key: string }, WebhookRow> = db
    .select()
    .from(webhooks)
    .where(is(webhooks.key, "key"))
    .prepare();
  const lease: Write<{ key: string; until: number }> = db
    .update(webhooks)
    .set({ leaseUntil: setTo("until") })
    .where(is(webhooks.key, "key"))
    .prepare();
  const settle: Write<Omit<WebhookRow, "leaseUntil" | "paused" | "lost"> & { paused: 0 | 1 }> = db
    .update(webhooks)
    .set({
      position: setTo("position"),
      failures: setTo("failures"),
      failingSince: setTo("failingSince"),
      paused: setTo("paused"),
      dueAt: setTo("dueAt"),
      leaseUntil: null,
    })
    .where(is(webhooks.key, "key"))
    .prepare();

  /** What was looked through in vain: the log behind a webhook that asks for little need not be read again. */
  const looked = new Map<string, { readonly types: WantedEvents["types"]; readonly position: number }>();

  /** From where on there may be something for the webhook. */
  function start(row: WebhookRow, types: WantedEvents["types"]): number {
    const known = looked.get(row.key);
    return known?.types === types ? Math.max(known.position, row.position) : row.position;
  }

  /** The oldest event that the webhook wants and was not told. */
  function oldest(row: WebhookRow, types: WantedEvents["types"]): ReturnType<Events["first"]> {
    const after = start(row, types);
    const position = events.last();
    if (position <= after) return undefined;
    const found = events.first(after, types);
    if (found === undefined) looked.set(row.key, { types, position });
    return found;
  }

  function waits(row: WebhookRow, types: WantedEvents["types"]): boolean {
    return oldest(row, types) !== undefined;
  }

  return {
    follow(keys, now) {
      forget.run({ keys: JSON.stringify(keys) });
      for (const key of keys) insert.run({ key, position: events.last(), now });
    },
    release: () => void release.run({}),
    claim(claim, page) {
      const claimed: ClaimedWebhook[] = [];
      for (const { key, types } of claim.wanted) {
        if (claimed.length === claim.limit) break;
        const row = byKey.get({ key });
        if (row === undefined || row.dueAt > claim.now || (row.leaseUntil ?? 0) > claim.now) continue;
        if (!waits(row, types)) continue;
        lease.run({ key, until: claim.now + claim.lease });
        claimed.push({ key, progress: progressOf(row), page: page(start(row, types), types, claim.batch) });
      }
      return claimed;
    },
    nextDue(wanted) {
      return earliest(
        wanted.map(({ key, types }) => {
          const row = byKey.get({ key });
          if (row === undefined || !waits(row, types)) return undefined;
          return Math.max(row.dueAt, row.leaseUntil ?? 0);
        }),
      );
    },
    backlog(wanted, limit) {
      return wanted.flatMap(({ key, types }) => {
        const row = byKey.get({ key });
        if (row === undefined) return [];
        return [{ key, events: events.count(start(row, types), types, limit), paused: row.paused }];
      });
    },
    lags(wanted) {
      return wanted.flatMap(({ key, types }) => {
        const row = byKey.get({ key });
        if (row === undefined) return [];
        const first = oldest(row, types);
        const behind = first === undefined ? 0 : events.last() - first.position + 1;
        const oldestAt = first === undefined ? {} : { oldestAt: first.at };
        return [{ key, behind, ...oldestAt, lost: losses.of(key, types) }];
      });
    },
    settle({ key, position, failures, failingSince, paused, dueAt, giveUp }) {
      const given = giveUp === undefined ? undefined : events.before(position, giveUp.before, giveUp.types);
      settle.run({
        key,
        position: given?.position ?? position,
        failures,
        failingSince: failingSince ?? null,
        paused: paused ? 1 : 0,
        dueAt,
      });
      return given?.count ?? 0;
    },
  };
}

function progressOf({ position, failures, failingSince, paused }: WebhookRow): ClaimedWebhook["progress"] {
  return { position, failures, ...(failingSince === null ? {} : { failingSince }), paused };
}
