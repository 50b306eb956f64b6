import { and, asc, desc, lt, lte, sql } from "drizzle-orm";
import type { CreateWatchOutcome, WatchIdempotency } from "../signal-store.ts";
import type { Page } from "../store.ts";
import type { Watch, WatchState } from "../watch.ts";
import { pageSize, readCursor, writeCursor } from "./cursor.ts";
import { turns, watches, watchKeys } from "./schema.ts";
import { type Db, is, param, type Read, setTo, upTo, type Write } from "./statement.ts";

export type WatchRow = typeof watches.$inferSelect;

/** The rows of watches; what they caught is in `watch-signals.ts`. */
export interface Watches {
  insert(watch: Watch): void;
  byId(id: string): WatchRow | undefined;
  pending(): readonly WatchRow[];
  unanswered(): readonly WatchRow[];
  /** Pending ones whose time is over. */
  overdue(now: number): readonly WatchRow[];
  end(seq: number, state: WatchState, at: number): void;
  page(query: { state?: WatchState; limit: number; cursor?: string }): Page<WatchRow>;
  /** The watch that a key stands for at `now`. */
  keyed(key: string, now: number): { readonly fingerprint: string; readonly watch: number } | undefined;
  remember(idempotency: WatchIdempotency, watch: number): void;
  bySeq(seq: number): WatchRow | undefined;
}

export function createWatches(db: Db): Watches {
  const insert: Write<Omit<WatchRow, "seq">> = db
    .insert(watches)
    .values({
      id: param("id"),
      state: param("state"),
      filters: param("filters"),
      mode: param("mode"),
      consume: param("consume"),
      backfill: param("backfill"),
      owner: param("owner"),
      turnId: param("turnId"),
      createdAt: param("createdAt"),
      expiresAt: param("expiresAt"),
      endedAt: param("endedAt"),
    })
    .prepare();
  const byId: Read<{ id: string }, WatchRow> = db
    .select()
    .from(watches)
    .where(is(watches.id, "id"))
    .prepare();
  const bySeq: Read<{ seq: number }, WatchRow> = db
    .select()
    .from(watches)
    .where(is(watches.seq, "seq"))
    .prepare();
  const pending: Read<Record<string, never>, WatchRow> = db
    .select()
    .from(watches)
    .where(sql`${watches.state} = 'pending'`)
    .orderBy(asc(watches.seq))
    .prepare();
  const overdue: Read<{ now: number }, WatchRow> = db
    .select()
    .from(watches)
    .where(and(sql`${watches.state} = 'pending'`, lte(watches.expiresAt, param("now"))))
    .prepare();
  const unanswered: Read<Record<string, never>, { watch: WatchRow }> = db
    .select({ watch: watches })
    .from(turns)
    .innerJoin(watches, sql`${watches.turnId} = ${turns.id}`)
    .where(sql`${turns.state} = 'parked' and ${watches.state} <> 'pending'`)
    .prepare();
  const end: Write<{ seq: number; state: string; at: number }> = db
    .update(watches)
    .set({ state: setTo("state"), endedAt: setTo("at") })
    .where(is(watches.seq, "seq"))
    .prepare();
  const all: Read<{ before: number; limit: number }, WatchRow> = db
    .select()
    .from(watches)
    .where(lt(watches.seq, param("before")))
    .orderBy(upTo("limit", desc(watches.seq)))
    .prepare();
  const ofState: Read<{ state: string; before: number; limit: number }, WatchRow> = db
    .select()
    .from(watches)
    .where(and(is(watches.state, "state"), lt(watches.seq, param("before"))))
    .orderBy(upTo("limit", desc(watches.seq)))
    .prepare();
  const keyed: Read<{ key: string; now: number }, { fingerprint: string; watch: number }> = db
    .select({ fingerprint: watchKeys.fingerprint, watch: watchKeys.watch })
    .from(watchKeys)
    .where(and(is(watchKeys.key, "key"), sql`${watchKeys.until} > ${sql.placeholder("now")}`))
    .prepare();
  const remember: Write<{ key: string; fingerprint: string; watch: number; until: number }> = db
    .insert(watchKeys)
    .values({
      key: param("key"),
      fingerprint: param("fingerprint"),
      watch: param("watch"),
      until: param("until"),
    })
    .onConflictDoUpdate({
      target: watchKeys.key,
      set: {
        fingerprint: sql`excluded.fingerprint`,
        watch: sql`excluded.watch`,
        until: sql`excluded.until_at`,
      },
    })
    .prepare();

  return {
    insert(watch) {
      const { id, state, filters, mode, consume, backfill, owner, createdAt, expiresAt } = watch;
      const turnId = owner.kind === "agent" ? owner.turnId : null;
      insert.run({
        id,
        state,
        filters,
        mode,
        consume,
        backfill,
        owner,
        turnId,
        createdAt,
        expiresAt,
        endedAt: null,
      });
    },
    byId: (id) => byId.get({ id }),
    bySeq: (seq) => bySeq.get({ seq }),
    pending: () => pending.all({}),
    unanswered: () => unanswered.all({}).map(({ watch }) => watch),
    overdue: (now) => overdue.all({ now }),
    end: (seq, state, at) => void end.run({ seq, state, at }),
    page({ state, limit, cursor }) {
      const size = pageSize(limit);
      const [before = Number.MAX_SAFE_INTEGER] = cursor === undefined ? [] : readCursor("w", cursor, 1);
      const rows =
        state === undefined
          ? all.all({ before, limit: size + 1 })
          : ofState.all({ state, before, limit: size + 1 });
      const items = rows.slice(0, size);
      const last = items.at(-1);
      return rows.length <= size || last === undefined
        ? { items }
        : { items, nextCursor: writeCursor("w", [last.seq]) };
    },
    keyed: (key, now) => keyed.get({ key, now }),
    remember: ({ key, fingerprint, until }, watch) => void remember.run({ key, fingerprint, watch, until }),
  };
}

/** Makes a watch, or answers the one its key stands for. Runs inside a write. */
export function createWatch(
  watches: Watches,
  assemble: (row: WatchRow) => Watch,
  watch: Watch,
  idempotency: WatchIdempotency | undefined,
): CreateWatchOutcome {
  const known = idempotency && watches.keyed(idempotency.key, watch.createdAt);
  const first = known === undefined ? undefined : watches.bySeq(known.watch);
  if (known !== undefined && first !== undefined) {
    if (known.fingerprint !== idempotency?.fingerprint) return { kind: "key_conflict" };
    return { kind: "replayed", watch: assemble(first) };
  }
  if (idempotency?.onlyKnown) return { kind: "no_room" };
  watches.insert(watch);
  const row = watches.byId(watch.id);
  if (row === undefined) throw new Error(`the watch ${watch.id} is not there`);
  if (idempotency !== undefined) watches.remember(idempotency, row.seq);
  return { kind: "created", watch: assemble(row) };
}
