import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { AppError } from "../../src/errors.ts";
import { createIds } from "../../src/ids.ts";
import { backupDatabase } from "../../src/store/backup.ts";
import { openStore } from "../../src/store/open.ts";
import { type RestoreReport, restoreDatabase } from "../../src/store/restore.ts";
import type { Store } from "../../src/store.ts";
import { manualClock } from "../support/clock.ts";
import {
  ALICE,
  BOB,
  closeLater,
  freshDatabase,
  present,
  quiet,
  type TestStore,
  temporaryFolder,
  testStore,
} from "./support.ts";

setDefaultTimeout(20_000);

const HOUR = 3_600_000;
const MADE = Date.parse("2026-03-01T08:00:00Z");
/** The restore comes a day after the backup. */
const NOW = MADE + 24 * HOUR;

interface Source {
  readonly folder: string;
  readonly t: TestStore;
}

function source(): Source {
  const folder = temporaryFolder();
  return { folder, t: testStore(freshDatabase(join(folder, "sms-agent.db")), manualClock(MADE)) };
}

function backup({ folder }: Source): string {
  const file = join(temporaryFolder(), "backup");
  backupDatabase({ dataDir: folder, file, overwrite: false, now: MADE, processId: process.pid });
  return file;
}

function restore(file: string, dataDir = temporaryFolder()): RestoreReport {
  const newId = createIds(manualClock(NOW), (length) => crypto.getRandomValues(new Uint8Array(length)));
  return restoreDatabase({ dataDir, file, now: NOW, newId });
}

