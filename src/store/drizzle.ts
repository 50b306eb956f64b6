import type Database from "better-sqlite3";
import { Column, is, NoopLogger, Param, Placeholder, type Query, SQL } from "drizzle-orm";
import { BetterSQLite3Database, BetterSQLiteSession, PreparedQuery } from "drizzle-orm/better-sqlite3";
import { NoopCache } from "drizzle-orm/cache/core";
import type { PreparedQueryConfig } from "drizzle-orm/sqlite-core";
import { SQLiteSyncDialect } from "drizzle-orm/sqlite-core";
import type { Db } from "./statement.ts";

// The library asks at every run of what kind each parameter and each column is, which takes longer than SQLite takes
// for most statements. Here that is found out once, when the statement is prepared.

type LibrarySession = BetterSQLiteSession<Record<string, never>, Record<string, never>>;
type Prepare = Parameters<LibrarySession["prepareQuery"]>;
type Fields = NonNullable<Prepare[1]>;
type Values = Readonly<Record<string, unknown>>;
type Shape = Omit<PreparedQueryConfig, "run">;
type Config = ConstructorParameters<typeof PreparedQuery>;

/** Drizzle over an open database. */
export function openDrizzle(client: Database.Database): Db {
  const dialect = new SQLiteSyncDialect();
  const session = new Session(client, dialect);
  const db = new BetterSQLite3Database<Record<string, never>>("sync", dialect, session, undefined);
  return Object.assign(db, { $client: client });
}

class Session extends BetterSQLiteSession<Record<string, never>, Record<string, never>> {
  readonly #client: Database.Database;

  constructor(client: Database.Database, dialect: SQLiteSyncDialect) {
    super(client, dialect, undefined);
    this.#client = client;
  }

  override prepareQuery<T extends Shape>(
    query: Query,
    fields: Prepare[1],
    method: Prepare[2],
    arrays: boolean,
    mapper?: Prepare[4],
  ): PreparedQuery<T> {
    const statement = this.#client.prepare<unknown[], unknown[]>(query.sql);
    return new Prepared<T>(statement, query, fields, method, arrays, mapper);
  }
}

/** What the builders say a row is; as in the library, nothing checks it. */
class Prepared<T extends Shape> extends PreparedQuery<T> {
  readonly #statement: Database.Statement<unknown[], unknown[]>;
  readonly #bind: (values: Values) => unknown[];
  readonly #read: ((row: unknown[]) => unknown) | undefined;

  constructor(
    statement: Database.Statement<unknown[], unknown[]>,
    query: Query,
    fields: Prepare[1],
    method: Prepare[2],
    arrays: boolean,
    mapper: Prepare[4],
  ) {
    super(statement, query, LOGGER, CACHE, undefined, undefined, fields, method, arrays, mapper);
    this.#statement = statement;
    this.#bind = binderOf(query.params);
    this.#read = fields === undefined || mapper !== undefined ? undefined : readerOf(fields);
    if (this.#read !== undefined) statement.raw(true);
  }

  override run(values: Values = {}): Database.RunResult {
    return this.#statement.run(this.#bind(values));
  }

  override get(values: Values = {}): T["get"] {
    if (this.#read === undefined) return super.get(values);
    const row = this.#statement.get(this.#bind(values));
    return row === undefined ? undefined : this.#read(row);
  }

  override all(values: Values = {}): T["all"] {
    if (this.#read === undefined) return super.all(values);
    return this.#statement.all(this.#bind(values)).map(this.#read);
  }
}

const LOGGER: Config[2] = new NoopLogger();
const CACHE: Config[3] = new NoopCache();

/** Puts the values of a run in the places of the parameters, encoded as their columns want. */
function binderOf(parameters: readonly unknown[]): (values: Values) => unknown[] {
  const places = parameters.map((parameter) => {
    if (is(parameter, Placeholder)) return { name: parameter.name, encode: undefined, constant: undefined };
    if (is(parameter, Param) && is(parameter.value, Placeholder)) {
      const { encoder } = parameter;
      const same = is(encoder, Column) && encoder.mapToDriverValue === Column.prototype.mapToDriverValue;
      const encode = same ? undefined : (value: unknown) => encoder.mapToDriverValue(value);
      return { name: parameter.value.name, encode, constant: undefined };
    }
    return { name: undefined, encode: undefined, constant: parameter };
  });
  return (values) => {
    const bound = new Array<unknown>(places.length);
    for (let i = 0; i < places.length; i++) {
      const place = places[i];
      if (place === undefined) continue;
      const { name, encode, constant } = place;
      if (name === undefined) {
        bound[i] = constant;
        continue;
      }
      const value = values[name];
      if (value === undefined && !(name in values))
        throw new Error(`no value for the parameter ${name} of a statement`);
      bound[i] = encode === undefined ? value : encode(value);
    }
    return bound;
  };
}

/** Makes an object of a row; undefined for what is nested or named by an alias, which the library reads itself. */
function readerOf(fields: Fields): ((row: unknown[]) => unknown) | undefined {
  if (fields.some(({ path, field }) => path.length !== 1 || !(is(field, Column) || is(field, SQL))))
    return undefined;
  const names = fields.map(({ path }) => path[0] ?? "");
  const decoders = fields.map(({ field }) => decoderOf(field));
  return (row) => {
    const read: Record<string, unknown> = {};
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      const value = row[i];
      if (name === undefined) continue;
      const decode = value === null ? undefined : decoders[i];
      read[name] = decode === undefined ? value : decode(value);
    }
    return read;
  };
}

/** How a value of the database becomes one of ours; undefined where it is the same. Nothing here maps an expression. */
function decoderOf(field: Fields[number]["field"]): ((value: unknown) => unknown) | undefined {
  if (!is(field, Column) || field.mapFromDriverValue === Column.prototype.mapFromDriverValue)
    return undefined;
  return (value) => field.mapFromDriverValue(value);
}
