import { copyFileSync, cpSync, existsSync, mkdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { balance, numbersIn } from "./accounts.ts";
import { integrityOf, readWritten, type Written } from "./database.ts";
import type { Dice } from "./dice.ts";
import type { Rule, Violation } from "./findings.ts";
import { booksOf, connected, endedByItself, settle } from "./finish.ts";
import { startLoad } from "./load.ts";
import { unexpectedErrors } from "./log-errors.ts";
import { CALM, ECHO, type Phase } from "./phase.ts";
import { openRig, type Rig } from "./rig.ts";

/** What may happen again to a text whose records were cut off: the service has never heard of it. */
const REPEATABLE: readonly Rule[] = ["doubled", "written twice", "run twice", "out of order"];

/**
 * After a kill the write-ahead log is cut at a random byte, as by a disk that lost what it had confirmed. The service
 * must start with all that was before the cut, and find the lost texts in the carrier's list.
 */
export async function cutLog(program: string, folder: string, dice: Dice, rounds: number): Promise<Phase> {
  const rig = await openRig({ ...CALM, program, folder, channels: [ECHO], dice });
  const violations: Violation[] = [];
  /** Texts of which the cut has removed something. */
  const touched = new Set<number>();
  let [cuts, bytes, lost] = [0, 0, 0];
  try {
    const first = rig.start();
    await rig.ready(first);
    await connected(rig);
    await rig.stop(first);
    const load = startLoad({
      ...CALM,
      carrier: rig.carrier,
      dice,
      channels: [[1, ECHO]],
      rate: 60,
      phones: 30,
      textsPerPhone: 8,
    });
    for (let round = 0; round < rounds; round++) {
      const service = rig.start();
      await rig.ready(service).catch(() => violations.push(endedByItself(service)));
      await Bun.sleep(dice.between(300, 2_500));
      service.kill("SIGKILL");
      await service.ended;
      const log = `${rig.database}-wal`;
      const size = statSync(log, { throwIfNoEntry: false })?.size ?? 0;
      if (size === 0) continue;
      const before = readCopy(rig, join(folder, "before"));
      const at = Math.floor(dice.between(0, size));
      truncateSync(log, at);
      // The index of the log would be newer than the log.
      rmSync(`${rig.database}-shm`, { force: true });
      const after = readCopy(rig, join(folder, "after"));
      cuts += 1;
      bytes += size - at;
      const gone = difference(before, after);
      lost += gone.texts;
      for (const number of gone.numbers) touched.add(number);

      const again = rig.start();
      await rig.ready(again).catch(() => violations.push(endedByItself(again)));
      const kept = new Set(readWritten(rig.database).inbound.map(({ id }) => id));
      for (const { id } of after.inbound)
        if (!kept.has(id))
          violations.push({ rule: "damaged", about: `${id} was before the cut and is gone` });
      await rig.stop(again);
    }
    await load.stop();
    const service = rig.start();
    await rig.ready(service);
    await connected(rig);
    await settle(rig, load, { patience: 300_000, unclear: true });
    await rig.stop(service);
    const sound = integrityOf(rig.database);
    if (sound !== "ok") violations.push({ rule: "damaged", about: sound });
    // A send whose record was cut off may well be unknown now; all else is expected to be as ever.
    violations.push(...unexpectedErrors(join(folder, "service.log")));
    const accounts = balance(await booksOf(rig, load, true));
    const repeated: Violation[] = [];
    for (const violation of accounts.violations) {
      const { rule, numbers = [] } = violation;
      const excused = REPEATABLE.includes(rule) && numbers.some((number) => touched.has(number));
      (excused ? repeated : violations).push(violation);
    }
    const { fates } = accounts;
    return {
      name: "cut log",
      kills: rounds,
      lines: [
        `${cuts} times the log was cut, ${Math.round(bytes / 1024)} KiB in all, with ${lost} texts that had been taken in and traces of ${touched.size}`,
        `all ${accounts.sent} texts were found again: ${fates.answered} answered, ${fates.unknown} unknown; ${repeated.length} things happened twice, all to texts whose traces were cut off`,
      ],
      violations,
    };
  } finally {
    await rig.close();
  }
}

/** Opens a copy, since whoever opens a database puts its log in order. */
function readCopy(rig: Rig, folder: string): Written {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const copy = join(folder, "copy.db");
  copyFileSync(rig.database, copy);
  if (existsSync(`${rig.database}-wal`)) cpSync(`${rig.database}-wal`, `${copy}-wal`);
  return readWritten(copy);
}

/** What is in `before` and not, or not as far, in `after`. */
function difference(
  before: Written,
  after: Written,
): { readonly texts: number; readonly numbers: readonly number[] } {
  const inbound = new Set(after.inbound.map(({ id }) => id));
  const outbound = new Map(after.outbound.map((row) => [row.id, row]));
  const texts = before.inbound.filter(({ id }) => !inbound.has(id)).length;
  const numbers = before.outbound.flatMap((row) => {
    const now = outbound.get(row.id);
    const same = now !== undefined && now.state === row.state && now.attempts === row.attempts;
    return same ? [] : numbersIn(row.text);
  });
  return { texts, numbers };
}
