import { closeSync, copyFileSync, existsSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type Database from "better-sqlite3";
import { AppError } from "../errors.ts";
import type { NewId } from "../ids.ts";
import { type EmbeddedAddon, unpackAddon } from "./addon.ts";
import { demandSpace } from "./backup-target.ts";
import { type Connect, connector, openDatabase } from "./connection.ts";
import { type Contents, contentsOf, demandWhole, hasTable } from "./contents.ts";
import { inspectDatabase } from "./database-file.ts";
import { openDrizzle } from "./drizzle.ts";
import { syncFile, syncFolder } from "./durable-file.ts";
import { examineFiles, filesOf, removeDatabase, restoringName } from "./examine.ts";
import { fileCode, fileReason, isDiskFailure, unavailable } from "./failure.ts";
import { type DataFolder, prepareFolder } from "./folder.ts";
import { newGeneration, stamp } from "./generation.ts";
import { lockFolder } from "./lock.ts";
import { migrate } from "./migrate.ts";
import { MIGRATIONS } from "./migrations.ts";
import { type OptOut, settleRestored, type Waiting } from "./restored.ts";

export interface RestoreOptions {
  readonly dataDir: string;
  readonly addon?: EmbeddedAddon;
  /** The backup, as the operator named it. It is only read. */
  readonly file: string;
  /** Epoch ms. */
  readonly now: number;
  readonly newId: NewId;
}

export interface RestoreReport {
  readonly database: string;
  /** When the backup was made, epoch ms; undefined for a plain copy of a database. */
  readonly madeAt?: number;
  /** Where the database is now that was there before. */
  readonly setAside?: string;
  readonly contents: Contents;
  readonly waiting: Waiting;
  /** Opt-outs of the database that was there before, which the backup did not know. */
  readonly optOuts: number;
}

const ANOTHER_FILE = "Name another backup; this one was left as it is, and so was the database.";

/**
 * Puts a backup in the place of the database, and makes it safe to start with (`restored.ts`). The database that is
 * there is kept beside it under a name with the time. Nothing of it is touched before the backup was read through.
 *
 * Throws AppError `conflict` while a service runs, and for a newer version's or another program's file;
 * `not_found` without a file; `unavailable` for a damaged one, and where the data folder cannot be written.
 */
export function restoreDatabase(options: RestoreOptions): RestoreReport {
  const { now } = options;
  const file = resolve(options.file);
  refuseUnfit(file, options.file);
  const folder = prepareFolder(options.dataDir);
  const connect = connector(options.addon === undefined ? undefined : unpackAddon(options.addon, folder.run));
  const lock = lockFolder(connect, folder);
  const restoring = restoringName(folder.database);
  try {
    if (isSame(file, folder.database))
      throw new AppError("conflict", `${options.file} is the database that is in use`, { fix: ANOTHER_FILE });
    const known = knownOptOuts(connect, folder);
    removeDatabase(restoring);
    let prepared: ReturnType<typeof prepare>;
    try {
      prepared = prepare(connect, file, restoring, { ...options, folder, optOuts: known });
    } catch (error) {
      removeDatabase(restoring);
      throw error;
    }
    const setAside = exchange(folder, restoring, now);
    return { database: folder.database, ...(setAside === undefined ? {} : { setAside }), ...prepared };
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (isDiskFailure(error)) throw unavailable(error, options.file);
    if (fileCode(error) === undefined) throw error;
    throw new AppError("unavailable", `${options.file} cannot be restored: ${fileReason(error)}`, {
      fix: "Give the user of the service read access to the backup and write access to data_dir, and free space.",
      cause: error,
    });
  } finally {
    lock.release();
  }
}

function refuseUnfit(file: string, named: string): void {
  let found: ReturnType<typeof inspectDatabase>;
  try {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat !== undefined && !stat.isFile())
      throw new AppError("conflict", `${named} is ${stat.isDirectory() ? "a folder" : "no regular file"}`, {
        fix: "Name the backup file itself.",
      });
    found = inspectDatabase(file, statSync(`${file}-wal`, { throwIfNoEntry: false }) !== undefined);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError("unavailable", `${named} cannot be read: ${fileReason(error)}`, {
      fix: "Give the user of the service read access to it.",
    });
  }
  switch (found.kind) {
    case "sqlite":
      return;
    case "missing":
      throw new AppError("not_found", `there is no file ${named}`, {
        fix: "Name a file that sms-agent backup made.",
      });
    case "foreign":
    case "damaged":
      throw new AppError(
        found.kind === "foreign" ? "conflict" : "unavailable",
        `the backup ${named} ${found.why}`,
        {
          fix: ANOTHER_FILE,
        },
      );
  }
}

