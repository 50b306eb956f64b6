/**
 * Records what the service runs while it starts, and then while it answers texts, and writes it to deploy/start.order, by
 * which the build lays out its bytecode: `bun deploy/order.ts`. Functions are in it by hashes of their syntax, so it stays
 * good while most of the code stays as it is. To be recorded anew before a release, and when `bun run bench memory` shows
 * that idle memory has grown although nothing new is loaded.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildBinary, inFolder } from "../bench/processes.ts";
import { throughput, withService } from "../bench/turns.ts";

/** Enough that every step of a turn is run. */
const TURNS = 20;
/** Until the service has dropped what only the start needed and runs what it runs when idle, ms. */
const REST = 6_000;
const VERSION = "v2";

await inFolder(undefined, async (folder) => {
  const binary = await buildBinary(folder);
  const start = await record(binary, join(folder, "start"), 0);
  const turns = await record(binary, join(folder, "turns"), TURNS);
  const known = new Set(start);
  // What only texts need comes after it: a start then has nothing of it in the pages it reads.
  const order = [VERSION, ...start, ...turns.filter((line) => !known.has(line))];
  writeFileSync(resolve(import.meta.dir, "start.order"), `${order.join("\n")}\n`);
  process.stdout.write(`deploy/start.order has ${order.length} lines\n`);
});

/**
 * The lines for the modules and functions that were used. Those that exist and were not, nine tenths of a record, are left
 * out: what is not listed comes after what is.
 */
async function record(binary: string, folder: string, turns: number): Promise<readonly string[]> {
  const file = `${folder}.order`;
  // The runtime of every process that is started from here writes it when it ends.
  process.env.BUN_BYTECODE_ORDER_OUT = file;
  await withService(folder, [binary], async (_, texting) => {
    await throughput(texting, turns);
    await Bun.sleep(REST);
  });
  const [version, ...lines] = readFileSync(file, "utf8").trimEnd().split("\n");
  if (version !== VERSION) throw new Error(`Bun writes its records in another form now: ${version}`);
  return lines.filter((line) => /^[FMN] /.test(line));
}
