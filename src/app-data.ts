import { addon } from "./addon.ts";
import { createIds } from "./ids.ts";
import { backupDatabase } from "./store/backup.ts";
import { checkDatabase } from "./store/check.ts";

export { WAY_OUT } from "./store/failure.ts";

import { restoreDatabase } from "./store/restore.ts";
import { systemClock } from "./system/clock.ts";
import { systemRandom } from "./system/files.ts";

// What is done to the database of a data folder beside the service, by its own process.

const built = addon === undefined ? {} : { addon };

/** See `store/backup.ts`. */
export function backup(
  dataDir: string,
  file: string,
  overwrite: boolean,
): ReturnType<typeof backupDatabase> & { readonly madeAt: number } {
  const now = systemClock.now();
  return {
    ...backupDatabase({ ...built, dataDir, file, overwrite, now, processId: process.pid }),
    madeAt: now,
  };
}

/** See `store/restore.ts`. */
export function restore(dataDir: string, file: string): ReturnType<typeof restoreDatabase> {
  return restoreDatabase({
    ...built,
    dataDir,
    file,
    now: systemClock.now(),
    newId: createIds(systemClock, systemRandom),
  });
}

/** See `store/check.ts`. */
export function checkData(dataDir: string): ReturnType<typeof checkDatabase> {
  return checkDatabase(dataDir, built.addon);
}
