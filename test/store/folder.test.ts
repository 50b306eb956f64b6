import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { EmbeddedAddon } from "../../src/store/addon.ts";
import { openStore, type StoreOptions } from "../../src/store/open.ts";
import type { Store } from "../../src/store.ts";
import { manualClock } from "../support/clock.ts";
import { closeLater, freshDatabase, quiet, refusal, temporaryFolder } from "./support.ts";

async function open(dataDir: string, changes: Partial<StoreOptions> = {}): Promise<Store> {
  return closeLater(await openStore({ dataDir, clock: manualClock(), log: quiet, ...changes }));
}

const mode = (file: string) => (statSync(file).mode & 0o777).toString(8);

/** The addon at `path`, as the build embeds it. */
function embedded(path = ownAddon()): EmbeddedAddon {
  return { path, sha256: new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex") };
}

/** The addon of this machine. */
function ownAddon(): string {
  const require = createRequire(import.meta.url);
  const binding = join(dirname(require.resolve("better-sqlite3")), "binding.js");
  const { getPrebuildPath }: { getPrebuildPath(): string } = require(binding);
  return getPrebuildPath();
}

describe("the data folder", () => {
  test("that cannot be written into is named, with what to do, instead of a stack", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "run", "generation", "in-the-way"), { recursive: true });
    const refused = await refusal(open(folder));
    expect(refused.code).toBe("unavailable");
    expect(refused.message).toContain(`cannot use the data folder ${folder}: `);
    expect(refused.fix).toContain("write access");
  });

  test("is made for its owner only, and so is everything in it", async () => {
    const folder = join(temporaryFolder(), "deep", "data");
    const before = process.umask(0);
    try {
      const store = await open(folder);
      await store.ping();
      expect([mode(folder), mode(join(folder, "run"))]).toEqual(["700", "700"]);
      const files = ["sms-agent.db", "sms-agent.db-wal", "sms-agent.db-shm", "run/lock.db", "run/pid"];
      for (const file of files) expect(`${file} ${mode(join(folder, file))}`).toBe(`${file} 600`);
    } finally {
      process.umask(before);
    }
  });

  test("keeps the mode its owner gave it; a database that others could read is closed to them", async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    freshDatabase(join(folder, "sms-agent.db")).close();
    chmodSync(join(folder, "sms-agent.db"), 0o644);
    await open(folder);
    expect([mode(folder), mode(join(folder, "sms-agent.db"))]).toEqual(["755", "600"]);
  });

  test("that cannot be used is named, with what to do", async () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    for (const folder of [file, join(file, "data")]) {
      const error = await refusal(open(folder));
      expect(error.code).toBe("unavailable");
      expect(error.message).toContain(folder);
      expect(error.fix).toContain("data_dir");
    }
  });

  test("is refused when its run folder is a link to somewhere else", async () => {
    const folder = temporaryFolder();
    symlinkSync(temporaryFolder(), join(folder, "run"));
    expect((await refusal(open(folder))).message).toContain("run");
  });

  test("belongs to one process at a time, and the refusal names folder and process", async () => {
    const folder = temporaryFolder();
    const store = await open(folder);
    const error = await refusal(open(folder));
    expect(error.code).toBe("conflict");
    expect(error.message).toBe(
      `the data folder ${folder} is in use by another sms-agent (process ${process.pid})`,
    );
    await store.close();
    await (await open(folder)).ping();
  });

  test("is not opened when the database is damaged, and says what to do", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "sms-agent.db"), "this is not a database, ".repeat(500));
    const error = await refusal(open(folder));
    expect(error.code).toBe("unavailable");
    expect(error.fix).toContain("backup");
    // The lock is given back, so that one that takes its place can be opened.
    rmSync(join(folder, "sms-agent.db"));
    await (await open(folder)).ping();
  });

  test("is not opened when the database comes from a newer version", async () => {
    const folder = temporaryFolder();
    const client = freshDatabase(join(folder, "sms-agent.db"));
    client.exec("INSERT INTO schema_migrations VALUES (9999, '9999_future', 'x', 0)");
    client.close();
    const error = await refusal(open(folder));
    expect([error.code, error.message]).toEqual(["conflict", expect.stringContaining("newer version")]);
  });

  test("keeps what was written when it is opened again", async () => {
    const folder = temporaryFolder();
    const store = await open(folder);
    const code = { id: "pair_1", channel: "sms", code: "ABCD-2345", createdAt: 1, expiresAt: 2 };
    await store.savePairing(code);
    await store.close();
    expect((await refusal(store.ping())).code).toBe("unavailable");
    expect((await refusal(store.pairing("sms"))).code).toBe("unavailable");
    await store.close();
    expect(await (await open(folder)).pairing("sms")).toEqual(code);
  });

  test("is durable by the database's own settings", async () => {
    const folder = temporaryFolder();
    const client = freshDatabase(join(folder, "sms-agent.db"));
    const pragma = (name: string) => client.pragma(name, { simple: true });
    expect([pragma("journal_mode"), pragma("synchronous"), pragma("secure_delete")]).toEqual(["wal", 2, 1]);
    expect([pragma("foreign_keys"), pragma("mmap_size"), pragma("temp_store")]).toEqual([1, 0, 2]);
    client.close();
  });
});

