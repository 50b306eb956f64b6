import { statSync } from "node:fs";
import { AppError } from "../errors.ts";

const FIX =
  "Put the file back where it was, with its -wal and -shm; or stop the service, see what became of the data folder, and put a backup in its place: sms-agent restore FILE.";

/**
 * Finds out, in a few microseconds, whether an open database still is what its name leads to. Somebody may have removed
 * its folder, or copied a backup over it: SQLite writes on into files that have no name any more, and the next start
 * would find nothing of it. The returned function throws AppError `unavailable` then.
 */
export function createInPlace(database: string): () => void {
  const known = new Map<string, string>();
  return () => {
    for (const file of [database, `${database}-wal`]) {
      const found = statSync(file, { throwIfNoEntry: false });
      const mark = found && `${found.dev}:${found.ino}`;
      const before = known.get(file);
      if (before === undefined) {
        if (mark !== undefined) known.set(file, mark);
      } else if (mark !== before)
        throw new AppError(
          "unavailable",
          `the database file ${file} was ${mark === undefined ? "removed" : "replaced"} while the service runs`,
          { fix: FIX },
        );
    }
  };
}
