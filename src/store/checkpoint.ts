import type Database from "better-sqlite3";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { checkpointNow } from "./connection.ts";

export interface Checkpoints {
  /** Called after each commit. */
  noteCommit(): void;
  /** Called when texts were erased: their copies in the log shall go with the next `sweep`. */
  noteErased(): void;
  /** Empties the log where something was erased since the last time. */
  sweep(): void;
  stop(): void;
}

/** Without writes for this long, milliseconds, it is quiet. */
const QUIET = 250;

/** Pages of the log that are worth copying into the database while it is quiet. */
const WORTH = 128;

/**
 * Pages at which a commit itself has to copy the log into the database (SQLite's own automatic checkpoint),
 * in case it is never quiet.
 */
const AT_MOST = 4_000;

/** Copies the write-ahead log into the database when nobody waits, so that commits seldom have to. */
export function createCheckpoints(client: Database.Database, clock: Clock, log: Log): Checkpoints {
  client.pragma(`wal_autocheckpoint = ${AT_MOST}`);
  const size = client.prepare<[], { log: number; checkpointed: number }>("PRAGMA wal_checkpoint(NOOP)");
  let cancel: (() => void) | undefined;
  let lastCommit = 0;
  let erased = false;

  function look(): void {
    cancel = undefined;
    const quietFor = clock.now() - lastCommit;
    if (quietFor < QUIET) {
      cancel = clock.after(QUIET - quietFor, look);
      return;
    }
    try {
      const state = size.get();
      if (state !== undefined && state.log - state.checkpointed >= WORTH)
        client.pragma("wal_checkpoint(PASSIVE)");
    } catch (error) {
      log.warn("store.checkpoint_failed", { error: String(error) });
    }
  }

  return {
    noteCommit() {
      lastCommit = clock.now();
      cancel ??= clock.after(QUIET, look);
    },
    noteErased() {
      erased = true;
    },
    sweep() {
      // While a backup reads the log, it cannot be emptied; the next sweep tries again.
      if (erased) erased = !checkpointNow(client);
    },
    stop() {
      cancel?.();
      cancel = undefined;
    },
  };
}
