import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../errors.ts";
import type { RandomBytes } from "../ids.ts";

export const systemRandom: RandomBytes = (count) => new Uint8Array(randomBytes(count));

/** The data folder, with 0700; made where it is not there. Throws AppError `unavailable`. */
export function makeDataDir(path: string): void {
  inDataDir(path, () => {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
  });
}

/**
 * The admin token: the configured one, else that of `<data_dir>/admin-token` (0600), made at first start.
 * Throws AppError `unavailable`.
 */
export function adminToken(dataDir: string, configured: string | undefined): string {
  if (configured !== undefined) return configured;
  const path = adminTokenPath(dataDir);
  return inDataDir(path, () => {
    if (existsSync(path)) {
      const kept = readFileSync(path, "utf8").trim();
      chmodSync(path, 0o600);
      if (kept !== "") return kept;
    }
    const token = randomBytes(32).toString("base64url");
    rmSync(`${path}.new`, { force: true });
    writeFileSync(`${path}.new`, `${token}\n`, { mode: 0o600, flag: "wx" });
    renameSync(`${path}.new`, path);
    return token;
  });
}

function inDataDir<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new AppError("unavailable", `cannot use ${path}: ${reasonOf(error)}`, {
      fix: "Give the service's user write access to data_dir, or set data_dir to another folder.",
      cause: error,
    });
  }
}

function reasonOf(error: unknown): string {
  switch (error instanceof Error && "code" in error ? error.code : undefined) {
    case "EACCES":
    case "EPERM":
      return "permission denied";
    case "EROFS":
      return "the disk is read-only";
    case "ENOSPC":
      return "the disk is full";
    case "ENOENT":
      return "it cannot be made there";
    case "ENOTDIR":
    case "EEXIST":
      return "there is a file in the way";
    default:
      return String(error);
  }
}

export function adminTokenPath(dataDir: string): string {
  return join(dataDir, "admin-token");
}

/** Compares with `expected` in a time that tells nothing of it, whatever the lengths. */
export function tokenMatcher(expected: string): (token: string) => boolean {
  const hash = (value: string) => createHash("sha256").update(value).digest();
  const wanted = hash(expected);
  return (token) => timingSafeEqual(hash(token), wanted);
}
