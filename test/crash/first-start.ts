import { rmSync } from "node:fs";
import { join } from "node:path";
import { balance } from "./accounts.ts";
import { integrityOf } from "./database.ts";
import type { Dice } from "./dice.ts";
import { booksOf, connected, settle } from "./finish.ts";
import { startLoad } from "./load.ts";
import { unexpectedErrors } from "./log-errors.ts";
import { CALM, ECHO, type Phase } from "./phase.ts";
import { openRig } from "./rig.ts";

/** The very first start, with the migrations, killed again and again; after it everything works. */
export async function firstStart(program: string, folder: string, dice: Dice, kills: number): Promise<Phase> {
  const rig = await openRig({ ...CALM, program, folder, channels: [ECHO], dice });
  try {
    let fresh = 0;
    for (let kill = 0; kill < kills; kill++) {
      // Half of them go on with what the kill before has left of the folder.
      if (dice.chance(0.5)) {
        rmSync(rig.dataDir, { recursive: true, force: true });
        fresh += 1;
      }
      const service = rig.start();
      await Bun.sleep(dice.between(20, 400));
      service.kill("SIGKILL");
      await service.ended;
    }
    const service = rig.start();
    await rig.ready(service);
    await connected(rig);
    const load = startLoad({
      ...CALM,
      carrier: rig.carrier,
      dice,
      channels: [[1, ECHO]],
      rate: 40,
      phones: 10,
      textsPerPhone: 8,
    });
    await Bun.sleep(500);
    await load.stop();
    await settle(rig, load, { patience: 60_000, unclear: true });
    await rig.stop(service);
    const accounts = balance(await booksOf(rig, load, true));
    const sound = integrityOf(rig.database);
    return {
      name: "first start",
      kills,
      lines: [
        `${kills} kills while the database was made, ${fresh} of them in an empty folder; then ${accounts.fates.answered} of ${accounts.sent} texts answered`,
      ],
      violations: [
        ...accounts.violations,
        ...(sound === "ok" ? [] : [{ rule: "damaged" as const, about: sound }]),
        ...unexpectedErrors(join(folder, "service.log")),
      ],
    };
  } finally {
    await rig.close();
  }
}
