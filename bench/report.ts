import { writeFileSync } from "node:fs";

/** A figure of the specification, and what was measured. */
export interface Figure {
  readonly what: string;
  /** What is to be reached, in words: "at least 500 / s". */
  readonly target: string;
  readonly reached: string;
  readonly met: boolean;
}

export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Quantiles, rounded to hundredths. */
export function spread(values: Iterable<number>): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) =>
    hundredths(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN);
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [sorted[(sorted.length - 1) >> 1], sorted[middle]];
  return (low + high) / 2;
}

export function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}

/** The value after `name` on the command line. */
export function option(args: readonly string[], name: string): string | undefined {
  return args.includes(name) ? args[args.indexOf(name) + 1] : undefined;
}

/** A whole number of at least 1 after `name`. */
export function count(args: readonly string[], name: string, otherwise: number): number {
  const value = Number(option(args, name) ?? otherwise);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} takes a number, such as ${otherwise}`);
  return value;
}

/** Lines of cells under a header; the first column to the left, the others to the right. */
export function table(header: readonly string[], lines: readonly (readonly string[])[]): string {
  const widths = header.map((title, i) =>
    Math.max(title.length, ...lines.map((cells) => cells[i]?.length ?? 0)),
  );
  return [header, ...lines]
    .map((cells) =>
      cells
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** What a bench found. `details` is for machines; `text` for people. */
export interface Finding {
  readonly bench: string;
  readonly figures: readonly Figure[];
  readonly details: object;
  readonly text: string;
}

/**
 * Prints what was found: as text, or with `--json` alone as JSON; `--json FILE` writes the JSON there and prints the
 * text. True when every figure is reached.
 */
export function publish(args: readonly string[], finding: Finding): boolean {
  const { text, ...json } = finding;
  const file = option(args, "--json");
  const wanted = args.includes("--json");
  const named = file !== undefined && !file.startsWith("-");
  if (named) writeFileSync(file, `${JSON.stringify(json, null, 2)}\n`);
  if (wanted && !named) console.log(JSON.stringify(json, null, 2));
  else {
    console.log(text);
    console.log(finding.figures.map(lineOf).join("\n"));
  }
  return finding.figures.every(({ met }) => met);
}

function lineOf({ what, target, reached, met }: Figure): string {
  return `${met ? "reached" : "MISSED "}  ${what}: ${reached} (${target})`;
}
