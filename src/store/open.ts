import type Database from "better-sqlite3";
import type { OnChanges } from "../change.ts";
import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Store } from "../store.ts";
import { type EmbeddedAddon, removeStaleAddons, unpackAddon } from "./addon.ts";
import { connector, openDatabase } from "./connection.ts";
import { createDatabase } from "./create.ts";
import { examineFiles, touchTables } from "./examine.ts";
import { fileCode, fileReason, isDiskFailure, unavailable } from "./failure.ts";
import { type DataFolder, prepareFolder } from "./folder.ts";
import { beginGeneration } from "./generation.ts";
import { lockFolder } from "./lock.ts";
import type { SyncFile } from "./log-sync.ts";
import { migrate } from "./migrate.ts";
import { MIGRATIONS } from "./migrations.ts";
import { createSqliteStore } from "./sqlite-store.ts";

export interface StoreOptions {
  /** The folder for everything that is written; made where missing. */
  readonly dataDir: string;
  /**
   * SQLite's native addon, embedded in the binary: it is unpacked into the data folder and loaded from there.
   * Without it the package's own is loaded, which needs `node_modules`.
   */
  readonly addon?: EmbeddedAddon;
  /** What a channel sends as, kept as `from` of its messages; "" where it is not known. */
  readonly senderOf?: (channel: string) => string | undefined;
  /** Where a day begins and ends: an IANA name; UTC where it is not given. */
  readonly timezone?: () => string;
  /** Called when a commit was lost because of the disk. */
  readonly onFailure?: (error: AppError) => void;
  /** Called when the disk takes writes again after that. */
  readonly onRecovery?: () => void;
  /** Called when a sync has failed: nothing is written any more, and only a start anew shows what is on disk. */
  readonly onBroken?: (error: AppError) => void;
  /** Told what each write has changed, once it is on disk. */
  readonly onChanges?: OnChanges;
  /** How a commit is brought to the disk; without it, beside the event loop. */
  readonly syncFile?: SyncFile;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Opens the data folder for this process alone and brings its database up to date.
 *
 * Rejects with AppError `conflict` when another process has the folder, or the database is a newer version's
 * or another program's; with `unavailable` when folder, addon or database cannot be used.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { dataDir, addon, clock, log } = options;
  const folder = prepareFolder(dataDir);
  const binding = addon === undefined ? undefined : unpackAddon(addon, folder.run);
  const connect = connector(binding);
  const lock = lockFolder(connect, folder);
  let client: Database.Database | undefined;
  try {
    if (binding !== undefined) removeStaleAddons(folder.run, binding);
    const found = examineFiles(folder);
    if (found === undefined) createDatabase(connect, folder.database);
    client = openDatabase(connect, folder.database);
    const applied = migrate(client, MIGRATIONS, clock.now());
    if (applied.length > 0) log.info("store.migrated", { migrations: applied });
    touchTables(client);
    beginGeneration(client, folder, found?.generation);
    client.pragma("foreign_keys = ON");
    return createSqliteStore(client, { ...options, onClosed: () => lock.release() });
  } catch (error) {
    client?.close();
    lock.release();
    throw openingFailure(error, folder);
  }
}

/** What the disk did, in words; everything else is a mistake of ours and stays what it is. */
function openingFailure(error: unknown, folder: DataFolder): unknown {
  if (isDiskFailure(error)) return unavailable(error, folder.database);
  if (!/^E[A-Z0-9]+$/.test(fileCode(error) ?? "")) return error;
  return new AppError("unavailable", `cannot use the data folder ${folder.path}: ${fileReason(error)}`, {
    fix: "Free space on its disk, and give the service's user write access to it.",
    cause: error,
  });
}
