import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { AppError } from "../../src/errors.ts";
import { checkDatabase } from "../../src/store/check.ts";
import { openStore } from "../../src/store/open.ts";
import type { Store } from "../../src/store.ts";
import { manualClock } from "../support/clock.ts";
import { closeLater, quiet, refusal, temporaryFolder, testStore } from "./support.ts";

setDefaultTimeout(20_000);

const PAGE = 4096;

const open = async (dataDir: string): Promise<Store> =>
  closeLater(await openStore({ dataDir, clock: manualClock(), log: quiet }));

const databaseOf = (folder: string) => join(folder, "sms-agent.db");

/** A data folder as a service leaves it, with some texts. */
async function used(texts = 30): Promise<string> {
  const folder = temporaryFolder();
  await (await openStore({ dataDir: folder, clock: manualClock(), log: quiet })).close();
  await write(folder, texts, "first");
  return folder;
}

/** A data folder as a kill leaves it: the last commits are in the log alone. */
async function killed(): Promise<string> {
  const from = await used();
  const live = await openStore({ dataDir: from, clock: manualClock(), log: quiet });
  await write(from, 30, "later");
  const folder = temporaryFolder();
  cpSync(from, folder, { recursive: true });
  await live.close();
  return folder;
}

/** Adds texts as a service does, from one sender each. */
async function write(folder: string, texts: number, name: string): Promise<void> {
  const client = new Database(databaseOf(folder));
  const t = testStore(client);
  for (let i = 0; i < texts; i++)
    await t.text(`+1555900${String(i).padStart(4, "0")}`, { message: { sid: `SM${name}${i}` } });
  client.close();
}

async function messagesIn(folder: string): Promise<number> {
  const store = await open(folder);
  return (await store.messages({ limit: 200 })).items.length;
}

function overwrite(file: string, from: number, bytes: number): void {
  const content = readFileSync(file);
  content.fill(0xa5, from, from + bytes);
  writeFileSync(file, content);
}

describe("a damaged database", () => {
  const cases: readonly (readonly [string, (file: string) => void, string])[] = [
    [
      "with its header overwritten",
      (file) => overwrite(file, 0, 100),
      "is no SQLite database, or its beginning",
    ],
    ["of no bytes", (file) => truncateSync(file, 0), "is empty, which one of sms-agent never is"],
    ["that is cut off", (file) => truncateSync(file, 20 * PAGE), `is cut off: it is ${20 * PAGE} bytes long`],
    ["that is cut off in its header", (file) => truncateSync(file, 60), "is only 60 bytes long"],
    ["that is another file", (file) => writeFileSync(file, "%PDF-1.7 ".repeat(900)), "is no SQLite database"],
    ["with its schema overwritten", (file) => overwrite(file, 100, PAGE - 100), "cannot be used: "],
    ["with its first tables overwritten", (file) => overwrite(file, PAGE, 40 * PAGE), "cannot be used: "],
  ];
  for (const [what, damage, message] of cases) {
    test(`${what} is told at the start, with the file and the way out, and left as it is`, async () => {
      const folder = await used();
      const file = databaseOf(folder);
      damage(file);
      const bytes = readFileSync(file);
      const error = await refusal(open(folder));
      expect(error.code).toBe("unavailable");
      expect(error.message).toContain(file);
      expect(error.message).toContain(message);
      expect(error.fix).toContain("sms-agent restore FILE");
      expect(error.fix).toContain("move sms-agent.db");
      expect(readFileSync(file).subarray(100).equals(bytes.subarray(100))).toBe(true);
    });
  }

  test("is begun anew once its files were moved away", async () => {
    const folder = await used();
    truncateSync(databaseOf(folder), 0);
    await refusal(open(folder));
    rmSync(databaseOf(folder));
    expect(await messagesIn(folder)).toBe(0);
  });

  test("of another program is left alone, by its mark or by its tables", async () => {
    for (const mark of ["PRAGMA application_id = 1196444487", "SELECT 1"]) {
      const folder = temporaryFolder();
      const other = new Database(databaseOf(folder));
      other.exec(`CREATE TABLE recipes (id); ${mark}`);
      other.close();
      const bytes = readFileSync(databaseOf(folder));
      const error = await refusal(open(folder));
      expect([error.code, error.message]).toEqual(["conflict", expect.stringContaining("another program")]);
      expect(readFileSync(databaseOf(folder)).subarray(100).equals(bytes.subarray(100))).toBe(true);
    }
  });

  test("deep inside is found by a check, which names what is wrong", async () => {
    const folder = await used(400);
    const file = databaseOf(folder);
    expect(checkDatabase(folder, undefined)).toMatchObject({ damage: [], contents: { messages: 400 } });
    const client = new Database(file);
    const leaf = client
      .prepare("SELECT rootpage FROM sqlite_master WHERE name = 'messages_from'")
      .pluck()
      .get();
    client.close();
    overwrite(file, (Number(leaf) - 1) * PAGE, PAGE);
    const { damage, contents } = checkDatabase(folder, undefined);
    expect(damage.length).toBeGreaterThan(0);
    expect(contents).toBeUndefined();
  });
});

