import { closeSync, openSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { type Connect, openDatabase } from "./connection.ts";
import { syncFile, syncFolder } from "./durable-file.ts";
import { removeDatabase } from "./examine.ts";
import { newGeneration, stamp } from "./generation.ts";

/**
 * Makes an empty database (0600). It gets its name once it is one, so that a file of no bytes is never ours: that is
 * what is left of one that was lost.
 */
export function createDatabase(connect: Connect, file: string): void {
  const temporary = `${file}.new`;
  removeDatabase(temporary);
  closeSync(openSync(temporary, "wx", 0o600));
  const client = openDatabase(connect, temporary);
  stamp(client, newGeneration());
  client.close();
  syncFile(temporary);
  renameSync(temporary, file);
  syncFolder(dirname(file));
}