function refused(file: string, dataDir = temporaryFolder()): AppError {
  try {
    restore(file, dataDir);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("expected a refusal");
}

const open = async (dataDir: string): Promise<Store> =>
  closeLater(await openStore({ dataDir, clock: manualClock(NOW), log: quiet }));

/** Backs up, restores elsewhere and opens that. */
async function restored(from: Source): Promise<{ readonly store: Store; readonly report: RestoreReport }> {
  const folder = temporaryFolder();
  const report = restore(backup(from), folder);
  return { store: await open(folder), report };
}

/** All work that any worker of a service would take up now, or within a year. */
async function workOf(store: Store, now = NOW + 365 * 24 * HOUR): Promise<readonly unknown[]> {
  const claim = { now, lease: HOUR, limit: 100, channels: ["sms"] };
  await store.recover(now);
  const { looks } = await store.claimLooks(claim);
  return [...(await store.claimTurns(claim)), ...(await store.claimSends(claim)), ...looks];
}

describe("after a restore", () => {
  test("nothing that was unfinished is sent or answered by itself; all of it is shown, with what to do", async () => {
    const from = source();
    const { t } = from;
    const [queued, running, parked] = [BOB, ALICE, "+15553333333"];
    const half = await t.text(running);
    const [claimed] = await t.claimTurns();
    const watched = await t.text(parked);
    const [toPark] = await t.claimTurns();
    await t.store.finishTurn({
      turnId: present(toPark).turn.id,
      end: { kind: "parked", calls: ["call_1"] },
      replies: [],
      held: "keep",
      rerouted: [],
      at: t.clock.now(),
    });
    const waiting = await t.text(queued);
    expect(present(claimed).turn.address).toBe(running);
    const [pending, sending, unknown] = [t.outbound(), t.outbound({ to: BOB }), t.outbound({ to: parked })];
    for (const outbound of [unknown, sending]) await t.store.enqueue(outbound, undefined);
    const [first] = (await t.claimSends()).filter(({ message }) => message.id === unknown.id);
    await t.store.settleSend({
      messageId: unknown.id,
      attempt: present(first).attempt,
      outcome: { kind: "ambiguous", reason: "no answer" },
      at: t.clock.now(),
    });
    await t.store.enqueue(pending, undefined);

    const { store, report } = await restored(from);
    expect(report.waiting).toEqual({ sends: 3, texts: 3, missed: 0 });
    expect(await workOf(store)).toEqual([]);
    for (const { id } of [half, watched, waiting]) {
      const text = present(await store.message(id));
      expect([text.state, text.text]).toEqual(["failed", "hello"]);
      expect(present(text.error).meaning).toContain("restored from a backup");
    }
    for (const { id } of [pending, sending, unknown]) {
      const send = present(await store.message(id));
      expect(send.state).toBe("unknown");
      expect(present(send.error).fix).toContain("messages resend");
    }
    const [alert] = await store.alerts(0);
    expect(alert?.message).toContain("3 texts of unknown fate and 3 unanswered texts wait");
  });

  test("what was done is as it was, and a new text of the same person is answered", async () => {
    const from = source();
    const { t } = from;
    const { id } = await t.text();
    await t.reply(present((await t.claimTurns())[0]), "hi there");
    await t.accepted(present((await t.claimSends())[0]), "SM1", "delivered");
    const folder = temporaryFolder();
    restore(backup(from), folder);
    const client = new Database(join(folder, "sms-agent.db"));
    const again = testStore(client, manualClock(NOW));
    expect(await again.stateOf(id)).toBe("handled");
    expect((await again.store.messages({ limit: 9 })).items.map(({ state }) => state)).toEqual([
      "delivered",
      "handled",
    ]);
    await again.store.admit({
      message: again.inbound({ sid: "SMnew" }),
      effects: [again.queueTurn({ at: NOW })],
    });
    expect(await again.claimTurns()).toHaveLength(1);
  });

  test("reminders that were due since come no more, repeating ones with their next time, later ones as set", async () => {
    const from = source();
    const { t } = from;
    const reminder = (id: string, nextAt: number, more: { cron?: string; kind?: "text" | "prompt" } = {}) =>
      t.store.addReminder(
        {
          id: `rem_${id}`,
          channel: "sms",
          address: ALICE,
          agent: "assistant",
          kind: more.kind ?? "text",
          content: `the ${id} one`,
          timezone: "UTC",
          ...(more.cron === undefined ? {} : { cron: more.cron }),
          nextAt,
          createdAt: MADE,
        },
        10,
      );
    await reminder("past", MADE + HOUR);
    await reminder("asked", MADE + HOUR, { kind: "prompt" });
    await reminder("daily", MADE + HOUR, { cron: "0 9 * * *" });
    await reminder("future", NOW + HOUR);
    const { store, report } = await restored(from);
    expect(report.waiting).toEqual({ sends: 2, texts: 0, missed: 1 });
    expect(await store.dueReminders(["sms"], NOW, 10)).toEqual([]);
    const left = (await store.reminders("sms", ALICE)).map(({ id, nextAt }) => [id, nextAt]);
    expect(left.sort()).toEqual([
      ["rem_daily", Date.parse("2026-03-02T09:00:00Z")],
      ["rem_future", NOW + HOUR],
    ]);
    const shown = (await store.messages({ limit: 9 })).items;
    expect(shown.map(({ text, state }) => [text, state]).sort()).toEqual([
      ["the daily one", "unknown"],
      ["the past one", "unknown"],
    ]);
    expect(await workOf(store)).toEqual([]);
  });

  test("schedules that were due since are not made up for", async () => {
    const from = source();
    await from.t.store.followSchedules([
      { name: "missed", rule: "0 9 * * * UTC", nextAt: MADE + HOUR },
      { name: "later", rule: "0 9 1 * * UTC", nextAt: NOW + HOUR },
      { name: "over", rule: "x", nextAt: 0 },
    ]);
    const { store, report } = await restored(from);
    expect(report.waiting.missed).toBe(1);
    expect(await store.dueSchedules(NOW)).toEqual([]);
    const next = ["missed", "later", "over"].map((name) => ({ name, rule: "x", nextAt: NOW + 2 * HOUR }));
    await store.followSchedules(
      next.map((run) => (run.name === "later" ? { ...run, rule: "0 9 1 * * UTC" } : run)),
    );
    expect(await store.nextScheduleDue()).toBe(NOW + HOUR);
  });

  test("webhooks are told what happens from then on, and nothing of before again", async () => {
    const from = source();
    const { t } = from;
    await t.store.followWebhooks(["hook"], MADE);
    await t.store.appendEvent({ type: "alert", cause: "old", message: "old", fix: "none", at: MADE });
    const { store } = await restored(from);
    const claimed = await store.claimWebhooks({
      now: NOW,
      lease: HOUR,
      limit: 9,
      batch: 9,
      wanted: [{ key: "hook", types: ["alert"] }],
    });
    const told = claimed.flatMap(({ page }) => page.events.map((event) => JSON.stringify(event)));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain("was restored from a backup");
  });

  test("codes of the backup are worth nothing: neither a pairing code nor one that confirms a call", async () => {
    const from = source();
    const { t } = from;
    await t.store.savePairing({
      id: "pair_1",
      channel: "sms",
      code: "ABCD2345",
      createdAt: MADE,
      expiresAt: NOW + HOUR,
    });
    const { store } = await restored(from);
    expect(await store.pairing("sms")).toBeUndefined();
    expect(await store.restoredAt()).toBe(NOW);
  });
});

describe("a restore", () => {
  test("keeps the database that was there under a name with the time, and takes its opt-outs over", async () => {
    const old = source();
    const file = backup(old);
    await old.t.admit([{ kind: "opt_out", channel: "sms", address: BOB, at: MADE + HOUR }]);
    await old.t.text();
    await old.t.store.close();
    const before = readFileSync(join(old.folder, "sms-agent.db"));
    const report = restore(file, old.folder);
    const aside = join(old.folder, "sms-agent.db.replaced-20260302T080000Z");
    expect(report).toMatchObject({ setAside: aside, madeAt: MADE, optOuts: 1, contents: { messages: 0 } });
    expect(readFileSync(aside).equals(before)).toBe(true);
    expect((statSync(join(old.folder, "sms-agent.db")).mode & 0o777).toString(8)).toBe("600");
    const again = restore(file, old.folder);
    expect(again.setAside).toBe(`${aside}-2`);
    const store = await open(old.folder);
    expect(await store.optedOut("sms", BOB)).toBe(true);
  });

  test("is refused while a service runs, and changes nothing", async () => {
    const from = source();
    const file = backup(from);
    const folder = temporaryFolder();
    await open(folder);
    const names = readdirSync(folder).sort();
    const error = refused(file, folder);
    expect(error.code).toBe("conflict");
    expect(error.message).toBe(
      `the data folder ${folder} is in use by another sms-agent (process ${process.pid})`,
    );
    expect(readdirSync(folder).sort()).toEqual(names);
  });

  test("refuses what is no backup of ours, each with a message of its own, and leaves everything as it was", async () => {
    const from = source();
    for (let i = 0; i < 50; i++) await from.t.text(`+1555900${String(i).padStart(4, "0")}`);
    const good = readFileSync(backup(from));
    const cases: readonly (readonly [string, (file: string) => void, RegExp])[] = [
      ["missing", () => {}, /^there is no file /],
      ["folder", (file) => mkdirSync(file), /is a folder$/],
      ["empty", (file) => writeFileSync(file, ""), /is empty/],
      ["text", (file) => writeFileSync(file, "Dear Ada, ".repeat(100)), /is no SQLite database/],
      [
        "cut",
        (file) => writeFileSync(file, good.subarray(0, good.length / 2)),
        /is cut off: it is \d+ bytes/,
      ],
      [
        "overwritten",
        (file) => {
          const bytes = Buffer.from(good);
          bytes.fill(0xee, 20 * 4096, 60 * 4096);
          writeFileSync(file, bytes);
        },
        /is damaged:/,
      ],
      [
        "another program's",
        (file) => {
          const client = new Database(file);
          client.exec("CREATE TABLE recipes (id)");
          client.close();
        },
        /is not a database of sms-agent/,
      ],
      [
        "another program's with its own id",
        (file) => {
          const client = new Database(file);
          client.exec("CREATE TABLE recipes (id); PRAGMA application_id = 7");
          client.close();
        },
        /is the database of another program/,
      ],
      [
        "newer",
        (file) => {
          writeFileSync(file, good);
          const client = new Database(file);
          client.exec("INSERT INTO schema_migrations VALUES (9999, '9999_future', 'x', 0)");
          client.close();
        },
        /was written by a newer version of sms-agent/,
      ],
    ];
    const folder = temporaryFolder();
    const store = await open(folder);
    await store.close();
    const present = readFileSync(join(folder, "sms-agent.db"));
    for (const [what, make, message] of cases) {
      const file = join(temporaryFolder(), "b");
      make(file);
      const error = refused(file, folder);
      expect(error.message, what).toMatch(message);
      expect(error.message, what).toContain(file);
      expect(readFileSync(join(folder, "sms-agent.db")).equals(present), what).toBe(true);
      expect(readdirSync(folder).sort(), what).toEqual(["run", "sms-agent.db"]);
    }
  });

  test("of the database in use is refused", async () => {
    const from = source();
    await from.t.store.close();
    expect(refused(join(from.folder, "sms-agent.db"), from.folder).message).toContain("that is in use");
  });

  test("takes a plain copy too, with the log that lies beside it", async () => {
    const from = source();
    const { id } = await from.t.text();
    const copy = join(temporaryFolder(), "copy.db");
    for (const part of ["", "-wal"]) copyFileSync(join(from.folder, `sms-agent.db${part}`), `${copy}${part}`);
    const folder = temporaryFolder();
    const report = restore(copy, folder);
    expect(report.madeAt).toBeUndefined();
    expect(await (await open(folder)).message(id)).toBeDefined();
  });

  test("over a damaged database works, and keeps that with its log", async () => {
    const from = source();
    await from.t.text();
    const file = backup(from);
    const folder = temporaryFolder();
    writeFileSync(join(folder, "sms-agent.db"), "garbage");
    writeFileSync(join(folder, "sms-agent.db-wal"), "more garbage, longer than a header");
    restore(file, folder);
    const store = await open(folder);
    expect((await store.messages({ limit: 9 })).items).toHaveLength(1);
    const kept = readdirSync(folder).filter((name) => name.includes("replaced"));
    expect(kept.sort()).toEqual([
      "sms-agent.db.replaced-20260302T080000Z",
      "sms-agent.db.replaced-20260302T080000Z-wal",
    ]);
  });

  test("that was cut off between the old database and the new one keeps the service from starting empty", async () => {
    const from = source();
    await from.t.text();
    const file = backup(from);
    const folder = temporaryFolder();
    // What a kill leaves there: the old one has its new name, and the new one not yet.
    copyFileSync(file, join(folder, "sms-agent.db.restoring"));
    const error = await open(folder).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: "unavailable", fix: expect.stringContaining("restore FILE again") });
    restore(file, folder);
    expect(existsSync(join(folder, "sms-agent.db.restoring"))).toBe(false);
    expect((await (await open(folder)).messages({ limit: 9 })).items).toHaveLength(1);
  });
});