describe("the write-ahead log", () => {
  test("of a killed service is taken over, with and without its index", async () => {
    for (const without of [false, true]) {
      const folder = await killed();
      expect(statSync(`${databaseOf(folder)}-wal`).size).toBeGreaterThan(0);
      if (without) rmSync(`${databaseOf(folder)}-shm`);
      expect(await messagesIn(folder)).toBe(60);
    }
  });

  test("that is cut off loses what was cut, and nothing before it", async () => {
    const folder = await killed();
    const wal = `${databaseOf(folder)}-wal`;
    truncateSync(wal, Math.floor(statSync(wal).size / 2));
    const found = await messagesIn(folder);
    expect(found).toBeGreaterThanOrEqual(30);
    expect(found).toBeLessThan(60);
    expect(checkDatabase(folder, undefined).damage).toEqual([]);
  });

  test("with garbage at its end loses nothing", async () => {
    const folder = await killed();
    appendFileSync(`${databaseOf(folder)}-wal`, Buffer.alloc(3 * PAGE, 0x5a));
    expect(await messagesIn(folder)).toBe(60);
  });

  test("whose beginning is damaged stops the start, since SQLite would skip it and all commits in it", async () => {
    for (const damage of [
      (wal: string) => writeFileSync(wal, Buffer.alloc(8 * PAGE, 0x5a)),
      (wal: string) => overwrite(wal, 8, 4),
      (wal: string) => overwrite(wal, 24, 8),
    ]) {
      const folder = await killed();
      const wal = `${databaseOf(folder)}-wal`;
      damage(wal);
      const bytes = readFileSync(wal);
      const error = await refusal(open(folder));
      expect(error.message).toContain(`the write-ahead log ${wal}`);
      expect(error.fix).toContain("restore FILE");
      expect(readFileSync(wal).equals(bytes)).toBe(true);
    }
  });

  test("that was made and not written yet is none", async () => {
    const folder = await used();
    writeFileSync(`${databaseOf(folder)}-wal`, Buffer.alloc(32));
    expect(await messagesIn(folder)).toBe(30);
  });

  test("of another database is never put into this one", async () => {
    const folder = await killed();
    const other = await used(5);
    copyFileSync(`${databaseOf(folder)}-wal`, `${databaseOf(other)}-wal`);
    const error = await refusal(open(other));
    expect(error.message).toContain("is the log of another database");
    rmSync(`${databaseOf(other)}-wal`);
    expect(await messagesIn(other)).toBe(5);
    expect(checkDatabase(other, undefined).damage).toEqual([]);
  });

  test("stays out of a backup that was copied over the database of a killed service", async () => {
    const folder = await killed();
    const copy = databaseOf(await used(5));
    copyFileSync(copy, databaseOf(folder));
    const error = await refusal(open(folder));
    expect(error.message).toContain("is the log of another database");
    expect(error.fix).toContain("move the -wal and -shm files beside it away");
  });

  test("without its database stops the start, since an empty one would take every text for a new one", async () => {
    const folder = await killed();
    rmSync(databaseOf(folder));
    const error = await refusal(open(folder));
    expect(error.message).toContain("is missing, and its log");
    expect(existsSync(databaseOf(folder))).toBe(false);
  });

  test("is known again after starts that a reader kept from emptying it", async () => {
    const folder = await used();
    const reader = new Database(databaseOf(folder), { readonly: true });
    reader.exec("BEGIN; SELECT count(*) FROM messages");
    reader.prepare("SELECT count(*) FROM messages").get();
    for (let start = 0; start < 3; start++) {
      const store = await openStore({ dataDir: folder, clock: manualClock(), log: quiet });
      await store.ping();
      const frozen = temporaryFolder();
      for (const name of ["sms-agent.db", "sms-agent.db-wal"])
        copyFileSync(join(folder, name), join(frozen, name));
      await store.close();
      for (const name of ["sms-agent.db", "sms-agent.db-wal"])
        copyFileSync(join(frozen, name), join(folder, name));
    }
    reader.close();
    expect(await messagesIn(folder)).toBe(30);
  });
});

test("a database that is a link stops the start, above all one that leads to a disk that is not there", async () => {
  const elsewhere = await used();
  const folder = temporaryFolder();
  symlinkSync(databaseOf(elsewhere), databaseOf(folder));
  expect((await refusal(open(folder))).message).toEndWith("is a link");
  renameSync(elsewhere, `${elsewhere}.unplugged`);
  expect((await refusal(open(folder))).message).toEndWith("is a link that leads nowhere: is its disk there?");
  expect(lstatSync(databaseOf(folder)).isSymbolicLink()).toBe(true);
  renameSync(`${elsewhere}.unplugged`, elsewhere);
  // A folder may be one.
  rmSync(folder, { recursive: true });
  symlinkSync(elsewhere, folder);
  expect(await messagesIn(folder)).toBe(30);
});

test("a refusal at the start gives the data folder back", async () => {
  const folder = await used();
  const bytes = readFileSync(databaseOf(folder));
  truncateSync(databaseOf(folder), 0);
  expect(await refusal(open(folder))).toBeInstanceOf(AppError);
  writeFileSync(databaseOf(folder), bytes);
  expect(await messagesIn(folder)).toBe(30);
});
