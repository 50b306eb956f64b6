import { closeSync, openSync, readSync } from "node:fs";
import { readStart } from "./database-file.ts";

// The write-ahead log as a file (https://www.sqlite.org/fileformat2.html#the_write_ahead_log). SQLite takes what it
// finds in one: it skips a log whose beginning is damaged, with all that was committed in it, and puts one of another
// database into this one. So it is looked at before SQLite does.

export type WalFile =
  /** There is none, or nothing in it. */
  | { readonly kind: "empty" }
  /** `generation`: of the newest copy of the database's first page in it, where it holds one. */
  | { readonly kind: "log"; readonly generation?: number }
  /** `why` completes "the write-ahead log FILE …". */
  | { readonly kind: "damaged"; readonly why: string };

const HEADER = 32;
const FRAME = 24;
/** Frames looked at: a log is some thousand long. */
const MOST_FRAMES = 100_000;

/** Looks at the log of a database with pages of this size. Throws what the file system does. */
export function inspectWal(file: string, pageSize: number): WalFile {
  const start = readStart(file, HEADER);
  // A log shorter than its header, or one of zeros, was made and not written yet when the power went.
  if (start === undefined || start.size < HEADER || start.bytes.every((byte) => byte === 0))
    return { kind: "empty" };
  const { bytes } = start;
  const magic = bytes.readUInt32BE(0);
  if (magic !== 0x377f0682 && magic !== 0x377f0683)
    return { kind: "damaged", why: "is no log of SQLite, or its beginning was overwritten" };
  if (!isIntact(bytes, magic === 0x377f0683)) return { kind: "damaged", why: "has a damaged header" };
  if (bytes.readUInt32BE(8) !== pageSize) return { kind: "damaged", why: "is the log of another database" };
  const generation = newestGeneration(file, pageSize, bytes.subarray(16, 24));
  return { kind: "log", ...(generation === undefined ? {} : { generation }) };
}

/** The header's own checksum, over its first 24 bytes. */
function isIntact(header: Buffer, bigEndian: boolean): boolean {
  let first = 0;
  let second = 0;
  for (let at = 0; at < 24; at += 8) {
    const [a, b] = bigEndian
      ? [header.readUInt32BE(at), header.readUInt32BE(at + 4)]
      : [header.readUInt32LE(at), header.readUInt32LE(at + 4)];
    first = (first + a + second) >>> 0;
    second = (second + b + first) >>> 0;
  }
  return first === header.readUInt32BE(24) && second === header.readUInt32BE(28);
}

/** Frames that carry the header's salts are of this log; what comes after them is of an older one. */
function newestGeneration(file: string, pageSize: number, salts: Buffer): number | undefined {
  const descriptor = openSync(file, "r");
  try {
    const head = Buffer.alloc(FRAME);
    const page = Buffer.alloc(64);
    let found: number | undefined;
    for (let frame = 0; frame < MOST_FRAMES; frame++) {
      const at = HEADER + frame * (FRAME + pageSize);
      if (readSync(descriptor, head, 0, FRAME, at) < FRAME || !head.subarray(8, 16).equals(salts)) break;
      if (head.readUInt32BE(0) !== 1) continue;
      if (readSync(descriptor, page, 0, page.length, at + FRAME) < page.length) break;
      found = page.readInt32BE(60);
    }
    return found;
  } finally {
    closeSync(descriptor);
  }
}
