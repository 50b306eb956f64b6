import { closeSync, fstatSync, openSync, readSync } from "node:fs";

// What a database file says of itself in its first hundred bytes (https://www.sqlite.org/fileformat2.html), read
// without SQLite: opening a file that is not what it seems would already change it.

/** "SMSa": set in every database of ours, so that none of another program is taken for one. */
export const APPLICATION_ID = 0x534d5361;

/** What stands in the header of a database. */
export interface DatabaseHeader {
  /** Bytes. */
  readonly pageSize: number;
  /**
   * SQLite's `user_version`, which is ours to use: a random number that changes with every start. What is in a
   * write-ahead log belongs to one such number (`generation.ts`).
   */
  readonly generation: number;
}

export type DatabaseFile =
  | { readonly kind: "missing" }
  | { readonly kind: "sqlite"; readonly header: DatabaseHeader }
  /** `why` completes "the database FILE …". */
  | { readonly kind: "damaged" | "foreign"; readonly why: string };

const MAGIC = Buffer.from("SQLite format 3\0", "latin1");

/**
 * Looks at the file without changing it; not for one that this process has open (see `examine.ts`). `logged`: there is a write-ahead log beside it, so that the file alone
 * need not be whole. Throws what the file system does when it cannot be read.
 */
export function inspectDatabase(file: string, logged: boolean): DatabaseFile {
  const start = readStart(file, 100);
  if (start === undefined) return { kind: "missing" };
  const { bytes, size } = start;
  if (size === 0) return { kind: "damaged", why: "is empty, which one of sms-agent never is" };
  if (bytes.length < 100) return { kind: "damaged", why: `is only ${size} bytes long` };
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC))
    return { kind: "damaged", why: "is no SQLite database, or its beginning was overwritten" };
  const pageSize = sizeOf(bytes.readUInt16BE(16));
  if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0)
    return { kind: "damaged", why: "has a damaged header" };
  const application = bytes.readUInt32BE(68);
  if (application !== 0 && application !== APPLICATION_ID)
    return { kind: "foreign", why: "is the database of another program" };
  const pages = bytes.readUInt32BE(28);
  const known = bytes.readUInt32BE(24) === bytes.readUInt32BE(92);
  if (!logged && known && size < pages * pageSize)
    return {
      kind: "damaged",
      why: `is cut off: it is ${size} bytes long and should be ${pages * pageSize}`,
    };
  return { kind: "sqlite", header: { pageSize, generation: bytes.readInt32BE(60) } };
}

/** One page size does not fit into its two bytes. */
function sizeOf(stored: number): number {
  return stored === 1 ? 65_536 : stored;
}

/** The first bytes of a file and how long it is; undefined where there is none. */
export function readStart(
  file: string,
  length: number,
): { readonly bytes: Buffer; readonly size: number } | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const bytes = Buffer.alloc(length);
    const count = readSync(descriptor, bytes, 0, length, 0);
    return { bytes: bytes.subarray(0, count), size: fstatSync(descriptor).size };
  } finally {
    closeSync(descriptor);
  }
}
