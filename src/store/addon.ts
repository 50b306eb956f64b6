import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { AppError } from "../errors.ts";
import { fileReason } from "./failure.ts";

// SQLite's native part cannot be loaded from inside the binary, so it is written to the data folder. Its name
// holds its own SHA-256, and a file that is already there is only used when its content has that hash:
// nobody who could put a file of that name there can make us load something else.

const NAME = /^sqlite-[0-9a-f]{64}\.node$/;
const TEMPORARY = /^sqlite-[0-9a-f]{64}\.node\.[0-9a-f]+\.tmp$/;

/** The addon inside the binary. */
export interface EmbeddedAddon {
  readonly path: string;
  /** Of its content, in hex, made by the build: so a start need not read what is unpacked already. */
  readonly sha256: string;
}

/** Where the embedded addon lies unpacked in `run`, written there where needed. */
export function unpackAddon(embedded: EmbeddedAddon, run: string): string {
  const hash = embedded.sha256;
  const target = join(run, `sqlite-${hash}.node`);
  const temporary = `${target}.${randomBytes(8).toString("hex")}.tmp`;
  try {
    if (!isIntact(target, hash)) {
      writeFileSync(temporary, readFileSync(embedded.path), { mode: 0o600, flag: "wx", flush: true });
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

/** Read by pieces, so that its 2 MB are not taken from the heap of a service that has just begun. */
function hashOf(file: string): string {
  const hash = createHash("sha256");
  const piece = new Uint8Array(64 * 1024);
  const descriptor = openSync(file, "r");
  try {
    for (let read = readSync(descriptor, piece); read > 0; read = readSync(descriptor, piece))
      hash.update(piece.subarray(0, read));
  } finally {
    closeSync(descriptor);
  }
  return hash.digest("hex");
}

function isIntact(file: string, hash: string): boolean {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined || !found.isFile()) return false;
  return hashOf(file) === hash;
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
