import { createHash, randomBytes } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { AppError } from "../errors.ts";
import { fileReason } from "./failure.ts";

// SQLite's native part cannot be loaded from inside the binary, so it is written to the data folder. Its name
// holds its own SHA-256, and a file that is already there is only used when its content has that hash:
// nobody who could put a file of that name there can make us load something else.

const NAME = /^sqlite-[0-9a-f]{64}\.node$/;
const TEMPORARY = /^sqlite-[0-9a-f]{64}\.node\.[0-9a-f]+\.tmp$/;

/** Where the addon embedded at `embedded` lies unpacked in `run`, written there where needed. */
export function unpackAddon(embedded: string, run: string): string {
  const bytes = readFileSync(embedded);
  const hash = createHash("sha256").update(bytes).digest("hex");
  const target = join(run, `sqlite-${hash}.node`);
  const temporary = `${target}.${randomBytes(8).toString("hex")}.tmp`;
  try {
    if (!isIntact(target, hash)) {
      writeFileSync(temporary, bytes, { mode: 0o600, flag: "wx", flush: true });
      renameSync(temporary, target);
    }
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new AppError("unavailable", `cannot write ${target}: ${fileReason(error)}`, {
      fix: "Give the service's user write access to data_dir, and free space on its disk.",
      cause: error,
    });
  }
  return target;
}

function isIntact(file: string, hash: string): boolean {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined || !found.isFile()) return false;
  return createHash("sha256").update(readFileSync(file)).digest("hex") === hash;
}

/**
 * Removes the addons of earlier versions and what a crash left half written. Only for the owner of the data
 * folder: another process could be about to load one.
 */
export function removeStaleAddons(run: string, current: string): void {
  for (const name of readdirSync(run)) {
    if (TEMPORARY.test(name) || (NAME.test(name) && name !== basename(current))) unlinkSync(join(run, name));
  }
}
