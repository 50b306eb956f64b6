import { statSync } from "node:fs";
import { AppError } from "../errors.ts";
import { type EmbeddedAddon, unpackAddon } from "./addon.ts";
import { connector } from "./connection.ts";
import { type Contents, contentsOf, findDamage } from "./contents.ts";
import { inspectDatabase } from "./database-file.ts";
import { examineFiles, sqliteOf } from "./examine.ts";
import { databaseIn, prepareFolder } from "./folder.ts";
import { isInUse } from "./lock.ts";

export interface DataReport {
  readonly database: string;
  readonly bytes: number;
  /** What is wrong, at most some findings of it; empty where all is well. */
  readonly damage: readonly string[];
  /** Absent where it cannot be read. */
  readonly contents?: Contents;
}

/**
 * Reads the database of a data folder through, also while a service works with it. Throws AppError `not_found` without
 * one, and as `examineFiles` where it cannot even be opened.
 */
export function checkDatabase(dataDir: string, addon: EmbeddedAddon | undefined): DataReport {
  const database = databaseIn(dataDir);
  const found = inspectDatabase(database, true);
  if (found.kind === "missing")
    throw new AppError("not_found", `there is no database at ${database}`, {
      fix: "It is made at the first start of the service with this config.",
    });
  sqliteOf(database, found);
  const folder = prepareFolder(dataDir);
  const connect = connector(addon === undefined ? undefined : unpackAddon(addon, folder.run));
  if (!isInUse(connect, folder)) examineFiles(folder);
  const bytes = statSync(database).size;
  const client = connect(database, 1_000);
  try {
    const damage = findDamage(client);
    return {
      database,
      bytes,
      damage,
      ...(damage.length > 0 ? {} : { contents: contentsOf(client) }),
    };
  } finally {
    client.close();
  }
}
