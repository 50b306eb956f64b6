import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../errors.ts";
import type { Connect } from "./connection.ts";
import { sqliteCode } from "./failure.ts";
import type { DataFolder } from "./folder.ts";

export interface FolderLock {
  release(): void;
}

/** Milliseconds a starting service waits for the one before it to let go. */
const PATIENCE = 1_000;

/**
 * Makes this process the only one of the data folder, or throws AppError `conflict`. The lock is an open
 * transaction of a second, empty SQLite file: the operating system ends it with the process, however that
 * dies.
 */
export function lockFolder(connect: Connect, folder: DataFolder, patience = PATIENCE): FolderLock {
  const file = join(folder.run, "lock.db");
  const pidFile = join(folder.run, "pid");
  writeFileSync(file, "", { mode: 0o600, flag: "a" });
  const client = connect(file, patience);
  try {
    client.pragma("locking_mode = EXCLUSIVE");
    client.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    client.close();
    if (!sqliteCode(error)?.startsWith("SQLITE_BUSY")) throw error;
    throw new AppError("conflict", `the data folder ${folder.path} is in use by ${ownerIn(pidFile)}`, {
      fix: "Stop that one, or give this one another data_dir.",
      cause: error,
    });
  }
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  return {
    release() {
      if (!client.open) return;
      rmSync(pidFile, { force: true });
      client.close();
    },
  };
}

/** True while a process has the data folder. */
export function isInUse(connect: Connect, folder: DataFolder): boolean {
  try {
    lockFolder(connect, folder, 0).release();
    return false;
  } catch (error) {
    if (error instanceof AppError && error.code === "conflict") return true;
    throw error;
  }
}

/** Whoever holds the lock has written its process id; it is only told, never trusted. */
function ownerIn(pidFile: string): string {
  try {
    const pid = readFileSync(pidFile, "utf8").trim();
    if (/^\d{1,10}$/.test(pid)) return `another sms-agent (process ${pid})`;
  } catch {
    // It is just starting.
  }
  return "another sms-agent";
}
