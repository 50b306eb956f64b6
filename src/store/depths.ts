import { sql } from "drizzle-orm";
import type { Depths } from "../depths.ts";
import { judgements, outbox, turns, watches } from "./schema.ts";
import type { Db, Read } from "./statement.ts";

/** Counts what is unfinished. Each condition is word for word that of a partial index, which alone is read. */
export function createDepths(db: Db): () => Depths {
  const count = sql<number>`count(*)`;
  type Count = Read<Record<string, never>, { count: number }>;
  const active: Count = db.select({ count }).from(turns).where(sql`${turns.endedAt} is null`).prepare();
  const running: Count = db.select({ count }).from(turns).where(sql`${turns.state} = 'running'`).prepare();
  const parked: Count = db.select({ count }).from(turns).where(sql`${turns.state} = 'parked'`).prepare();
  const pending: Read<Record<string, never>, { count: number; oldest: number | null }> = db
    .select({ count, oldest: sql<number | null>`min(${outbox.createdAt})` })
    .from(outbox)
    .where(sql`${outbox.state} = 'pending'`)
    .prepare();
  const underWay: Read<Record<string, never>, { sending: number | null; all: number }> = db
    .select({ sending: sql<number | null>`sum(${outbox.state} = 'sending')`, all: count })
    .from(outbox)
    .where(sql`${outbox.until} is not null`)
    .prepare();
  const waiting: Count = db
    .select({ count })
    .from(watches)
    .where(sql`${watches.state} = 'pending'`)
    .prepare();
  const judged: Count = db.select({ count }).from(judgements).prepare();
  const size: Read<Record<string, never>, { bytes: number }> = db
    .select({ bytes: sql<number>`page_count * page_size` })
    .from(sql`pragma_page_count(), pragma_page_size()`)
    .prepare();

  const one = (query: Count) => query.get({})?.count ?? 0;
  return () => {
    const { sending, all } = underWay.get({}) ?? { sending: 0, all: 0 };
    const first = pending.get({});
    const [run, park] = [one(running), one(parked)];
    return {
      turns: { queued: one(active) - run - park, running: run, parked: park },
      outbox: {
        pending: first?.count ?? 0,
        sending: sending ?? 0,
        unknown: all - (sending ?? 0),
      },
      ...(first === undefined || first.oldest === null ? {} : { oldestPending: first.oldest }),
      watches: one(waiting),
      judgements: one(judged),
      bytes: size.get({})?.bytes ?? 0,
    };
  };
}
