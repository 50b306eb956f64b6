import { closeSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type Database from "better-sqlite3";
import { AppError } from "../errors.ts";
import { type EmbeddedAddon, unpackAddon } from "./addon.ts";
import { backupTarget, demandSpace, partialName, stalePartials } from "./backup-target.ts";
import { type Connect, connector } from "./connection.ts";
import { type Contents, contentsOf, demandWhole, hasTable } from "./contents.ts";
import { inspectDatabase } from "./database-file.ts";
import { syncFile, syncFolder } from "./durable-file.ts";
import { examineFiles, sqliteOf } from "./examine.ts";
import { fileCode, fileReason, isDiskFailure, sqliteCode, unavailable, WAY_OUT } from "./failure.ts";
import { type DataFolder, databaseIn, prepareFolder } from "./folder.ts";
import { newGeneration, stamp } from "./generation.ts";
import { isInUse } from "./lock.ts";

export interface BackupOptions {
  readonly dataDir: string;
  readonly addon?: EmbeddedAddon;
  /** Where to, as the operator named it. */
  readonly file: string;
  /** Replaces a backup that is there. */
  readonly overwrite: boolean;
  /** Epoch ms. */
  readonly now: number;
  readonly processId: number;
}

export interface BackupReport {
  readonly file: string;
  readonly bytes: number;
  readonly contents: Contents;
}

/** Milliseconds to wait for a service that has just emptied its log. */
const BUSY = 10_000;

/**
 * Copies the database as it is at one moment, while a service writes to it or not, into a file of its own (0600): whole
 * and without what was erased. The copy is checked before it gets its name, so a file of that name is a backup.
 *
 * Throws AppError `not_found` without a database, `conflict` where the target may not be written, `unavailable` where
 * it cannot be or the database is damaged.
 */
export function backupDatabase(options: BackupOptions): BackupReport {
  const database = databaseIn(options.dataDir);
  const found = inspectDatabase(database, true);
  if (found.kind === "missing")
    throw new AppError("not_found", `there is no database at ${database}`, {
      fix: "Name the config of the service that is to be backed up: --config sms.yaml.",
    });
  sqliteOf(database, found);
  const target = backupTarget(options.file, database, options.overwrite);
  const folder = prepareFolder(options.dataDir);
  const connect = connector(options.addon === undefined ? undefined : unpackAddon(options.addon, folder.run));
  // With nobody at it, opening it would put a strange log into it.
  if (!isInUse(connect, folder)) examineFiles(folder);
  const partial = partialName(target, options.processId);
  try {
    for (const stale of stalePartials(target)) rmSync(stale, { force: true });
    closeSync(openSync(partial, "wx", 0o600));
    copy(connect, folder, target, partial);
    const contents = check(connect, partial, options.now);
    syncFile(partial);
    const bytes = statSync(partial).size;
    renameSync(partial, target);
    syncFolder(dirname(target));
    return { file: target, bytes, contents };
  } catch (error) {
    throw explained(error, database, options.file);
  } finally {
    for (const left of [partial, `${partial}-journal`]) rmSync(left, { force: true });
  }
}

/** One statement and so one moment of the database. It reads, so nobody who writes waits for it. */
function copy(connect: Connect, folder: DataFolder, target: string, partial: string): void {
  const client = connect(folder.database, BUSY);
  try {
    demandSpace(dirname(target), sizeOf(client), "the backup");
    client.prepare("VACUUM INTO ?").run(partial);
  } finally {
    client.close();
  }
}

/** What the copy needs at most, bytes. */
function sizeOf(client: Database.Database): number {
  const number = (name: string) => Number(client.pragma(name, { simple: true }));
  return (number("page_count") - number("freelist_count") + 16) * number("page_size");
}

/** Reads the copy through, and notes in it that it is one and of when. */
function check(connect: Connect, partial: string, now: number): Contents {
  const copy = connect(partial, BUSY);
  try {
    copy
      .transaction(() => {
        stamp(copy, newGeneration());
        if (hasTable(copy, "file_marks"))
          copy
            .prepare(
              "INSERT INTO file_marks (name, at) VALUES ('backup', ?) ON CONFLICT DO UPDATE SET at = excluded.at",
            )
            .run(now);
      })
      .immediate();
    demandWhole(copy, partial, WAY_OUT);
    return contentsOf(copy);
  } finally {
    copy.close();
  }
}

function explained(error: unknown, database: string, file: string): unknown {
  if (error instanceof AppError) return error;
  const code = sqliteCode(error) ?? "";
  if (code.startsWith("SQLITE_FULL"))
    return new AppError("unavailable", `the disk got full while ${file} was written; nothing is left of it`, {
      fix: "Free some space, or name a file on another disk.",
      cause: error,
    });
  if (isDiskFailure(error)) return unavailable(error, database);
  if (fileCode(error) !== undefined)
    return new AppError("unavailable", `${file} cannot be written: ${fileReason(error)}`, {
      fix: "Name a file in a folder that you may write to.",
      cause: error,
    });
  return error;
}
