import type Database from "better-sqlite3";
import { type Placeholder, type SQL, type SQLWrapper, sql } from "drizzle-orm";
import type { BetterSQLite3Database } from "drizzle-orm/better-sqlite3";

// How queries are written here: built once with Drizzle over `schema.ts`, so that a renamed column is a type
// error, prepared when the store opens, and then only run. A prepared Drizzle statement costs about half a
// microsecond more than a bare one; building the query on each call would cost fifty times that.

export type Db = BetterSQLite3Database<Record<string, never>> & { readonly $client: Database.Database };

/** A prepared query with its parameters written down; the library leaves them open. */
export interface Read<Values, Row> {
  get(values: Values): Row | undefined;
  all(values: Values): Row[];
}

/** A prepared change. */
export interface Write<Values> {
  run(values: Values): Database.RunResult;
}

/** A parameter in `values(…)` and in comparisons other than for equality. */
export function param<Name extends string>(name: Name): Placeholder<Name> {
  return sql.placeholder(name);
}

/**
 * `column = parameter`. SQLite plans a statement anew for each run, which costs ten times the run, when the
 * value of a bare parameter could have changed the plan; it thinks so of an equality together with an ORDER BY,
 * and of a LIMIT. Behind a `+` it does not look.
 */
export function is(column: SQLWrapper, name: string): SQL {
  return sql`${column} = +${sql.placeholder(name)}`;
}

/** The last term of an ORDER BY, with a LIMIT from a parameter; see `is`. */
export function upTo(name: string, term: SQLWrapper): SQL {
  return sql`${term} limit +${sql.placeholder(name)}`;
}

/** A parameter in `set(…)`, whose types know no placeholders. JSON columns are encoded by the caller. */
export function setTo<T = never>(name: string): SQL<T> {
  return sql<T>`${sql.placeholder(name)}`;
}

/** JSON for a column that is changed through `setTo`. */
export function encoded(value: unknown): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value);
}
