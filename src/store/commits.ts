import type Database from "better-sqlite3";
import { AppError } from "../errors.ts";
import { isDiskFailure, unavailable, unsynced } from "./failure.ts";
import type { LogSync } from "./log-sync.ts";

export interface Commits {
  /**
   * Runs `work` in the next commit and resolves with its result once that is on disk. All writes of one turn
   * of the event loop share a commit: one that throws is undone and rejected with what it threw, and the others are
   * kept. Where one has thrown, the others run a second time, so `work` changes nothing but the database. When the disk fails, all of them reject with AppError
   * `unavailable` and nothing of them is kept.
   */
  write<T>(work: () => T): Promise<T>;
  /**
   * As `write`, to find out whether the disk takes anything. `hard`: it has refused something, and only a write that
   * needs room can show that it takes texts again, since a full disk still takes one that needs none.
   */
  probe(work: (hard: boolean) => void): Promise<void>;
  /** Refuses every later write; resolves when what waited is on disk and its callers are told. */
  close(): Promise<void>;
  /** A sync has failed. The database must not be closed then, since that would copy what may not be there. */
  readonly broken: boolean;
}

export interface CommitOptions {
  /** Most writes of one commit, so that a flood does not keep the event loop for too long. */
  readonly limit?: number;
  /** Called before anything is written; what it throws, the commit is lost by. */
  readonly demand?: () => void;
  /** Syncs the disk after a commit; without it a commit is on disk when it returns. */
  readonly sync?: LogSync;
  /** Called as the last of what is kept or undone together, to write what was gathered. */
  readonly gathered?: () => void;
  /** Called when what was gathered since is undone with the rest. */
  readonly undone?: () => void;
  /** Called after each commit, when it is on disk. */
  readonly onCommit?: () => void;
  /** Called when the disk has lost a commit. */
  readonly onFailure?: (error: AppError) => void;
  /** Called when a sync has failed: from then on nothing is written any more. */
  readonly onBroken?: (error: AppError) => void;
  /** Called when the disk takes writes again. */
  readonly onRecovery?: () => void;
}

interface Job {
  /** Does the work and answers how to tell the caller that it is on disk. */
  readonly run: () => () => void;
  readonly reject: (error: unknown) => void;
}

/** How to tell a caller what became of the commit. */
interface Settle {
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Group commit: the sync of the disk, which costs far more than the writes, is paid once for all of them. While the
 * disk is at it, the event loop goes on, and what arrives meanwhile is the next commit.
 *
 * When a sync fails, nobody knows what of the commit is on disk, and a second one that succeeds proves nothing (the
 * kernel tells of an error once and forgets it). So nothing is written any more: only a start anew, at which SQLite reads the
 * log up to where it is whole, shows what is left. What was acknowledged before is.
 */
export function createCommits(client: Database.Database, options: CommitOptions = {}): Commits {
  const { limit = 256, onCommit = () => {}, onFailure = () => {}, onRecovery = () => {} } = options;
  const { demand = () => {}, gathered = () => {}, undone = () => {}, onBroken = () => {}, sync } = options;
  const changes = client.prepare<[], number>("SELECT total_changes()").pluck();
  const begin = client.prepare("BEGIN IMMEDIATE");
  const commit = client.prepare("COMMIT");
  const rollback = client.prepare("ROLLBACK");
  const savepoint = client.prepare("SAVEPOINT job");
  const release = client.prepare("RELEASE job");
  const undo = client.prepare("ROLLBACK TO job");

  let waiting: Job[] = [];
  /** A commit is about to be made, or its sync is under way. */
  let busy = false;
  let closed = false;
  let refused: AppError | undefined;
  let broken: AppError | undefined;
  let ended = () => {};

  function schedule(): void {
    if (busy || waiting.length === 0) return;
    busy = true;
    // A second turn of the loop costs nobody anything when it is quiet, and has more share the commit when it is not.
    setImmediate(() => setImmediate(commitAndSync));
  }

  function commitAndSync(): void {
    const settled = commitNext();
    if (settled === undefined || sync === undefined) {
      next(settled);
      return;
    }
    sync.start((error) => {
      if (error !== null) fail(error, settled);
      next(error === null ? settled : []);
    });
  }

  function next(settled: readonly Settle[] = []): void {
    busy = false;
    if (settled.length > 0) onCommit();
    for (const { done } of settled) done();
    schedule();
    if (closed && !busy) end();
  }

  function end(): void {
    sync?.close();
    ended();
  }

  function fail(error: unknown, settled: readonly Settle[]): void {
    const first = broken === undefined;
    broken ??= unsynced(error, client.name);
    for (const { failed } of settled) failed(broken);
    if (first) onBroken(broken);
  }

  /** Undefined when nothing was kept; all have been told then. */
  function commitNext(): readonly Settle[] | undefined {
    if (waiting.length === 0) return undefined;
    const jobs = waiting.slice(0, limit);
    waiting = waiting.slice(limit);
    if (broken !== undefined) {
      for (const job of jobs) job.reject(broken);
      return undefined;
    }
    let settled: readonly Settle[];
    const before = refused === undefined ? 0 : changes.get();
    try {
      if (client.inTransaction) rollback.run(); // a rollback that failed before
      demand();
      settled = runTogether(jobs) ?? runApart(jobs);
      commit.run();
    } catch (error) {
      undone();
      const failure = isDiskFailure(error) ? unavailable(error, client.name) : error;
      if (failure instanceof AppError) refused = failure;
      for (const job of jobs) job.reject(failure);
      if (failure instanceof AppError) onFailure(failure);
      try {
        if (client.inTransaction) rollback.run();
      } catch {
        // The disk is gone for this too; the next commit begins with another try.
      }
      return undefined;
    }
    if (refused !== undefined && changes.get() !== before) {
      refused = undefined;
      onRecovery();
    }
    return settled;
  }

  /**
   * Savepoints cost a third of the writes, and seldom is there something to undo. So they are left out at first;
   * undefined, and nothing is written, where one of the jobs has thrown.
   */
  function runTogether(jobs: readonly Job[]): readonly Settle[] | undefined {
    begin.run();
    try {
      const settled = jobs.map((job) => ({ done: job.run(), failed: job.reject }));
      gathered();
      return settled;
    } catch (error) {
      if (isDiskFailure(error)) throw error;
      undone();
      if (client.inTransaction) rollback.run();
      return undefined;
    }
  }

  function runApart(jobs: readonly Job[]): readonly Settle[] {
    begin.run();
    return jobs.map(runJob);
  }

  /** Throws only when the whole commit is lost. */
  function runJob(job: Job): Settle {
    savepoint.run();
    try {
      const done = job.run();
      gathered();
      release.run();
      return { done, failed: job.reject };
    } catch (error) {
      // SQLite itself may have ended the transaction, and with it the jobs before this one.
      if (isDiskFailure(error) || !client.inTransaction) throw error;
      undone();
      undo.run();
      release.run();
      return { done: () => job.reject(error), failed: job.reject };
    }
  }

  return {
    write: enqueue,
    probe: (work) => enqueue(() => work(refused !== undefined)),
    close() {
      closed = true;
      return new Promise((resolve) => {
        ended = resolve;
        if (!busy) end();
      });
    },
    get broken() {
      return broken !== undefined;
    },
  };

  function enqueue<T>(work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (closed) return reject(new AppError("unavailable", "the database is closed"));
      waiting.push({
        run: () => {
          const result = work();
          return () => resolve(result);
        },
        reject,
      });
      schedule();
    });
  }
}