describe("the addon", () => {
  test("is unpacked under its hash into the folder of the process, and loaded from there", async () => {
    const folder = temporaryFolder();
    const store = await open(folder, { addon: embedded() });
    await store.ping();
    const names = readdirSync(join(folder, "run")).filter((name) => name.endsWith(".node"));
    const hash = new Bun.CryptoHasher("sha256").update(readFileSync(ownAddon())).digest("hex");
    expect(names).toEqual([`sqlite-${hash}.node`]);
    expect(mode(join(folder, "run", `sqlite-${hash}.node`))).toBe("600");
    expect(readFileSync("/proc/self/maps", "utf8")).toContain(`sqlite-${hash}.node`);
  });

  test("that was changed is replaced before it is loaded; a link in its place is not followed", async () => {
    const hash = new Bun.CryptoHasher("sha256").update(readFileSync(ownAddon())).digest("hex");
    const name = `sqlite-${hash}.node`;
    for (const plant of [
      (file: string) => writeFileSync(file, Buffer.alloc(statSync(ownAddon()).size)),
      (file: string) => symlinkSync(ownAddon(), file),
    ]) {
      const folder = temporaryFolder();
      mkdirSync(join(folder, "run"));
      plant(join(folder, "run", name));
      await (await open(folder, { addon: embedded() })).ping();
      const file = join(folder, "run", name);
      expect(readFileSync(file).equals(readFileSync(ownAddon()))).toBe(true);
      expect(statSync(file).ino).not.toBe(statSync(ownAddon()).ino);
    }
  });

  test("of an earlier version, and what a crash left half written, is removed", async () => {
    const folder = temporaryFolder();
    const run = join(folder, "run");
    mkdirSync(run);
    const old = `sqlite-${"0".repeat(64)}.node`;
    for (const name of [old, `${old}.00ff.tmp`, "note.txt"]) writeFileSync(join(run, name), "x");
    await open(folder, { addon: embedded() });
    expect([old, `${old}.00ff.tmp`, "note.txt"].map((name) => existsSync(join(run, name)))).toEqual([
      false,
      false,
      true,
    ]);
  });

  test("that cannot be loaded gives a message about the folder", async () => {
    const folder = temporaryFolder();
    const broken = join(temporaryFolder(), "broken.node");
    writeFileSync(broken, "not an addon");
    const error = await refusal(open(folder, { addon: embedded(broken) }));
    expect(error.code).toBe("unavailable");
    expect(error.fix).toContain("noexec");
  });
});
