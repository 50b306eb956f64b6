import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { AppError } from "../../src/errors.ts";
import { type BackupReport, backupDatabase } from "../../src/store/backup.ts";
import { freshDatabase, type TestStore, temporaryFolder, testStore } from "./support.ts";

setDefaultTimeout(20_000);

interface Source {
  readonly folder: string;
  readonly t: TestStore;
}

/** A store that is open, as that of a running service. */
function source(): Source {
  const folder = temporaryFolder();
  return { folder, t: testStore(freshDatabase(join(folder, "sms-agent.db"))) };
}

function backup(folder: string, file: string, overwrite = false): BackupReport {
  return backupDatabase({ dataDir: folder, file, overwrite, now: 5_000, processId: process.pid });
}

function refusedBackup(folder: string, file: string, overwrite = false): AppError {
  try {
    backup(folder, file, overwrite);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("expected a refusal");
}

function inside<T>(file: string, look: (client: Database.Database) => T): T {
  const client = new Database(file, { readonly: true });
  try {
    return look(client);
  } finally {
    client.close();
  }
}

describe("a backup", () => {
  test("holds what was acknowledged before it, is one file for its owner only, and is counted", async () => {
    const { folder, t } = source();
    await t.text();
    await t.text();
    const file = join(temporaryFolder(), "b");
    const report = backup(folder, file);
    expect(report).toMatchObject({
      file,
      bytes: statSync(file).size,
      contents: { messages: 2, conversations: 1, pending_sends: 0, unfinished_turns: 1 },
    });
    expect((statSync(file).mode & 0o777).toString(8)).toBe("600");
    expect(readdirSync(join(file, ".."))).toEqual(["b"]);
    expect(inside(file, (db) => db.prepare("SELECT count(*) FROM messages").pluck().get())).toBe(2);
    expect(inside(file, (db) => db.prepare("SELECT name, at FROM file_marks").all())).toEqual([
      { name: "backup", at: 5_000 },
    ]);
  });

  test("is of one moment, however much is written meanwhile, and what is written is kept", async () => {
    const { folder, t } = source();
    const from = Array.from({ length: 40 }, (_, i) => `+1555900${String(i).padStart(4, "0")}`);
    for (const phone of from) await t.text(phone);
    const file = join(temporaryFolder(), "b");
    const pending = from.map((phone) => t.text(phone));
    const { contents } = backup(folder, file);
    await Promise.all(pending);
    // Nobody's text is half there: every text of a turn has one.
    const torn = "SELECT count(*) FROM messages WHERE turn_id NOT IN (SELECT id FROM turns)";
    expect(inside(file, (db) => db.prepare(torn).pluck().get())).toBe(0);
    expect(contents.messages).toBeGreaterThanOrEqual(40);
    expect((await t.store.messages({ limit: 200 })).items).toHaveLength(80);
  });

  test("holds nothing that was erased, and none of the keys beside the database", async () => {
    const { folder, t } = source();
    writeFileSync(join(folder, "secret.key"), "KEY-OF-THE-SECRETS");
    writeFileSync(join(folder, "admin-token"), "THE-ADMIN-TOKEN");
    await t.text("+15559000001", { message: { text: "a very secret word" } });
    const id = (await t.store.messages({ limit: 1 })).items[0]?.id;
    t.client.prepare("UPDATE messages SET text = NULL WHERE id = ?").run(id);
    t.client.exec("DELETE FROM raw_parameters");
    const file = join(temporaryFolder(), "b");
    backup(folder, file);
    const bytes = readFileSync(file, "latin1");
    for (const secret of ["a very secret word", "KEY-OF-THE-SECRETS", "THE-ADMIN-TOKEN"])
      expect(bytes).not.toContain(secret);
  });

  test("replaces another only when told to, and never a file that is none", () => {
    const { folder } = source();
    const file = join(temporaryFolder(), "b");
    backup(folder, file);
    expect(refusedBackup(folder, file)).toMatchObject({
      code: "conflict",
      message: `${file} is there already`,
      fix: expect.stringContaining("--overwrite"),
    });
    backup(folder, file, true);
    const letter = join(temporaryFolder(), "letter.txt");
    writeFileSync(letter, "Dear Ada, …");
    expect(refusedBackup(folder, letter, true).message).toBe(
      `${letter} is no backup, so it is not overwritten`,
    );
    expect(readFileSync(letter, "utf8")).toBe("Dear Ada, …");
  });

  test("goes neither into the database by any of its names, nor into what is no file", () => {
    const { folder } = source();
    const elsewhere = temporaryFolder();
    const database = join(folder, "sms-agent.db");
    symlinkSync(database, join(elsewhere, "link"));
    linkSync(database, join(elsewhere, "second-name"));
    symlinkSync(folder, join(elsewhere, "data"));
    symlinkSync(join(elsewhere, "nothing"), join(elsewhere, "dangling"));
    const live = [
      database,
      `${database}-wal`,
      `${database}-shm`,
      join(elsewhere, "link"),
      join(elsewhere, "second-name"),
      join(elsewhere, "data", "sms-agent.db"),
      join(folder, "..", folder.split("/").at(-1) ?? "", "sms-agent.db"),
    ];
    for (const file of live) {
      for (const overwrite of [false, true])
        expect(refusedBackup(folder, file, overwrite).message).toBe(
          `${file} is the database itself, or belongs to it`,
        );
    }
    expect(refusedBackup(folder, elsewhere, true).message).toBe(`${elsewhere} is a folder`);
    expect(refusedBackup(folder, "/dev/null", true).message).toBe(
      "/dev/null is no regular file, so no backup can be in it",
    );
    expect(refusedBackup(folder, join(elsewhere, "dangling")).message).toContain("leads nowhere");
    expect(refusedBackup(folder, join(elsewhere, "no", "b")).message).toContain("does not exist");
    expect(refusedBackup(folder, join(database, "b")).message).toContain("there is a file in the way");
    expect(inside(database, (db) => db.pragma("quick_check", { simple: true }))).toBe("ok");
  });

  test("that a crash has left half written is removed by the next, and one that is being written is not", () => {
    const { folder } = source();
    const target = temporaryFolder();
    const file = join(target, "b");
    // Ids of processes end below this.
    writeFileSync(`${file}.4999999.partial`, "half");
    writeFileSync(`${file}.4999999.partial-journal`, "half");
    writeFileSync(`${file}.1.partial`, "another's");
    writeFileSync(`${file}.mine.partial`, "not ours");
    backup(folder, file);
    expect(readdirSync(target).sort()).toEqual(["b", "b.1.partial", "b.mine.partial"]);
  });

  test("of a folder without a database is refused, and makes nothing", () => {
    const folder = join(temporaryFolder(), "data");
    expect(refusedBackup(folder, join(temporaryFolder(), "b")).code).toBe("not_found");
    expect(existsSync(folder)).toBe(false);
    mkdirSync(folder);
    expect(refusedBackup(folder, join(temporaryFolder(), "b")).code).toBe("not_found");
    expect(readdirSync(folder)).toEqual([]);
  });

  test("of a damaged database is refused, and leaves nothing that looks like one", async () => {
    const { folder, t } = source();
    for (let i = 0; i < 200; i++) await t.text(`+1555900${String(i).padStart(4, "0")}`);
    const root = t.client.prepare("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").pluck().get();
    await t.store.close();
    const database = join(folder, "sms-agent.db");
    const bytes = readFileSync(database);
    bytes.fill(0xee, (Number(root) - 1) * 4096, Number(root) * 4096);
    writeFileSync(database, bytes);
    const target = temporaryFolder();
    const error = refusedBackup(folder, join(target, "b"));
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain(database);
    expect(error.fix).toContain("sms-agent restore");
    expect(readdirSync(target)).toEqual([]);
  });
});
