import { and, asc, sql } from "drizzle-orm";
import type { SplitTurn } from "../store.ts";
import { MAX_TURN_TEXTS } from "../turn.ts";
import type { Messages } from "./messages.ts";
import { turns } from "./schema.ts";
import { type Db, is, param, type Read, setTo, type Write } from "./statement.ts";
import type { TurnInsert, TurnRow } from "./turn-statements.ts";

/** Gives texts of a running turn a turn each, to be run as soon as that one has ended. Runs inside a write. */
export type TakeApart = (row: TurnRow, split: Pick<SplitTurn, "parts" | "crashes" | "at">) => void;

/** A turn of one text that has failed, of those that a turn was split into. */
export function prepareFailedPart(
  db: Db,
): Read<{ conversationId: string; splitFrom: string }, { seq: number }> {
  return db
    .select({ seq: turns.seq })
    .from(turns)
    .where(
      and(
        is(turns.conversationId, "conversationId"),
        sql`${turns.state} = 'failed' and +${turns.splitFrom} = +${param("splitFrom")}`,
      ),
    )
    .prepare();
}

export function createTakeApart(db: Db, insert: TurnInsert, messages: Messages): TakeApart {
  /** Turns that have not begun and wait behind one; nothing refers to them by `seq` yet. */
  const behind: Read<{ key: string; channel: string; seq: number }, { seq: number }> = db
    .select({ seq: turns.seq })
    .from(turns)
    .where(
      and(
        is(turns.key, "key"),
        is(turns.channel, "channel"),
        sql`${turns.endedAt} is null and +${turns.state} = 'queued' and ${turns.attempt} = 1`,
        sql`${turns.seq} > ${param("seq")}`,
      ),
    )
    .orderBy(asc(turns.seq))
    .prepare();
  const putLast: Write<{ seq: number }> = db
    .update(turns)
    .set({ seq: sql`(select max(last.seq) + 1 from ${turns} as last)` })
    .where(is(turns.seq, "seq"))
    .prepare();
  const mark: Write<{ id: string; crashes: number; splitFrom: string }> = db
    .update(turns)
    .set({ crashes: setTo("crashes"), splitFrom: setTo("splitFrom") })
    .where(is(turns.id, "id"))
    .prepare();

  return (row, { parts, crashes, at }) => {
    const { key, channel, address, agent, conversationId, held } = row;
    const later = behind.all({ key, channel, seq: row.seq });
    for (const { messageId, turnId: id } of parts) {
      const text = messages.byId(messageId);
      if (text?.turnId !== row.id) continue;
      insert.run({
        id,
        key,
        channel,
        address,
        agent,
        conversationId,
        texts: MAX_TURN_TEXTS, // none joins it
        held,
        createdAt: at,
        notBefore: at,
        dueAt: at,
        task: null,
      });
      mark.run({ id, crashes, splitFrom: row.id });
      messages.setTurn(text.seq, id, conversationId);
    }
    // The order of a conversation's turns is that of their rows.
    for (const { seq } of later) putLast.run({ seq });
  };
}
