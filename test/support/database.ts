import { join } from "node:path";
import Database from "better-sqlite3";

/*
 * The database of a running service from outside, through the same library: two copies of SQLite in one process
 * would not see each other's locks.
 */

interface InFolder {
  readonly folder: string;
}

/** Keeps the service from writing until the answered function is called, as a broken disk would. */
export function lockDatabase(service: InFolder): () => void {
  const database = open(service);
  database.exec("BEGIN IMMEDIATE");
  return () => {
    database.exec("ROLLBACK");
    database.close();
  };
}

/** Rows as they are on disk. */
export function rowsOnDisk(
  service: InFolder,
  sql: string,
  ...values: readonly string[]
): Record<string, unknown>[] {
  const database = open(service);
  try {
    return database.prepare<string[], Record<string, unknown>>(sql).all(...values);
  } finally {
    database.close();
  }
}

function open({ folder }: InFolder): Database.Database {
  return new Database(join(folder, "data", "sms-agent.db"), { timeout: 1_000 });
}
