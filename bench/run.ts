/**
 * `bun run bench [name] [options]`: runs one benchmark by name, or all of them with one summary at the end.
 *
 *   bun run bench                   everything; exit code 1 when a figure is missed
 *   bun run bench inbound --json    one of them, as JSON
 *   bun run bench --json FILE       everything, with all that was measured in FILE
 *   bun run bench --record          everything, and writes the figures into docs/benchmarks.md
 *   bun run bench --record FILE     writes the figures of an earlier `--json FILE` there
 *   --dir PATH                      where data is written: on the disk to be measured, never in memory
 *
 * It needs Node beside Bun (for one peer), and keeps the machine busy for a few minutes; run it when nothing else does.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Machine, machine } from "./machine.ts";
import { BUN, buildBinary, inFolder } from "./processes.ts";
import { record } from "./record.ts";
import { type Figure, option, table } from "./report.ts";

const BENCHES = [
  "inbound",
  "turns",
  "waits",
  "memory",
  "start",
  "growth",
  "overload",
  "replies",
  "signals",
] as const;
/** Run by name only. */
const BY_NAME = ["waiting"] as const;
/** Not a figure of the specification; runs for its own table. */
const WITHOUT_FIGURES: readonly string[] = ["signals"];
/** They start the compiled binary. */
const WITH_BINARY: readonly string[] = ["inbound", "turns", "memory", "start", "growth", "overload"];

/** Everything that was measured in one run. */
export interface Run {
  readonly machine: Machine;
  readonly figures: readonly (Figure & { readonly bench: string })[];
  readonly benches: readonly unknown[];
}

interface Found {
  readonly bench: string;
  readonly figures: readonly Figure[];
}

async function spawn(bench: string, args: readonly string[]): Promise<number> {
  const run = Bun.spawn([BUN, join(import.meta.dir, `${bench}.ts`), ...args], {
    stdio: ["inherit", "inherit", "inherit"],
  });
  return await run.exited;
}

async function all(args: readonly string[]): Promise<number> {
  const dir = option(args, "--dir");
  const where = dir === undefined ? [] : ["--dir", dir];
  return inFolder(dir, async (folder) => {
    const binary = await buildBinary(folder);
    const found: Found[] = [];
    const failed: string[] = [];
    for (const bench of BENCHES) {
      console.log(`== ${bench}\n`);
      const file = join(folder, `${bench}.json`);
      const own = WITH_BINARY.includes(bench) ? ["--binary", binary] : [];
      const measures = !WITHOUT_FIGURES.includes(bench);
      const code = await spawn(bench, measures ? ["--json", file, ...where, ...own] : []);
      if (measures) {
        const result = readFound(file);
        if (result === undefined) failed.push(bench);
        else found.push(result);
      } else if (code !== 0) failed.push(bench);
      console.log("");
    }
    const figures = found.flatMap(({ bench, figures }) => figures.map((figure) => ({ bench, ...figure })));
    const run: Run = { machine: machine(folder), figures, benches: found };
    console.log("== summary\n");
    console.log(
      table(
        ["", "to reach", "reached", ""],
        figures.map(({ what, target, reached, met }) => [what, target, reached, met ? "yes" : "NO"]),
      ),
    );
    for (const bench of failed) console.log(`${bench} did not come to its end`);
    const file = option(args, "--json");
    if (file !== undefined && !file.startsWith("-")) writeFileSync(file, `${JSON.stringify(run, null, 2)}\n`);
    if (args.includes("--record")) record(run);
    return failed.length === 0 && figures.every(({ met }) => met) ? 0 : 1;
  });
}

/** What a bench has written; undefined when it did not come that far. */
function readFound(file: string): Found | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

const args = process.argv.slice(2);
const [name] = args;
const recorded = option(args, "--record");
const named = [...BENCHES, ...BY_NAME].find((bench) => bench === name);
if (recorded !== undefined && !recorded.startsWith("-")) {
  record(JSON.parse(readFileSync(recorded, "utf8")));
  process.exit(0);
}
if (name !== undefined && !name.startsWith("-") && named === undefined) {
  process.stderr.write(`There is no benchmark ${name}; there is: ${[...BENCHES, ...BY_NAME].join(", ")}.\n`);
  process.exit(2);
}
process.exit(named === undefined ? await all(args) : await spawn(named, args.slice(1)));
