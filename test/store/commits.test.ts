import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type Database from "better-sqlite3";
import { createCommits } from "../../src/store/commits.ts";
import { connector, openDatabase } from "../../src/store/connection.ts";
import { refusal, temporaryFolder } from "./support.ts";

const open: Database.Database[] = [];
afterEach(() => {
  for (const client of open.splice(0)) client.close();
});

function database(): { readonly client: Database.Database; insert(value: string): void; values(): string[] } {
  const client = openDatabase(connector(undefined), join(temporaryFolder(), "test.db"));
  open.push(client);
  client.exec("CREATE TABLE notes (value TEXT NOT NULL UNIQUE)");
  const insert = client.prepare("INSERT INTO notes VALUES (?)");
  const values = client.prepare<[], string>("SELECT value FROM notes ORDER BY value").pluck();
  return { client, insert: (value) => void insert.run(value), values: () => values.all() };
}

describe("group commit", () => {
  test("writes of one turn of the event loop share one commit", async () => {
    const { client, insert, values } = database();
    let commits = 0;
    const { write } = createCommits(client, { onCommit: () => void commits++ });
    await Promise.all(["a", "b", "c"].map((value) => write(() => insert(value))));
    expect(commits).toBe(1);
    expect(values()).toEqual(["a", "b", "c"]);
    await write(() => insert("d"));
    expect(commits).toBe(2);
  });

  test("nothing is written, and nobody told, before the commit", async () => {
    const { client, insert } = database();
    const file = client.name;
    const other = openDatabase(connector(undefined), file);
    open.push(other);
    const seen = other.prepare<[], number>("SELECT count(*) FROM notes").pluck();
    const { write } = createCommits(client);
    let told = false;
    const writing = write(() => insert("a")).then(() => {
      told = true;
      return seen.get();
    });
    expect(told).toBe(false);
    expect(await writing).toBe(1);
  });

  test("a write that fails is undone whole and does not harm the others", async () => {
    const { client, insert, values } = database();
    const { write } = createCommits(client);
    const settled = await Promise.allSettled([
      write(() => insert("a")),
      write(() => {
        insert("half");
        insert("a");
      }),
      write(() => {
        insert("lost");
        throw new Error("a bug");
      }),
      write(() => insert("b")),
    ]);
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
    expect(values()).toEqual(["a", "b"]);
  });

  test("a full disk rejects every write of the commit as unavailable and keeps none of them", async () => {
    const { client, insert, values } = database();
    const { write } = createCommits(client);
    await write(() => insert("before"));
    client.pragma(`max_page_count = ${client.pragma("page_count", { simple: true })}`);
    const refusals = await Promise.all([
      refusal(write(() => insert("small"))),
      refusal(write(() => insert("x".repeat(100_000)))),
      refusal(write(() => insert("another"))),
    ]);
    for (const { code, fix } of refusals) {
      expect(code).toBe("unavailable");
      expect(fix).toContain("Free space");
    }
    expect(values()).toEqual(["before"]);
    client.pragma("max_page_count = 1000000");
    await write(() => insert("after"));
    expect(values()).toEqual(["after", "before"]);
  });

  test("a read-only database rejects writes as unavailable", async () => {
    const { client, insert } = database();
    client.pragma("query_only = ON");
    const { write } = createCommits(client);
    expect((await refusal(write(() => insert("a")))).code).toBe("unavailable");
  });

  test("a flood is cut into commits of a bounded size, in order", async () => {
    const { client, insert } = database();
    const sizes: number[] = [];
    let size = 0;
    const { write } = createCommits(client, {
      limit: 10,
      onCommit: () => {
        sizes.push(size);
        size = 0;
      },
    });
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 25 }, (_, index) =>
        write(() => {
          size++;
          order.push(index);
          insert(String(index));
        }),
      ),
    );
    expect(sizes).toEqual([10, 10, 5]);
    expect(order).toEqual(Array.from({ length: 25 }, (_, index) => index));
  });

  test("closing commits what waits and refuses what comes later", async () => {
    const { client, insert, values } = database();
    const commits = createCommits(client);
    const writing = commits.write(() => insert("a"));
    commits.close();
    await writing;
    expect(values()).toEqual(["a"]);
    expect((await refusal(commits.write(() => insert("b")))).code).toBe("unavailable");
  });
});
