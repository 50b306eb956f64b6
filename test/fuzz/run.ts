/**
 * Fuzzing by hand: `bun run test:fuzz [--minutes N] [--target T] [--seed S]`. Without a target all take turns. The first
 * failure is minimised, put into the corpus, which the tests replay, and told with its seed; the exit code is 1.
 */
import { parseArgs } from "node:util";
import { fuzz, save, told } from "./engine.ts";
import { TARGETS } from "./targets.ts";

const { values } = parseArgs({
  options: { minutes: { type: "string" }, target: { type: "string" }, seed: { type: "string" } },
});
const targets = TARGETS.filter(({ name }) => values.target === undefined || name === values.target);
const minutes = Number(values.minutes ?? "1");
const seed = values.seed === undefined ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(values.seed);
if (targets.length === 0 || !(minutes > 0) || seed === undefined || !Number.isSafeInteger(seed)) {
  console.error(
    `Usage: bun run test:fuzz [--minutes N] [--target T] [--seed S]; the targets are: ${TARGETS.map(({ name }) => name).join(", ")}`,
  );
  process.exit(2);
}
const end = performance.now() + minutes * 60_000;
/** All take turns, so that an hour is shared and a failure of the last comes before the end. */
const turn = Math.min(30_000, (minutes * 60_000) / targets.length);
const inputs = new Map<string, number>();
for (let round = 0; performance.now() < end; round++)
  for (const target of targets) {
    // Far apart, so that the rounds of one turn are not those of the next.
    const tally = fuzz(target, seed + round * 1_000_003, Math.min(end, performance.now() + turn));
    inputs.set(target.name, (inputs.get(target.name) ?? 0) + tally.inputs);
    if (tally.failure === undefined) continue;
    console.error(told(tally.failure));
    console.error(`  saved: ${save(tally.failure)}`);
    process.exit(1);
  }
for (const [name, count] of inputs) console.log(`${name.padEnd(12)} ${count} inputs, nothing found`);
console.log(`seed ${seed}`);
