import type Database from "better-sqlite3";
import { AppError } from "../errors.ts";
import { isDiskFailure, unavailable } from "./failure.ts";

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
  /** Commits what waits; every later write is refused. */
  close(): void;
}

export interface CommitOptions {
  /** Most writes of one commit, so that a flood does not keep the event loop for too long. */
  readonly limit?: number;
  /** Called before anything is written; what it throws, the commit is lost by. */
  readonly demand?: () => void;
  /** Called as the last of what is kept or undone together, to write what was gathered. */
  readonly gathered?: () => void;
  /** Called when what was gathered since is undone with the rest. */
  readonly undone?: () => void;
  /** Called after each commit. */
  readonly onCommit?: () => void;
  /** Called when the disk has lost a commit. */
  readonly onFailure?: (error: AppError) => void;
  /** Called when the disk takes writes again. */
  readonly onRecovery?: () => void;
}

interface Job {
  /** Does the work and answers how to tell the caller. */
  readonly run: () => () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: the sync of the disk, which costs far more than the writes, is paid once for all of them.
 * There is no thread to hand it to, so the event loop waits for the disk; what arrives meanwhile is the next
 * commit.
 */
export function createCommits(client: Database.Database, options: CommitOptions = {}): Commits {
  const { limit = 256, onCommit = () => {}, onFailure = () => {}, onRecovery = () => {} } = options;
  const { demand = () => {}, gathered = () => {}, undone = () => {} } = options;
  const changes = client.prepare<[], number>("SELECT total_changes()").pluck();
  const begin = client.prepare("BEGIN IMMEDIATE");
  const commit = client.prepare("COMMIT");
  const rollback = client.prepare("ROLLBACK");
  const savepoint = client.prepare("SAVEPOINT job");
  const release = client.prepare("RELEASE job");
  const undo = client.prepare("ROLLBACK TO job");

  let waiting: Job[] = [];
  let scheduled = false;
  let closed = false;
  let refused: AppError | undefined;

  function schedule(): void {
    if (scheduled || waiting.length === 0) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      commitNext();
      schedule();
    });
  }

  function commitNext(): void {
    if (waiting.length === 0) return;
    const jobs = waiting.slice(0, limit);
    waiting = waiting.slice(limit);
    let settle: readonly (() => void)[];
    const before = refused === undefined ? 0 : changes.get();
    try {
      if (client.inTransaction) rollback.run(); // a rollback that failed before
      demand();
      settle = runTogether(jobs) ?? runApart(jobs);
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
      return;
    }
    if (refused !== undefined && changes.get() !== before) {
      refused = undefined;
      onRecovery();
    }
    onCommit();
    for (const tell of settle) tell();
  }

  /**
   * Savepoints cost a third of the writes, and seldom is there something to undo. So they are left out at first;
   * undefined, and nothing is written, where one of the jobs has thrown.
   */
  function runTogether(jobs: readonly Job[]): readonly (() => void)[] | undefined {
    begin.run();
    try {
      const settle = jobs.map((job) => job.run());
      gathered();
      return settle;
    } catch (error) {
      if (isDiskFailure(error)) throw error;
      undone();
      if (client.inTransaction) rollback.run();
      return undefined;
    }
  }

  function runApart(jobs: readonly Job[]): readonly (() => void)[] {
    begin.run();
    return jobs.map(runJob);
  }

  /** Throws only when the whole commit is lost. */
  function runJob(job: Job): () => void {
    savepoint.run();
    try {
      const tell = job.run();
      gathered();
      release.run();
      return tell;
    } catch (error) {
      // SQLite itself may have ended the transaction, and with it the jobs before this one.
      if (isDiskFailure(error) || !client.inTransaction) throw error;
      undone();
      undo.run();
      release.run();
      return () => job.reject(error);
    }
  }

  return {
    write: enqueue,
    probe: (work) => enqueue(() => work(refused !== undefined)),
    close() {
      closed = true;
      while (waiting.length > 0) commitNext();
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
