import { existsSync, lstatSync, rmSync, statSync } from "node:fs";
import type Database from "better-sqlite3";
import { AppError } from "../errors.ts";
import { type DatabaseFile, type DatabaseHeader, inspectDatabase } from "./database-file.ts";
import { WAY_OUT } from "./failure.ts";
import type { DataFolder } from "./folder.ts";
import { notedGenerations } from "./generation.ts";
import { inspectWal } from "./wal-file.ts";

/** The name a database has while it is put in the place of another. */
export function restoringName(database: string): string {
  return `${database}.restoring`;
}

/** Every file a database consists of. */
export function filesOf(database: string): readonly string[] {
  return [database, `${database}-wal`, `${database}-shm`];
}

export function removeDatabase(database: string): void {
  for (const file of [...filesOf(database), `${database}-journal`]) rmSync(file, { force: true });
}

/**
 * Looks at the files of a data folder that nobody has open, before SQLite does: when this process has a database open,
 * closing its file once more would take SQLite's locks away. Answers its header, undefined where there is no database.
 * Throws AppError `unavailable` for a damaged one and `conflict` for another program's, naming file and way out.
 */
export function examineFiles(folder: DataFolder): DatabaseHeader | undefined {
  const { database } = folder;
  const wal = `${database}-wal`;
  refuseLink(database);
  const found = inspectDatabase(database, hasBytes(wal));
  if (found.kind === "missing") {
    refuseRemains(database);
    return undefined;
  }
  const { header } = sqliteOf(database, found);
  const log = inspectWal(wal, header.pageSize);
  if (log.kind === "damaged")
    throw new AppError("unavailable", `the write-ahead log ${wal} ${log.why}`, { fix: WAL_FIX });
  if (log.kind === "log" && isStrange(header.generation, log.generation, notedGenerations(folder)))
    throw new AppError("unavailable", `the write-ahead log ${wal} is the log of another database`, {
      fix: WAL_FIX,
    });
  return header;
}

/**
 * SQLite keeps the log beside what a link leads to, where it would not be looked for; and where it leads nowhere, as to a
 * disk that is not there yet, an empty database would take its place.
 */
function refuseLink(database: string): void {
  if (lstatSync(database, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return;
  const where = existsSync(database) ? "" : " that leads nowhere: is its disk there?";
  throw new AppError("unavailable", `the database ${database} is a link${where}`, {
    fix: "Set data_dir to the folder in which the database lies; the folder may be reached by a link.",
  });
}

/** The header of what must be a database of ours. Throws as `examineFiles`. */
export function sqliteOf(
  file: string,
  found: Exclude<DatabaseFile, { kind: "missing" }>,
): Extract<DatabaseFile, { kind: "sqlite" }> {
  switch (found.kind) {
    case "sqlite":
      return found;
    case "foreign":
      throw new AppError("conflict", `the database ${file} ${found.why}`, {
        fix: "Set data_dir to a folder of sms-agent's own.",
      });
    case "damaged":
      throw new AppError("unavailable", `the database ${file} ${found.why}`, { fix: WAY_OUT });
  }
}

const WAL_FIX =
  "The log holds the last commits. If the database was copied here, move the -wal and -shm files beside it away and start again. Otherwise put a backup in its place: sms-agent restore FILE keeps what is there.";

function isStrange(database: number, log: number | undefined, noted: readonly number[] | undefined): boolean {
  const known = noted ?? [database];
  return !known.includes(database) || (log !== undefined && log !== database && !known.includes(log));
}

/** Without its database, what lies beside it would be lost or, worse, put into a new one. */
function refuseRemains(database: string): void {
  const restoring = restoringName(database);
  if (existsSync(restoring))
    throw new AppError("unavailable", `the database ${database} is missing: a restore was cut off`, {
      fix: "Run sms-agent restore FILE again. The database from before lies beside it as sms-agent.db.replaced-….",
    });
  const wal = `${database}-wal`;
  if (hasBytes(wal))
    throw new AppError("unavailable", `the database ${database} is missing, and its log ${wal} is there`, {
      fix: "Put the database back beside its log, or move the -wal and -shm files away too to begin with an empty one.",
    });
}

function hasBytes(file: string): boolean {
  return (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/**
 * Reads the first and the last row of every table: its root page and a path to either end. What else is damaged is
 * found when it is read, by `sms-agent check --data`, and by every backup. Throws what SQLite does.
 */
export function touchTables(client: Database.Database): void {
  const tables = client
    .prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .pluck()
    .all();
  for (const table of tables) {
    const name = `"${table.replaceAll('"', '""')}"`;
    for (const order of ["ASC", "DESC"])
      client.prepare(`SELECT * FROM ${name} ORDER BY rowid ${order} LIMIT 1`).all();
  }
}
