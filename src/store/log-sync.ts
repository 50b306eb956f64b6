import { closeSync, fdatasync, openSync } from "node:fs";
import type Database from "better-sqlite3";

/**
 * Brings the write-ahead log to the disk beside the event loop. SQLite's own `synchronous=FULL` makes the process wait
 * for the disk at every commit; here a commit only writes the log (`synchronous=NORMAL`), and whoever made it is told
 * when a sync that began afterwards is done. SQLite goes on to sync by itself before and after each checkpoint, and when
 * it begins a log anew.
 */
export interface LogSync {
  /** Calls back when all that was committed before is on disk, or with what the disk said. */
  start(done: (error: Error | null) => void): void;
  /** Only when no sync is under way. */
  close(): void;
}

/** Brings a file to the disk; `fdatasync` of Node, unless a test wants it to happen at once. */
export type SyncFile = (descriptor: number, done: (error: Error | null) => void) => void;

/**
 * Undefined where a sync from here would be less than SQLite's own: on macOS only a full sync reaches the disk. There
 * every commit goes on waiting for it.
 */
export function openLogSync(client: Database.Database, syncFile: SyncFile = fdatasync): LogSync | undefined {
  if (process.platform === "darwin") return undefined;
  // Of the log itself SQLite holds no lock that a descriptor of our own could take from it by being closed.
  const log = openSync(`${client.name}-wal`, "r");
  client.pragma("synchronous = NORMAL");
  return {
    start: (done) => syncFile(log, done),
    close: () => closeSync(log),
  };
}
