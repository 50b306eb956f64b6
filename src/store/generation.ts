import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type Database from "better-sqlite3";
import { checkpointNow } from "./connection.ts";
import { APPLICATION_ID } from "./database-file.ts";
import { writeDurably } from "./durable-file.ts";
import type { DataFolder } from "./folder.ts";

// A write-ahead log holds pages, and nothing in it says of which database. So each start gives the database a new
// number, in its header, and notes it in `run/`: a log that is found later is of the database with that number. One
// that was put in the place of the other meanwhile (a copied backup, with the old log still beside it) has another.

const NAME = "generation";

/** The numbers that database and log may have by what the last start has noted; undefined where none has. */
export function notedGenerations(folder: DataFolder): readonly number[] | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder.run, NAME), "utf8").trim();
  } catch {
    return undefined;
  }
  return /^-?\d{1,10}( -?\d{1,10}){0,7}$/.test(text) ? text.split(" ").map(Number) : undefined;
}

/** A number for a database that has just been made, or come from somewhere else. */
export function newGeneration(): number {
  return randomBytes(4).readUInt32BE() & 0x7fff_ffff;
}

/**
 * Marks the open database as ours and begins a new generation of it: from here on the log is empty, and what comes
 * into it is of this number. The note is written first, with the numbers from before, since a crash may come between.
 * While a backup reads, the log cannot be emptied, and the file itself stays at a number from before: `onDisk`, as it
 * was before SQLite opened it.
 */
export function beginGeneration(
  client: Database.Database,
  folder: DataFolder,
  onDisk: number | undefined,
): void {
  const inLog = Number(client.pragma("user_version", { simple: true }));
  const since = newGeneration();
  const known = new Set([onDisk ?? inLog, inLog, since]);
  writeDurably(join(folder.run, NAME), `${[...known].join(" ")}\n`);
  client.transaction(() => stamp(client, since)).immediate();
  checkpointNow(client);
}

/** Writes application and generation into the header. */
export function stamp(client: Database.Database, generation: number): void {
  client.pragma(`application_id = ${APPLICATION_ID}`);
  client.pragma(`user_version = ${generation}`);
}
