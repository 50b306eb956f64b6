import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../errors.ts";
import { fileReason } from "./failure.ts";

export interface DataFolder {
  readonly path: string;
  /** The database file. */
  readonly database: string;
  /** What only lives as long as the process, and the unpacked addon: ours alone, 0700. */
  readonly run: string;
}

/** Where the database of a data folder lies. */
export function databaseIn(dataDir: string): string {
  return join(dataDir, "sms-agent.db");
}

/**
 * Makes the data folder and `run/` in it (0700), and closes a database that is there to others (0600; SQLite gives
 * `-wal` and `-shm` the same mode). A data folder that was there keeps the mode its owner gave it.
 * Throws AppError `unavailable` naming the folder.
 */
export function prepareFolder(path: string): DataFolder {
  const folder: DataFolder = { path, database: databaseIn(path), run: join(path, "run") };
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    mkdirSync(folder.run, { recursive: true, mode: 0o700 });
    const run = lstatSync(folder.run);
    // An addon is loaded from here: a link or a stranger's folder would let someone else choose the code.
    if (!run.isDirectory() || run.uid !== (process.getuid?.() ?? run.uid))
      throw new AppError("unavailable", `${folder.run} is not a folder of the service's own`, {
        fix: "Run this as the user the service runs as; or remove that folder, or set data_dir to another one.",
      });
    chmodSync(folder.run, 0o700);
    if (lstatSync(folder.database, { throwIfNoEntry: false })?.isFile() === true)
      chmodSync(folder.database, 0o600);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError("unavailable", `cannot use the data folder ${path}: ${fileReason(error)}`, {
      fix: "Give the service's user write access to it, or set data_dir to another folder.",
      cause: error,
    });
  }
  return folder;
}
