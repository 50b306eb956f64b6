import { createHash } from "node:crypto";
import type Database from "better-sqlite3";
import { AppError } from "../errors.ts";
import type { Migration } from "./migrations.ts";

interface Applied {
  readonly position: number;
  readonly name: string;
  readonly hash: string;
}

/**
 * Brings the database up to the last of `migrations` and answers the names of those it applied. Each is one
 * transaction together with the note that it was applied, so none can be half there. `name`: of the file, for people.
 *
 * Throws AppError `conflict` and changes nothing when the file belongs to another program, comes from a newer
 * version, or was made by migrations other than these.
 */
export function migrate(
  client: Database.Database,
  migrations: readonly Migration[],
  now: number,
  name = client.name,
): readonly string[] {
  const applied = appliedIn(client);
  for (const [position, found] of applied.entries()) {
    const known = migrations[position];
    if (known === undefined)
      throw new AppError(
        "conflict",
        `the database ${name} was written by a newer version of sms-agent (it has ${found.name})`,
        { fix: "Run that version or a later one, or restore a backup made by this version." },
      );
    if (found.position !== position || known.name !== found.name || hashOf(known.sql) !== found.hash)
      throw new AppError(
        "conflict",
        `the database ${name} was made by another ${found.name} than this program's ${known.name}`,
        { fix: "Run the version of sms-agent that made it, or restore a backup." },
      );
  }
  const missing = migrations.slice(applied.length);
  if (missing.length === 0) return [];
  // Rebuilding a table drops the old one, which would take along the rows that point at it.
  client.pragma("foreign_keys = OFF");
  for (const [index, migration] of missing.entries()) {
    client.transaction(() => applyOne(client, migration, applied.length + index, now)).immediate();
  }
  return missing.map((migration) => migration.name);
}

function applyOne(client: Database.Database, migration: Migration, position: number, now: number): void {
  client.exec(`CREATE TABLE IF NOT EXISTS schema_migrations (
    position INTEGER PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, applied_at INTEGER NOT NULL)`);
  try {
    client.exec(migration.sql);
  } catch (error) {
    throw new Error(`migration ${migration.name} failed`, { cause: error });
  }
  const dangling = client.prepare("PRAGMA foreign_key_check").all();
  if (dangling.length > 0)
    throw new Error(`migration ${migration.name} left ${dangling.length} rows that point at nothing`);
  client
    .prepare("INSERT INTO schema_migrations (position, name, hash, applied_at) VALUES (?, ?, ?, ?)")
    .run(position, migration.name, hashOf(migration.sql), now);
}

function appliedIn(client: Database.Database): readonly Applied[] {
  const tables = client
    .prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table'")
    .pluck()
    .all();
  if (tables.includes("schema_migrations"))
    return client
      .prepare<[], Applied>("SELECT position, name, hash FROM schema_migrations ORDER BY position")
      .all();
  if (tables.length > 0)
    throw new AppError("conflict", `${client.name} is the database of another program`, {
      fix: "Set data_dir to a folder of sms-agent's own.",
    });
  return [];
}

/** Line endings are a matter of the checkout, not of the migration. */
function hashOf(sql: string): string {
  return createHash("sha256").update(sql.replaceAll("\r\n", "\n")).digest("hex");
}
