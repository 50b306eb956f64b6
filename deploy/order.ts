/**
 * Records what the service runs while it starts and answers a few texts, and writes it to deploy/start.order, by which
 * the build lays out its bytecode: `bun deploy/order.ts`. Functions are in it by hashes of their syntax, so it stays good
 * while most of the code stays as it is. To be recorded anew when `bun run bench memory` shows that idle memory has grown.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildBinary, inFolder } from "../bench/processes.ts";
import { throughput, withService } from "../bench/turns.ts";

/** Enough that every step of a turn is run. */
const TURNS = 20;

await inFolder(undefined, async (folder) => {
  const binary = await buildBinary(folder);
  const recorded = join(folder, "order");
  // The runtime of every process that is started from here writes it when it ends.
  process.env.BUN_BYTECODE_ORDER_OUT = recorded;
  await withService(join(folder, "service"), [binary], async (_, texting) => {
    await throughput(texting, TURNS);
  });
  const order = withoutUnused(readFileSync(recorded, "utf8"));
  writeFileSync(resolve(import.meta.dir, "start.order"), order);
  process.stdout.write(`deploy/start.order has ${order.split("\n").length} lines\n`);
});

/**
 * The record without the functions (`K`) and strings (`S`) that exist and were not used, nine tenths of it: what is not
 * listed comes after what is.
 */
function withoutUnused(record: string): string {
  return record.replace(/^[KS] .*\n/gm, "");
}
