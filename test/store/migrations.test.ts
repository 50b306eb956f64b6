import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { connector, openDatabase } from "../../src/store/connection.ts";
import { migrate } from "../../src/store/migrate.ts";
import { MIGRATIONS, type Migration } from "../../src/store/migrations.ts";
import { temporaryFolder } from "./support.ts";

const FOLDER = join(import.meta.dir, "..", "..", "migrations");

function database() {
  return openDatabase(connector(undefined), join(temporaryFolder(), "sms-agent.db"));
}

const FIRST: Migration = { name: "0000_first", sql: "CREATE TABLE a (x INTEGER PRIMARY KEY);" };
const SECOND: Migration = {
  name: "0001_second",
  sql: "ALTER TABLE a ADD COLUMN y TEXT;\n--> statement-breakpoint\nCREATE INDEX a_y ON a (y);",
};

describe("the embedded migrations", () => {
  test("are every file of the folder, in its order and word for word", () => {
    const files = readdirSync(FOLDER)
      .filter((name) => name.endsWith(".sql"))
      .sort();
    expect(MIGRATIONS.map(({ name }) => `${name}.sql`)).toEqual(files);
    for (const { name, sql } of MIGRATIONS)
      expect(sql).toBe(readFileSync(join(FOLDER, `${name}.sql`), "utf8"));
  });

  test("are those of the generator's journal", () => {
    const journal: unknown = JSON.parse(readFileSync(join(FOLDER, "meta", "_journal.json"), "utf8"));
    expect(journal).toMatchObject({ entries: MIGRATIONS.map(({ name }, idx) => ({ idx, tag: name })) });
  });

  test("make a sound database", () => {
    const client = database();
    migrate(client, MIGRATIONS, 0);
    expect(client.pragma("integrity_check", { simple: true })).toBe("ok");
    expect(client.pragma("foreign_key_check")).toEqual([]);
    expect(client.pragma("auto_vacuum", { simple: true })).toBe(2);
    client.close();
  });
});

describe("migrating", () => {
  test("applies what is missing, once", () => {
    const client = database();
    expect(migrate(client, [FIRST], 1)).toEqual(["0000_first"]);
    client.exec("INSERT INTO a (x) VALUES (7)");
    expect(migrate(client, [FIRST, SECOND], 2)).toEqual(["0001_second"]);
    expect(migrate(client, [FIRST, SECOND], 3)).toEqual([]);
    expect(client.prepare("SELECT x, y FROM a").all()).toEqual([{ x: 7, y: null }]);
    client.close();
  });

  test("leaves nothing of a migration that fails, and keeps those before it", () => {
    const client = database();
    const broken: Migration = {
      name: "0001_broken",
      sql: "CREATE TABLE b (x);\nINSERT INTO nowhere VALUES (1);",
    };
    expect(() => migrate(client, [FIRST, broken], 1)).toThrow("0001_broken");
    const tables = client
      .prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table'")
      .pluck()
      .all();
    expect(tables.sort()).toEqual(["a", "schema_migrations"]);
    expect(migrate(client, [FIRST, SECOND], 2)).toEqual(["0001_second"]);
    client.close();
  });

  test("refuses to leave rows that point at nothing", () => {
    const client = database();
    const dangling: Migration = {
      name: "0001_dangling",
      sql: "CREATE TABLE c (x REFERENCES a (x)); INSERT INTO c VALUES (99);",
    };
    expect(() => migrate(client, [FIRST, dangling], 1)).toThrow("point at nothing");
    expect(() => client.prepare("SELECT * FROM c")).toThrow();
    client.close();
  });

  test("refuses a database of a newer version and says so", () => {
    const client = database();
    migrate(client, [FIRST, SECOND], 1);
    expect(() => migrate(client, [FIRST], 2)).toThrow("newer version of sms-agent (it has 0001_second)");
    client.close();
  });

  test("refuses a database that was made by a migration which has changed since", () => {
    const client = database();
    migrate(client, [FIRST], 1);
    const changed: Migration = { name: FIRST.name, sql: `${FIRST.sql}\nCREATE TABLE more (x);` };
    expect(() => migrate(client, [changed, SECOND], 2)).toThrow("another 0000_first");
    expect(() => client.prepare("SELECT y FROM a")).toThrow();
    client.close();
  });

  test("takes line endings of another system for the same migration", () => {
    const client = database();
    migrate(client, [FIRST, SECOND], 1);
    const crlf = { name: SECOND.name, sql: SECOND.sql.replaceAll("\n", "\r\n") };
    expect(migrate(client, [FIRST, crlf], 2)).toEqual([]);
    client.close();
  });

  test("refuses the database of another program", () => {
    const client = database();
    client.exec("CREATE TABLE theirs (x)");
    expect(() => migrate(client, [FIRST], 1)).toThrow("another program");
    client.close();
  });
});
