import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openStore } from "../../src/store/open.ts";
import { systemClock } from "../support/clock.ts";
import { closeLater, quiet, refusal, temporaryFolder } from "./support.ts";

function start(dataDir: string) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "crash-child.ts"), dataDir], {
    stdout: "pipe",
    stderr: "inherit",
  });
  return child;
}

/** Reads lines until there are `enough`, then kills the process and reads what it had still said. */
async function killAfter(child: ReturnType<typeof start>, enough: number): Promise<readonly string[]> {
  const decoder = new TextDecoder();
  let said = "";
  let killed = false;
  for await (const chunk of child.stdout) {
    said += decoder.decode(chunk, { stream: true });
    if (!killed && said.split("\n").length > enough) {
      killed = true;
      child.kill("SIGKILL");
    }
  }
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  // The last line may have been cut by the kill.
  return said.split("\n").slice(0, -1);
}

describe("a process that is killed in the middle of its writes", () => {
  test("has kept every write it acknowledged, leaves a sound database, and frees the folder", async () => {
    const folder = temporaryFolder();
    const acknowledged: string[] = [];
    for (const enough of [1, 40, 333, 1_000]) acknowledged.push(...(await killAfter(start(folder), enough)));
    expect(acknowledged.length).toBeGreaterThan(1_300);

    const store = closeLater(await openStore({ dataDir: folder, clock: systemClock, log: quiet }));
    const known = await store.knownSids(acknowledged);
    expect(acknowledged.filter((sid) => !known.has(sid))).toEqual([]);
    await store.recover(systemClock.now());
    // Every text waits in exactly one turn or was answered by exactly one; nothing is cut in half.
    const { items } = await store.messages({ direction: "inbound", limit: 500 });
    for (const message of items) {
      expect(["queued", "handled"]).toContain(message.state);
      expect([message.turnId, message.conversationId]).not.toContain(undefined);
    }
    expect((await store.messages({ state: "sending", limit: 5 })).items).toEqual([]);
    expect((await store.messages({ state: "unknown", limit: 5 })).items.length).toBeGreaterThan(0);
  }, 30_000);

  test("keeps another process out while it lives", async () => {
    const folder = temporaryFolder();
    const child = start(folder);
    try {
      await child.stdout.getReader().read(); // it writes
      const error = await refusal(openStore({ dataDir: folder, clock: systemClock, log: quiet }));
      expect(error.code).toBe("conflict");
      expect(error.message).toContain(`process ${child.pid}`);
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
    await closeLater(await openStore({ dataDir: folder, clock: systemClock, log: quiet })).ping();
  }, 20_000);
});
