import { copyFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { CHECKOUT } from "../support/binary.ts";

/**
 * A copy in `folder` of the binary in dist/, which is built where it is missing or older than what it is made of.
 * A copy, so that a later build does not change what runs.
 */
export async function currentBinary(folder: string): Promise<string> {
  const copy = join(folder, "sms-agent");
  copyFileSync(await built(), copy);
  return copy;
}

async function built(): Promise<string> {
  const program = join(CHECKOUT, "dist", "sms-agent");
  const sources = ["src", "migrations", "policies", "deploy", "package.json"].map((name) =>
    join(CHECKOUT, name),
  );
  const made = statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (made > Math.max(...sources.map(newest))) return program;
  process.stdout.write("Building the binary…\n");
  const build = Bun.spawn([process.execPath, join(CHECKOUT, "deploy", "build.ts")], {
    cwd: CHECKOUT,
    stdout: "ignore",
    stderr: "inherit",
  });
  if ((await build.exited) !== 0) throw new Error("the build failed");
  return program;
}

function newest(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}
