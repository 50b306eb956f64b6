import { expect, setDefaultTimeout, test } from "bun:test";
import { openSandbox } from "../support/binary.ts";
import { createDice } from "./dice.ts";
import { reportUnderLoad } from "./report.ts";
import { killUnderLoad } from "./under-load.ts";

setDefaultTimeout(180_000);

test("a service that is killed at random moments under load loses no text and answers none twice", async () => {
  const sandbox = await openSandbox();
  const seed = Math.floor(Math.random() * 2 ** 31);
  try {
    const run = await killUnderLoad({
      program: sandbox.program,
      folder: sandbox.folder,
      dice: createDice(seed),
      kills: 6,
      time: 30_000,
      rate: 50,
      // What is unclear is not waited for: that takes minutes. `bun run test:crash` does.
      settle: { patience: 60_000, unclear: false },
      purges: 0,
      note: () => {},
    });
    expect(run.violations, `seed ${seed}${reportUnderLoad(run)}`).toEqual([]);
    // The load was one: most texts were answered.
    expect(run.accounts.fates.answered).toBeGreaterThan(run.accounts.sent / 2);
  } finally {
    await sandbox.close();
  }
});
