import { expect, setDefaultTimeout, test } from "bun:test";
import { makeDatabase } from "../../bench/database.ts";
import { openStore } from "../../src/store/open.ts";
import { systemClock } from "../support/clock.ts";
import { temporaryFolder } from "./support.ts";

setDefaultTimeout(20_000);

test("the database the benches are run on fits the schema, and the store lists and counts it", async () => {
  const dataDir = temporaryFolder();
  await makeDatabase(dataDir, 1_000);
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const store = await openStore({ dataDir, clock: systemClock, log });
  try {
    const page = await store.messages({ limit: 500 });
    expect(page.items).toHaveLength(500);
    const rest = await store.messages({ limit: 500, cursor: page.nextCursor ?? "" });
    expect(rest.items).toHaveLength(500);
    expect(rest.nextCursor).toBeUndefined();
    expect((await store.conversations({ limit: 500 })).items).toHaveLength(100);
    const days = await store.usage("2000-01-01");
    expect(days.reduce((sum, day) => sum + day.inbound + day.outbound, 0)).toBe(1_000);
  } finally {
    await store.close();
  }
});
