import { lstatSync, readdirSync, realpathSync, type Stats, statfsSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { AppError } from "../errors.ts";
import { readStart } from "./database-file.ts";
import { filesOf } from "./examine.ts";
import { fileCode, fileReason } from "./failure.ts";

/**
 * The file a backup is to be written to, links followed. Throws AppError `conflict` where something is there that it
 * may not replace, and `unavailable` where nothing can be written.
 */
export function backupTarget(named: string, database: string, overwrite: boolean): string {
  const target = followed(resolve(named));
  const found = statOf(target);
  if (found?.isDirectory() === true)
    throw new AppError("conflict", `${named} is a folder`, {
      fix: `Name the file too: ${join(named, "sms-agent.backup")}.`,
    });
  if (isLive(target, found, database))
    throw new AppError("conflict", `${named} is the database itself, or belongs to it`, {
      fix: "Name another file, best on another disk.",
    });
  if (found === undefined) return target;
  if (!found.isFile())
    throw new AppError("conflict", `${named} is no regular file, so no backup can be in it`, {
      fix: "Name a file that does not exist yet.",
    });
  if (!overwrite)
    throw new AppError("conflict", `${named} is there already`, {
      fix: "Name another file, or replace that backup with --overwrite.",
    });
  const start = readStart(target, 16)?.bytes.toString("latin1");
  if (found.size > 0 && start !== "SQLite format 3\0")
    throw new AppError("conflict", `${named} is no backup, so it is not overwritten`, {
      fix: "Name another file.",
    });
  return target;
}

/** The path with its folder, and a link at its end, resolved. */
function followed(path: string): string {
  const folder = dirname(path);
  let real: string;
  try {
    real = join(realpathSync(folder), basename(path));
  } catch (error) {
    throw unusable(folder, error);
  }
  if (!isLink(real)) return real;
  try {
    return realpathSync(real);
  } catch {
    throw new AppError("conflict", `${path} is a link that leads nowhere`, { fix: "Name another file." });
  }
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  } catch (error) {
    throw unusable(path, error);
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw unusable(path, error);
  }
}

function unusable(path: string, error: unknown): AppError {
  return new AppError("unavailable", `${path} cannot be used: ${fileReason(error)}`, {
    fix: "Name a file in a folder that exists and that you may write to.",
  });
}

/** Also by another name: a hard link has the same number. */
function isLive(target: string, found: Stats | undefined, database: string): boolean {
  return filesOf(database).some((file) => {
    if (target === file || target === join(realpathSync(dirname(file)), basename(file))) return true;
    const live = statSync(file, { throwIfNoEntry: false });
    return found !== undefined && live !== undefined && live.ino === found.ino && live.dev === found.dev;
  });
}

/** Throws AppError `unavailable` when the disk of a folder has less than `bytes` free. */
export function demandSpace(folder: string, bytes: number, what: string): void {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (free >= bytes) return;
  throw new AppError(
    "unavailable",
    `there is not enough space in ${folder} for ${what}: ${megabytes(bytes)} are needed and ${megabytes(free)} are free`,
    { fix: "Free some space, or name a file on another disk." },
  );
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`;
}

/** Where a backup is written before it has its name. */
export function partialName(target: string, process: number): string {
  return `${target}.${process}.partial`;
}

/** Those for the same file that a process has left which is gone. */
export function stalePartials(target: string): readonly string[] {
  const folder = dirname(target);
  const name = basename(target);
  return readdirSync(folder)
    .filter((found) => {
      if (!found.startsWith(`${name}.`)) return false;
      const [, owner] = /^(\d{1,10})\.partial(-journal)?$/.exec(found.slice(name.length + 1)) ?? [];
      return owner !== undefined && !isAlive(Number(owner));
    })
    .map((found) => join(folder, found));
}

function isAlive(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch (error) {
    return fileCode(error) === "EPERM";
  }
}
