import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { balance } from "./accounts.ts";
import { integrityOf } from "./database.ts";
import type { Dice } from "./dice.ts";
import type { Violation } from "./findings.ts";
import { booksOf, connected, settle } from "./finish.ts";
import { startLoad } from "./load.ts";
import { unexpectedErrors } from "./log-errors.ts";
import { CALM, ECHO, type Phase } from "./phase.ts";
import { openRig, type RigChannel } from "./rig.ts";

const MINUTE = 60_000;
/** Where the clock jumps to, ms from the right time; a home server's is corrected by minutes to an hour. */
const JUMPS = [5 * MINUTE, -2 * MINUTE, 60 * MINUTE, -30 * MINUTE, -5_000, 3_000, 20 * MINUTE] as const;

/** The clock jumps under load, forwards and backwards, with a kill now and then. */
export async function wrongClock(program: string, folder: string, dice: Dice, jumps: number): Promise<Phase> {
  const hooked: RigChannel = {
    ...ECHO,
    name: "hooked",
    number: "+15550100002",
    agent: "hook",
    debounce: "100ms",
  };
  const offset = (value: number) => {
    writeFileSync(join(folder, "clock-offset.new"), String(value));
    renameSync(join(folder, "clock-offset.new"), join(folder, "clock-offset"));
  };
  const rig = await openRig({
    ...CALM,
    moody: 0.1,
    program,
    folder,
    channels: [ECHO, hooked],
    dice,
    serve: [process.execPath, join(import.meta.dir, "shifted-service.ts")],
  });
  offset(0);
  const violations: Violation[] = [];
  let kills = 0;
  try {
    let service = rig.start();
    await rig.ready(service);
    await connected(rig);
    const load = startLoad({
      ...CALM,
      faults: 0.1,
      unclear: 0.05,
      carrier: rig.carrier,
      dice,
      channels: [
        [1, ECHO],
        [1, hooked],
      ],
      rate: 40,
      phones: 60,
      textsPerPhone: 8,
    });
    for (let jump = 0; jump < jumps; jump++) {
      await Bun.sleep(dice.between(400, 1_500));
      offset(dice.pick(JUMPS));
      if (!dice.chance(0.25)) continue;
      service.kill("SIGKILL");
      await service.ended;
      kills += 1;
      service = rig.start();
      await rig.ready(service);
    }
    await load.stop();
    await rig.carrier.clearFaults();
    // What became due in a future that was none waits for it, so the clock ends there.
    offset(Math.max(...JUMPS));
    await rig.stop(service);
    service = rig.start();
    await rig.ready(service);
    await settle(rig, load, { patience: 300_000, unclear: true });
    await rig.stop(service);
    const sound = integrityOf(rig.database);
    if (sound !== "ok") violations.push({ rule: "damaged", about: sound });
    const accounts = balance(await booksOf(rig, load, true));
    const { fates } = accounts;
    return {
      name: "wrong clock",
      kills,
      lines: [
        `${jumps} jumps of the clock (the service from source, with a clock of its own), ${kills} kills`,
        `${accounts.sent} texts: ${fates.answered} answered, ${fates.silent} silent, ${fates.undelivered + fates.refused} not delivered by faults, ${fates.unknown} unknown`,
      ],
      violations: [...violations, ...accounts.violations, ...unexpectedErrors(join(folder, "service.log"))],
    };
  } finally {
    await rig.close();
  }
}