interface Preparation extends RestoreOptions {
  readonly folder: DataFolder;
  readonly optOuts: readonly OptOut[];
}

/** Copies the backup into the data folder, checks it, brings it up to date and settles what is unfinished in it. */
function prepare(
  connect: Connect,
  file: string,
  restoring: string,
  { folder, now, newId, optOuts, file: named }: Preparation,
): Omit<RestoreReport, "database" | "setAside"> {
  // A plain copy may have its log beside it.
  const parts = ["", "-wal"].filter((part) => existsSync(`${file}${part}`));
  const bytes = parts.reduce((sum, part) => sum + statSync(`${file}${part}`).size, 0);
  demandSpace(folder.path, bytes, "the restored database");
  for (const part of parts) {
    closeSync(openSync(`${restoring}${part}`, "wx", 0o600));
    copyFileSync(`${file}${part}`, `${restoring}${part}`);
  }
  const client = openDatabase(connect, restoring);
  try {
    demandWhole(client, named, ANOTHER_FILE);
    if (!hasTable(client, "schema_migrations"))
      throw new AppError("conflict", `${named} is not a database of sms-agent`, { fix: ANOTHER_FILE });
    migrate(client, MIGRATIONS, now, named);
    client.pragma("foreign_keys = ON");
    const contents = contentsOf(client);
    const before = optOutsIn(client);
    const waiting = settleRestored(openDrizzle(client), { now, newId, optOuts });
    const madeAt = client
      .prepare<[], number>("SELECT at FROM file_marks WHERE name = 'backup'")
      .pluck()
      .get();
    client.transaction(() => stamp(client, newGeneration())).immediate();
    client.pragma("wal_checkpoint(TRUNCATE)");
    return {
      contents,
      waiting,
      optOuts: optOutsIn(client).length - before.length,
      ...(madeAt === undefined ? {} : { madeAt }),
    };
  } finally {
    client.close();
    syncFile(restoring);
  }
}

/** First the old one goes, with all its parts, then the new one comes: a start in between is refused (`examine.ts`). */
function exchange(folder: DataFolder, restoring: string, now: number): string | undefined {
  const aside = freeName(`${folder.database}.replaced-${stampOf(now)}`);
  const [database, ...others] = filesOf(folder.database);
  const kept = database !== undefined && existsSync(database);
  if (kept) renameSync(database, aside);
  for (const other of others) {
    if (existsSync(other)) renameSync(other, `${aside}${other.slice(folder.database.length)}`);
  }
  syncFolder(folder.path);
  rmSync(join(folder.run, "generation"), { force: true });
  renameSync(restoring, folder.database);
  syncFolder(dirname(folder.database));
  return kept ? aside : undefined;
}

/** `20261121T093015Z`. */
function stampOf(at: number): string {
  return new Date(at).toISOString().replace(/[-:]|\.\d+/g, "");
}

function freeName(wanted: string): string {
  let name = wanted;
  for (let count = 2; existsSync(name); count++) name = `${wanted}-${count}`;
  return name;
}

/** Who said STOP stays left alone, also when that was after the backup. From a damaged database nothing can be had. */
function knownOptOuts(connect: Connect, folder: DataFolder): readonly OptOut[] {
  let client: Database.Database | undefined;
  try {
    if (examineFiles(folder) === undefined) return [];
    client = connect(folder.database, 0);
    return optOutsIn(client);
  } catch {
    return [];
  } finally {
    client?.close();
  }
}

function optOutsIn(client: Database.Database): readonly OptOut[] {
  return client.prepare<[], OptOut>("SELECT channel, address, at FROM opt_outs").all();
}

function isSame(a: string, b: string): boolean {
  const [first, second] = [statSync(a, { throwIfNoEntry: false }), statSync(b, { throwIfNoEntry: false })];
  return first !== undefined && second !== undefined && first.ino === second.ino && first.dev === second.dev;
}
