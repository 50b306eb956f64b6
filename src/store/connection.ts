import Database from "better-sqlite3";
import { AppError } from "../errors.ts";

/** Opens SQLite files with the addon of this process. */
export type Connect = (file: string, timeout: number) => Database.Database;

/** `nativeBinding`: a file to load the addon from; without it the package's own is used. */
export function connector(nativeBinding: string | undefined): Connect {
  return (file, timeout) => {
    try {
      return new Database(file, nativeBinding === undefined ? { timeout } : { timeout, nativeBinding });
    } catch (error) {
      if (nativeBinding === undefined || error instanceof Database.SqliteError) throw error;
      throw new AppError("unavailable", `cannot load SQLite from ${nativeBinding}: ${String(error)}`, {
        fix: "The disk that holds data_dir must allow programs to be run (no `noexec`), or set data_dir to another one.",
        cause: error,
      });
    }
  };
}

/** Milliseconds a statement waits for another program that holds the database. It blocks us, so not long. */
const BUSY = 1_000;

/**
 * Opens the database itself. Every commit is on disk when it returns (`synchronous=FULL`, and on macOS a
 * full sync), until `openLogSync` takes that over. What is deleted is overwritten. Memory is bounded: an 8 MiB
 * page cache and no memory map.
 */
export function openDatabase(connect: Connect, file: string): Database.Database {
  const client = connect(file, BUSY);
  client.pragma("auto_vacuum = INCREMENTAL"); // counts only before the first table is made
  client.pragma("journal_mode = WAL");
  client.pragma("synchronous = FULL");
  client.pragma("fullfsync = ON");
  client.pragma("checkpoint_fullfsync = ON");
  client.pragma("secure_delete = ON");
  client.pragma("trusted_schema = OFF");
  client.pragma("temp_store = MEMORY");
  client.pragma("cache_size = -8192");
  client.pragma("mmap_size = 0");
  client.pragma(`journal_size_limit = ${16 * 1024 * 1024}`);
  return client;
}

/**
 * Copies the whole log into the database and empties it, where nobody reads from it: answers false otherwise, and
 * never waits, which would stop the process.
 */
export function checkpointNow(client: Database.Database): boolean {
  client.pragma("busy_timeout = 0");
  try {
    const [result] = client.prepare<[], { busy: number }>("PRAGMA wal_checkpoint(TRUNCATE)").all();
    return result?.busy === 0;
  } finally {
    client.pragma(`busy_timeout = ${BUSY}`);
  }
}
