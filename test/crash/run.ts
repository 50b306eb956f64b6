/**
 * `bun run test:crash`: the compiled binary under load, with everything that can go wrong at the carrier going
 * wrong, killed again and again; then an accountant compares all sides. See docs/TESTING.md.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { currentBinary } from "./binary.ts";
import { createDice } from "./dice.ts";
import { endOnSignals } from "./processes.ts";
import { reportUnderLoad } from "./report.ts";
import { killUnderLoad } from "./under-load.ts";

const USAGE = `Usage: bun run test:crash [--kills 300] [--minutes 15] [--rate 60] [--seed N] [--json FILE]

  --kills    how often the service is killed
  --minutes  no further kill after this long
  --rate     texts per second meanwhile
  --seed     repeats moments, faults and load of an earlier run (not what the machine makes of them)
  --json     writes the figures to a file`;

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "300" },
    minutes: { type: "string", default: "15" },
    rate: { type: "string", default: "60" },
    seed: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const [kills, minutes, rate] = [values.kills, values.minutes, values.rate].map(Number);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const wrong = [kills, minutes, rate, seed].some((value) => value === undefined || !(value >= 0));
if (values.help || wrong || kills === undefined || minutes === undefined || rate === undefined) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(values.help ? 0 : 2);
}

endOnSignals();
const folder = mkdtempSync(join(tmpdir(), "sms-agent-crash-"));
const program = await currentBinary(folder);
const note = (line: string) => void process.stdout.write(`  ${line}\n`);
process.stdout.write(`seed ${seed}, everything in ${folder}\n`);

const load = await killUnderLoad({
  program,
  folder: join(folder, "load"),
  dice: createDice(seed),
  kills,
  time: minutes * 60_000,
  rate,
  settle: { patience: 240_000, demanded: true },
  purges: Math.min(3, Math.floor(kills / 50)),
  note,
});
process.stdout.write(reportUnderLoad(load));

const failed = load.violations.length > 0;
if (values.json !== undefined)
  writeFileSync(
    values.json,
    `${JSON.stringify({ seed, ...load, answers: Object.fromEntries(load.answers) }, undefined, 2)}\n`,
  );
process.stdout.write(
  failed
    ? `\nFAILED with seed ${seed}. Database and logs are kept in ${folder}:\n  sqlite3 ${folder}/load/data/sms-agent.db "select * from messages where text like '%#17#%'"\n  grep <id> ${folder}/load/service.log\n`
    : `\nPassed with seed ${seed}: nothing lost, nothing twice.\n`,
);
if (!failed) rmSync(folder, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
