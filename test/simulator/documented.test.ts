import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../src/errors.ts";
import { createFaults } from "../../src/simulator/faults.ts";

const PAGE = readFileSync(join(import.meta.dir, "../../docs/SIMULATOR.md"), "utf8");

/** The kinds of one place, by what the simulator answers to one that there is not. */
function kinds(on: string): readonly string[] {
  try {
    createFaults().add({ on, kind: "no such kind" });
  } catch (error) {
    if (error instanceof AppError)
      return /must be one of (.*) \(on/.exec(error.problems[0]?.message ?? "")?.[1]?.split(", ") ?? [];
  }
  throw new Error(`${on} takes any kind`);
}

test("every fault that can be ordered is in the documentation, and no other", () => {
  for (const on of ["send", "callback", "inbound", "request"]) {
    const rows = PAGE.split("\n").filter((line) => line.startsWith(`| \`${on}\``));
    const documented = rows.flatMap((row) =>
      [...(row.split("|")[2] ?? "").matchAll(/`(\w+)`/g)].map((match) => match[1] ?? ""),
    );
    expect(documented.sort()).toEqual([...kinds(on)].sort());
  }
});
