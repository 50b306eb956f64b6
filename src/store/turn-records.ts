import { asc, desc } from "drizzle-orm";
import { callsOf, type TurnRecord } from "../turn-record.ts";
import { turnJournal, turns } from "./schema.ts";
import { type Db, is, type Read, upTo } from "./statement.ts";

type TurnRow = typeof turns.$inferSelect;

/** Turns as the operator sees them. */
export interface TurnRecords {
  one(id: string): TurnRecord | undefined;
  /** The newest ones of a conversation, newest first. */
  ofConversation(conversationId: string, limit: number): readonly TurnRecord[];
}

export function createTurnRecords(db: Db): TurnRecords {
  const byId: Read<{ id: string }, TurnRow> = db.select().from(turns).where(is(turns.id, "id")).prepare();
  const newest: Read<{ conversationId: string; limit: number }, TurnRow> = db
    .select()
    .from(turns)
    .where(is(turns.conversationId, "conversationId"))
    .orderBy(upTo("limit", desc(turns.seq)))
    .prepare();
  const journal: Read<{ turn: number }, Pick<typeof turnJournal.$inferSelect, "entry">> = db
    .select({ entry: turnJournal.entry })
    .from(turnJournal)
    .where(is(turnJournal.turn, "turn"))
    .orderBy(asc(turnJournal.seq))
    .prepare();

  function recordOf(row: TurnRow): TurnRecord {
    const { inputTokens, outputTokens } = row;
    return {
      id: row.id,
      channel: row.channel,
      agent: row.agent,
      state: row.state,
      attempt: row.attempt,
      ...(row.task === null ? {} : { task: row.task }),
      createdAt: row.createdAt,
      ...(row.endedAt === null ? {} : { endedAt: row.endedAt }),
      ...(row.error === null ? {} : { error: row.error }),
      ...(inputTokens === null ? {} : { usage: { inputTokens, outputTokens: outputTokens ?? 0 } }),
      calls: callsOf(journal.all({ turn: row.seq }).map(({ entry }) => entry)),
    };
  }

  return {
    one(id) {
      const row = byId.get({ id });
      return row === undefined ? undefined : recordOf(row);
    },
    ofConversation: (conversationId, limit) => newest.all({ conversationId, limit }).map(recordOf),
  };
}
