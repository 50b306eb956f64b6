import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type Database from "better-sqlite3";
import type { AppError } from "../../src/errors.ts";
import { createCommits } from "../../src/store/commits.ts";
import { connector, openDatabase } from "../../src/store/connection.ts";
import type { LogSync } from "../../src/store/log-sync.ts";
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
    await commits.close();
    await writing;
    expect(values()).toEqual(["a"]);
    expect((await refusal(commits.write(() => insert("b")))).code).toBe("unavailable");
  });

  describe("with a disk that is synced beside the event loop", () => {
    /** A disk whose syncs end when they are told to. */
    function disk() {
      const syncs: ((error: Error | null) => void)[] = [];
      const closed: number[] = [];
      const sync: LogSync = {
        start: (done) => void syncs.push(done),
        close: () => void closed.push(syncs.length),
      };
      const begun = async (count: number) => {
        while (syncs.length < count) await new Promise((resolve) => setImmediate(resolve));
      };
      return { sync, syncs, closed, begun };
    }

    test("nobody is told before the sync is done, and what comes meanwhile is one commit", async () => {
      const { client, insert, values } = database();
      const { sync, syncs, begun } = disk();
      let commits = 0;
      const { write } = createCommits(client, { sync, onCommit: () => void commits++ });
      const told: string[] = [];
      const writeAll = (...names: string[]) =>
        names.map((name) => write(() => insert(name)).then(() => void told.push(name)));
      const first = writeAll("a");
      await begun(1);
      const later = writeAll("b", "c");
      await new Promise((resolve) => setImmediate(resolve));
      expect([values(), told, commits, syncs.length]).toEqual([["a"], [], 0, 1]);
      syncs[0]?.(null);
      await Promise.all(first);
      expect([told, commits]).toEqual([["a"], 1]);
      await begun(2);
      expect(values()).toEqual(["a", "b", "c"]);
      syncs[1]?.(null);
      await Promise.all(later);
      expect([told, commits]).toEqual([["a", "b", "c"], 2]);
    });

    test("a sync that fails refuses its writes and all that come after, and says so once", async () => {
      const { client, insert, values } = database();
      const { sync, syncs, begun } = disk();
      const broken: AppError[] = [];
      const commits = createCommits(client, { sync, onBroken: (error) => broken.push(error) });
      const lost = refusal(commits.write(() => insert("a")));
      await begun(1);
      const waited = refusal(commits.write(() => insert("b")));
      syncs[0]?.(Object.assign(new Error("i/o error"), { code: "EIO" }));
      for (const error of [await lost, await waited, await refusal(commits.write(() => insert("c")))]) {
        expect(error.code).toBe("unavailable");
        expect(error.fix).toContain("start the service again");
      }
      expect(broken).toHaveLength(1);
      expect(commits.broken).toBe(true);
      expect([values(), syncs.length]).toEqual([["a"], 1]);
    });

    test("closing waits for the sync that is under way and for what came before it", async () => {
      const { client, insert } = database();
      const { sync, syncs, closed, begun } = disk();
      const commits = createCommits(client, { sync });
      const first = commits.write(() => insert("a"));
      await begun(1);
      const second = commits.write(() => insert("b"));
      const closing = commits.close();
      syncs[0]?.(null);
      await begun(2);
      expect(closed).toEqual([]);
      syncs[1]?.(null);
      await Promise.all([first, second, closing]);
      expect(closed).toEqual([2]);
    });
  });
});
