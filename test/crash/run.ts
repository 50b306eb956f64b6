/**
 * `bun run test:crash`: the compiled binary under load, with everything that can go wrong at the carrier going
 * wrong, killed again and again; then an accountant compares all sides. See docs/TESTING.md.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { badDisk } from "./bad-disk.ts";
import { currentBinary } from "./binary.ts";
import { cutLog } from "./cut-log.ts";
import { createDice } from "./dice.ts";
import { firstStart } from "./first-start.ts";
import type { Phase } from "./phase.ts";
import { endOnSignals } from "./processes.ts";
import { reportPhase, reportUnderLoad } from "./report.ts";
import { killUnderLoad } from "./under-load.ts";
import { wrongClock } from "./wrong-clock.ts";

const USAGE = `Usage: bun run test:crash [--kills 300] [--minutes 15] [--rate 60] [--seed N] [--only NAME] [--json FILE]

  --kills    how often the service is killed
  --minutes  no further kill after this long
  --rate     texts per second meanwhile
  --seed     repeats moments, faults and load of an earlier run (not what the machine makes of them)
  --only     one part: load, first-start, bad-disk, cut-log, wrong-clock
  --json     writes the figures to a file`;

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "300" },
    minutes: { type: "string", default: "15" },
    rate: { type: "string", default: "60" },
    seed: { type: "string" },
    only: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const kills = Number(values.kills);
const minutes = Number(values.minutes);
const rate = Number(values.rate);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const parts = ["load", "first-start", "bad-disk", "cut-log", "wrong-clock"];
const known = values.only === undefined || parts.includes(values.only);
if (values.help || !known || !(kills >= 0) || !(minutes > 0) || !(rate > 0) || !(seed >= 0)) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(values.help ? 0 : 2);
}

endOnSignals();
process.on("uncaughtException", (error) => {
  process.stdout.write(
    `\nBROKEN OFF with seed ${seed}: ${String(error)}\nEverything is kept in ${folder}.\n`,
  );
  process.exit(1);
});
const folder = mkdtempSync(join(tmpdir(), "sms-agent-crash-"));
const program = await currentBinary(folder);
const note = (line: string) => void process.stdout.write(`  ${line}\n`);
process.stdout.write(`seed ${seed}, everything in ${folder}\n`);

const wanted = (part: string) => values.only === undefined || values.only === part;
const place = (part: string) => join(folder, part);
/** Kills while the database is made. */
const first = Math.ceil(kills / 15);

/** The small parts, one after the other; each has randomness of its own, so that it can be repeated alone. */
async function smallParts(): Promise<readonly Phase[]> {
  const phases: Phase[] = [];
  const add = async (part: string, run: () => Promise<Phase>) => {
    if (!wanted(part)) return;
    const phase = await run();
    phases.push(phase);
    process.stdout.write(reportPhase(phase));
  };
  await add("first-start", () => firstStart(program, place("first-start"), createDice(seed + 1), first));
  await add("bad-disk", () => badDisk(program, place("bad-disk"), createDice(seed + 2)));
  await add("cut-log", () => cutLog(program, place("cut-log"), createDice(seed + 3), Math.ceil(kills / 30)));
  await add("wrong-clock", () =>
    wrongClock(program, place("wrong-clock"), createDice(seed + 4), Math.ceil(kills / 10)),
  );
  return phases;
}

const underLoad = async () =>
  killUnderLoad({
    program,
    folder: place("load"),
    dice: createDice(seed),
    kills: kills - first,
    time: minutes * 60_000,
    rate,
    settle: { patience: 300_000, unclear: true },
    purges: Math.min(3, Math.floor(kills / 50)),
    note,
  });

// Side by side: most of the small parts' time goes by waiting for what a cut has left unclear.
const [load, phases] = await Promise.all([wanted("load") ? underLoad() : undefined, smallParts()]);
if (load !== undefined) process.stdout.write(reportUnderLoad(load));

const violations = [...(load?.violations ?? []), ...phases.flatMap((phase) => phase.violations)];
const total =
  Object.values(load?.kills ?? {}).reduce((sum, count) => sum + count, 0) +
  phases.reduce((sum, phase) => sum + phase.kills, 0);
if (values.json !== undefined) {
  const figures = load === undefined ? {} : { load: { ...load, answers: Object.fromEntries(load.answers) } };
  writeFileSync(values.json, `${JSON.stringify({ seed, kills: total, ...figures, phases }, undefined, 2)}\n`);
}
if (violations.length > 0) {
  process.stdout.write(`
FAILED with seed ${seed} after ${total} kills: ${violations.length} violations. Everything is kept in ${folder}:
  sqlite3 ${folder}/load/data/sms-agent.db "select * from messages where text like '%#17#%'"
  grep <id> ${folder}/load/service.log
`);
  process.exit(1);
}
process.stdout.write(`\nPassed with seed ${seed}: ${total} kills, nothing lost, nothing twice.\n`);
rmSync(folder, { recursive: true, force: true });
process.exit(0);
