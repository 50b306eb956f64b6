/** `bun run test:soak`: the compiled binary under a steady load with faults; memory and accounts. See docs/TESTING.md. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { currentBinary } from "./binary.ts";
import { createDice } from "./dice.ts";
import { endOnSignals } from "./processes.ts";
import { reportSoak } from "./report.ts";
import { soak } from "./soaking.ts";

const USAGE = `Usage: bun run test:soak [--minutes 30] [--rate 200] [--seed N] [--json FILE]

  --minutes  how long texts come in
  --rate     texts per second
  --seed     repeats faults and load of an earlier run (not what the machine makes of them)
  --json     writes the figures to a file`;

/** The last minutes may need this many times the memory of the first. */
const MAX_GROWTH = 1.2;
/** Shorter than this it only warms up, minutes. */
const LONG_ENOUGH = 10;
/** A load that was not reached shows nothing. */
const LEAST_RATE = 0.95;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    rate: { type: "string", default: "200" },
    seed: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const minutes = Number(values.minutes);
const rate = Number(values.rate);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
if (values.help || !(minutes > 0) || !(rate > 0) || !(seed >= 0)) {
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
const folder = mkdtempSync(join(tmpdir(), "sms-agent-soak-"));
process.stdout.write(`seed ${seed}, everything in ${folder}\n`);
const run = await soak({
  program: await currentBinary(folder),
  folder: join(folder, "load"),
  dice: createDice(seed),
  minutes,
  rate,
  note: (line) => void process.stdout.write(`  ${line}\n`),
});
process.stdout.write(reportSoak(run));
const complaints = [
  ...(run.violations.length > 0 ? ["the accounts do not balance"] : []),
  ...(minutes >= LONG_ENOUGH && run.lastMemory > MAX_GROWTH * run.firstMemory
    ? [`memory has grown to more than ${MAX_GROWTH} times the first minutes'`]
    : []),
  ...(run.rate < LEAST_RATE * rate ? [`only ${run.rate.toFixed(0)} texts a second were reached`] : []),
];
if (values.json !== undefined) {
  const { latencies, answers, ...figures } = run;
  const webhookMs = { p50: latencies.percentile(0.5), p99: latencies.percentile(0.99) };
  writeFileSync(
    values.json,
    `${JSON.stringify({ seed, minutes, complaints, webhookMs, answers: Object.fromEntries(answers), ...figures }, undefined, 2)}\n`,
  );
}
if (minutes < LONG_ENOUGH)
  process.stdout.write(`\nMemory was not judged: that takes ${LONG_ENOUGH} minutes at least.\n`);
if (complaints.length > 0) {
  process.stdout.write(
    `\nFAILED with seed ${seed}: ${complaints.join("; ")}.\nDatabase and logs are kept in ${folder}/load.\n`,
  );
  process.exit(1);
}
process.stdout.write(
  `\nPassed with seed ${seed}: nothing lost, nothing twice${minutes < LONG_ENOUGH ? "" : ", memory steady"}.\n`,
);
rmSync(folder, { recursive: true, force: true });
process.exit(0);
