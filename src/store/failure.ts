import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { AppError } from "../errors.ts";

/** SQLite's result code of an error, `SQLITE_FULL` or an extended one like `SQLITE_IOERR_FSYNC`. */
export function sqliteCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  return error.code.startsWith("SQLITE_") ? error.code : undefined;
}

/**
 * What the disk did and no statement can help: nothing of the commit may be believed. Everything else
 * (a constraint, a bug) concerns one write only.
 */
const DISK = /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN|CORRUPT|NOTADB|NOMEM|BUSY|LOCKED|PROTOCOL|PERM|AUTH)/;

export function isDiskFailure(error: unknown): boolean {
  return DISK.test(sqliteCode(error) ?? "");
}

/** The disk's failure as callers see it: try again later, and what a person can do meanwhile. */
export function unavailable(error: unknown, file: string): AppError {
  const code = sqliteCode(error) ?? "";
  const reason = error instanceof Error ? error.message : String(error);
  return new AppError("unavailable", `the database ${file} cannot be used: ${reason} (${code || "error"})`, {
    fix: fixFor(code),
    cause: error,
  });
}

/** The disk has not kept what it had taken. Only a start anew shows what of it is there. */
export function unsynced(error: unknown, file: string): AppError {
  return new AppError(
    "unavailable",
    `the disk did not keep what was written to ${file}: ${fileReason(error)}`,
    {
      fix: "Check the disk that holds data_dir and start the service again: it goes on with what is on the disk, and the carrier delivers again what was not acknowledged.",
      cause: error,
    },
  );
}

/** Bytes that must be free: without them a small write may still succeed, and the next text does not. */
const ROOM = 1024 * 1024;

/** Throws AppError `unavailable` when the disk that holds a file is as good as full. */
export function demandRoom(file: string): void {
  const { bavail, bsize } = statfsSync(dirname(file));
  if (bavail * bsize >= ROOM) return;
  throw new AppError("unavailable", `the disk that holds ${file} is full`, { fix: fixFor("SQLITE_FULL") });
}

function fixFor(code: string): string {
  if (code.startsWith("SQLITE_FULL")) return "Free space on the disk that holds data_dir.";
  if (
    code.startsWith("SQLITE_READONLY") ||
    code.startsWith("SQLITE_CANTOPEN") ||
    code.startsWith("SQLITE_PERM")
  )
    return "Give the service's user write access to data_dir and what is in it.";
  if (code.startsWith("SQLITE_CORRUPT") || code.startsWith("SQLITE_NOTADB")) return WAY_OUT;
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED"))
    return "Another program writes to the database: close it. `sms-agent backup` copies it safely.";
  return "Check the disk that holds data_dir.";
}

/** What a person can do about a database that cannot be read. */
export const WAY_OUT =
  "Stop the service and put a backup in its place: sms-agent restore FILE, which keeps what is there. Without a backup, move sms-agent.db, sms-agent.db-wal and sms-agent.db-shm away to begin with an empty one; sms-agent check --data says what is wrong.";

/** Node's code of a failed file operation (`EACCES`, `ENOSPC`…). */
export function fileCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** What a failed file operation says, in words. */
export function fileReason(error: unknown): string {
  switch (fileCode(error)) {
    case "ENOENT":
      return "it does not exist";
    case "ENOTDIR":
    case "EEXIST":
      return "there is a file in the way";
    case "EACCES":
    case "EPERM":
      return "permission denied";
    case "EROFS":
      return "the disk is read-only";
    case "ENOSPC":
      return "the disk is full";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
