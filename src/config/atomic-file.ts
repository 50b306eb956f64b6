import { randomBytes } from "node:crypto";
import {
  chownSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { codeOf } from "./secrets.ts";

/**
 * Replaces a file so that a reader, or a crash at any moment, sees the old content or the new one, whole: a
 * temporary file beside it, on disk before it takes the name. Mode and owner stay (0600 for a new file), and a
 * symbolic link stays one. Throws the system's error, with the old file untouched.
 *
 * With `expected`, false and nothing written when the file holds something else by now.
 */
export function writeFileAtomically(path: string, content: string, expected?: string): boolean {
  const target = resolveLink(path);
  const old = statIfThere(target);
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.tmp`);
  const file = openSync(temporary, "wx", 0o600);
  try {
    try {
      if (old !== undefined) fchmodSync(file, old.mode & 0o777);
      writeFileSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (old !== undefined) keepOwner(temporary, old);
    // As late as can be: no system call replaces a file on condition.
    if (expected !== undefined && !readFileSync(target).equals(Buffer.from(expected))) {
      unlinkSync(temporary);
      return false;
    }
    renameSync(temporary, target);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  }
  syncFolder(dirname(target));
  return true;
}

function resolveLink(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return path;
    throw error;
  }
}

function statIfThere(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** Matters when root edits another user's file; nobody else may give files away. */
function keepOwner(path: string, { uid, gid }: Stats): void {
  const own = statSync(path);
  if (own.uid !== uid || own.gid !== gid) chownSync(path, uid, gid);
}

/** The rename itself is on disk only with the folder. Some file systems cannot sync one. */
function syncFolder(folder: string): void {
  let file: number;
  try {
    file = openSync(folder, "r");
  } catch {
    return;
  }
  try {
    fsyncSync(file);
  } catch {
    // the content is safe either way
  } finally {
    closeSync(file);
  }
}
