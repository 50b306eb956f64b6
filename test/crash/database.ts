import { Database } from "bun:sqlite";
import type { InboundRow, OutboundRow } from "./accounts.ts";

/** What the service has written down, read beside it or after it. */
export interface Written {
  readonly inbound: readonly InboundRow[];
  readonly outbound: readonly OutboundRow[];
}

/** What is still to be done. */
export interface Unfinished {
  readonly inbound: number;
  readonly turns: number;
  readonly outbox: number;
  /** Of those, texts that wait for nothing unclear. */
  readonly clear: number;
  readonly reminders: number;
  /** Events that the webhook consumer was not told of yet. */
  readonly events: number;
}

function reading<T>(file: string, read: (database: Database) => T): T {
  const database = new Database(file, { readonly: true });
  try {
    database.run("PRAGMA busy_timeout = 5000");
    return read(database);
  } finally {
    database.close();
  }
}

export function readWritten(file: string): Written {
  return reading(file, (database) => ({
    inbound: database
      .query<InboundRow, []>(
        `SELECT seq, id, provider_sid AS sid, channel, from_address AS phone, state, route, late,
           turn_id AS turnId, error FROM messages WHERE direction = 'inbound' ORDER BY seq`,
      )
      .all(),
    outbound: database
      .query<OutboundRow, []>(
        `SELECT seq, id, channel, to_address AS phone, coalesce(text, '') AS text, state, error,
           (SELECT max(started_at) FROM attempts WHERE attempts.message = messages.seq) AS lastAttemptAt,
           (SELECT count(*) FROM attempts WHERE attempts.message = messages.seq) AS attempts
         FROM messages WHERE direction = 'outbound' ORDER BY seq`,
      )
      .all(),
  }));
}

export function readUnfinished(file: string): Unfinished {
  return reading(file, (database) => {
    const count = (sql: string) => database.query<{ n: number }, []>(sql).get()?.n ?? 0;
    return {
      inbound: count("SELECT count(*) AS n FROM messages WHERE direction = 'inbound'"),
      turns: count("SELECT count(*) AS n FROM turns WHERE ended_at IS NULL"),
      reminders: count("SELECT count(*) AS n FROM reminders"),
      outbox: count("SELECT count(*) AS n FROM outbox"),
      clear: count(
        `SELECT count(*) AS n FROM outbox WHERE NOT EXISTS (SELECT 1 FROM outbox AS before
           WHERE before.channel = outbox.channel AND before.recipient = outbox.recipient
             AND before.state = 'unknown')`,
      ),
      events: count(
        "SELECT count(*) AS n FROM events, webhooks WHERE events.seq > position AND type = 'message.received'",
      ),
    };
  });
}

/** "ok", or what SQLite finds wrong with the file. */
export function integrityOf(file: string): string {
  return reading(file, (database) => {
    const rows = database.query<{ integrity_check: string }, []>("PRAGMA integrity_check").all();
    const dangling = database.query("PRAGMA foreign_key_check").all().length;
    const words = rows.map((row) => row.integrity_check).join("; ");
    return dangling === 0 ? words : `${words}; ${dangling} rows point at nothing`;
  });
}
