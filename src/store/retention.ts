import { and, lt, type SQL, sql } from "drizzle-orm";
import type { PurgeBefore } from "../retention.ts";
import { conversations, isDenied, messages, outbox, turns, watches } from "./schema.ts";
import { type Db, is, param, type Read, upTo, type Write } from "./statement.ts";

/** Rows of each kind that one step looks at. */
const STEP = 200;

/**
 * A step stops when it has taken this long, ms of the machine's own time: a row costs what its indexes cost, and every
 * text that comes in waits for the step.
 */
const BUDGET = 4;

interface Found {
  readonly seq: number;
  /** 1 for what is too old and belongs to nothing any more. */
  readonly gone: number;
}

export interface RetentionParts {
  /** Told when texts were erased, so that their copies in the log can go too. */
  readonly onErased: () => void;
  /** Milliseconds of a clock that only goes forward. */
  readonly time: () => number;
}

type Row = Write<{ seq: number }>;

/**
 * One step of removing what is too old; answers whether there may be more. Runs inside a write.
 *
 * The oldest rows are the first of each table, so they are found without an index of their own. What is still
 * worked on stays: a text in the outbox, and those of a turn that has not ended.
 */
export function createRetention(db: Db, parts: RetentionParts): (before: PurgeBefore) => boolean {
  const oldest: Read<
    { position: number; limit: number; before: number },
    { seq: number; old: number; busy: number }
  > = db
    .select({
      seq: messages.seq,
      old: flag(sql`${messages.createdAt} < ${param("before")}`),
      busy: busy(),
    })
    .from(messages)
    .where(sql`${messages.seq} > ${param("position")}`)
    .orderBy(upTo("limit", sql`${messages.seq} asc`))
    .prepare();
  const denied: Read<{ before: number; limit: number }, { seq: number }> = db
    .select({ seq: messages.seq })
    .from(messages)
    .where(and(isDenied(messages), lt(messages.createdAt, param("before"))))
    .orderBy(upTo("limit", sql`${messages.createdAt} asc`))
    .prepare();
  const removeMessage: Write<{ seq: number }> = db.delete(messages).where(is(messages.seq, "seq")).prepare();
  const oldTurns: Read<{ before: number; limit: number }, Found> = db
    .select({
      seq: turns.seq,
      gone: flag(sql`coalesce(${turns.endedAt} < ${param("before")}, 0)
        and not exists (select 1 from ${messages} where ${messages.turnId} = ${turns.id})`),
    })
    .from(turns)
    .where(sql`${turns.seq} > 0`)
    .orderBy(upTo("limit", sql`${turns.seq} asc`))
    .prepare();
  const removeTurn: Write<{ seq: number }> = db.delete(turns).where(is(turns.seq, "seq")).prepare();
  const oldConversations: Read<{ before: number; limit: number }, Found> = db
    .select({
      seq: conversations.seq,
      gone: flag(sql`${conversations.lastAt} < ${param("before")}
        and not exists (select 1 from ${messages} where ${messages.conversationId} = ${conversations.id})
        and not exists (select 1 from ${turns} where ${turns.conversationId} = ${conversations.id})`),
    })
    .from(conversations)
    .where(sql`${conversations.seq} > 0`)
    .orderBy(upTo("limit", sql`${conversations.seq} asc`))
    .prepare();
  const removeConversation: Write<{ seq: number }> = db
    .delete(conversations)
    .where(is(conversations.seq, "seq"))
    .prepare();
  const removeWatches: Write<{ before: number }> = db
    .delete(watches)
    .where(
      sql`${watches.seq} in (select ${watches.seq} from ${watches} where ${watches.endedAt} is not null
        and ${watches.endedAt} < ${param("before")} limit ${sql.raw(String(STEP))})`,
    )
    .prepare();

  /** Messages up to here are gone or busy; from the start again once the young ones are reached. */
  let position = 0;

  function purgeMessages(before: number, late: () => boolean): boolean {
    const rows = oldest.all({ position, limit: STEP, before });
    let gone = 0;
    let reached = position;
    for (const { seq, old, busy } of rows) {
      if (old === 0 || (gone > 0 && late())) break;
      if (busy === 0) {
        removeMessage.run({ seq });
        gone += 1;
      }
      reached = seq;
    }
    if (gone > 0) parts.onErased();
    const last = rows.at(-1);
    const cut = rows.some(({ seq, old }) => seq > reached && old === 1);
    const more = cut || (rows.length === STEP && last?.old === 1);
    position = more ? reached : 0;
    return more;
  }

  /** Removes rows until the time of the step is over; answers whether any are left. */
  function removeSome(rows: readonly { readonly seq: number }[], remove: Row, late: () => boolean): boolean {
    let removed = 0;
    for (const { seq } of rows) {
      if (removed > 0 && late()) break;
      remove.run({ seq });
      removed += 1;
    }
    return removed < rows.length || rows.length === STEP;
  }

  return (before) => {
    const until = parts.time() + BUDGET;
    const late = () => parts.time() >= until;
    let more = purgeMessages(before.messages, late);
    if (more && late()) return true;
    if (removeSome(denied.all({ before: before.denied, limit: STEP }), removeMessage, late)) more = true;
    // Turns before conversations: the ones belong to the others.
    for (const { find, remove } of [
      { find: oldTurns, remove: removeTurn },
      { find: oldConversations, remove: removeConversation },
    ]) {
      if (more && late()) return true;
      const gone = find.all({ before: before.messages, limit: STEP }).filter(({ gone }) => gone === 1);
      if (removeSome(gone, remove, late)) more = true;
    }
    if (more && late()) return true;
    if (removeWatches.run({ before: before.messages }).changes === STEP) more = true;
    return more;
  };
}

/** 1 for a text that is still to be sent, or that a turn still works on. */
function busy() {
  return flag(sql`exists (select 1 from ${outbox} where ${outbox.message} = ${messages.seq})
    or exists (select 1 from ${turns} where ${turns.id} = ${messages.turnId} and ${turns.endedAt} is null)`);
}

/** Drizzle leaves the table out of a column's name in what is selected, but not in what is nested. */
function flag(condition: SQL): SQL<number> {
  return sql<number>`${condition}`;
}
