import initial from "../../migrations/0000_initial.sql" with { type: "text" };

/** One file of `migrations/`, embedded. */
export interface Migration {
  /** The file's name without `.sql`. */
  readonly name: string;
  readonly sql: string;
}

/** Every migration, oldest first. A file that was released is never changed: its hash is remembered. */
export const MIGRATIONS: readonly Migration[] = [{ name: "0000_initial", sql: initial }];
