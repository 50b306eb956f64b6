import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Run } from "./run.ts";

const FILE = join(import.meta.dir, "..", "docs", "benchmarks.md");
const BEGIN = "<!-- recorded by bun run bench --record -->";
const END = "<!-- end of what was recorded -->";

/** Writes the figures of a run into docs/benchmarks.md, between the marks that are there. */
export function record({ machine, figures }: Run): void {
  const text = readFileSync(FILE, "utf8");
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${FILE} has lost its marks`);
  const { date, cpu, cores, memory, disk, kernel, bun, node } = machine;
  const lines = [
    "",
    `Measured on ${date}: ${cpu}, ${cores} cores, ${memory} of memory, ${disk}, ${kernel}, Bun ${bun}, Node ${node}.`,
    "",
    ...aligned([
      ["What", "To reach", "Reached", ""],
      ...figures.map(({ what, target, reached, met }) => [what, target, reached, met ? "yes" : "**no**"]),
    ]),
    "",
  ];
  writeFileSync(FILE, `${before}${BEGIN}\n${lines.join("\n")}\n${END}${after}`);
}

/** A table of Markdown whose source lines up. */
function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(3, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const [header = [], ...body] = rows;
  return [line(header), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body.map(line)];
}
