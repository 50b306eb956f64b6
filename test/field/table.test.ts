import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const page = readFileSync(join(import.meta.dir, "../../docs/FIELD.md"), "utf8");

interface Row {
  readonly failure: number;
  readonly file: string;
  readonly tests: readonly string[];
}

const rows: readonly Row[] = page.split("\n").flatMap((line) => {
  const [, number = "", , file = "", tests = ""] = line.split("|").map((cell) => cell.trim());
  if (!/^\d+$/.test(number)) return [];
  const names = [...tests.matchAll(/"([^"]+)"/g)].map((match) => match[1] ?? "");
  return [{ failure: Number(number), file: file.replaceAll("`", ""), tests: names }];
});

/** The names of a file's tests; one in a loop has a place for what differs. */
function namesIn(file: string): readonly RegExp[] {
  const source = readFileSync(join(import.meta.dir, file), "utf8");
  return [...source.matchAll(/\btest\(\s*(["`])(.+?)\1,/g)].map(([, , name = ""]) => {
    const parts = name.split(/\$\{[^}]+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".+")}$`);
  });
}

describe("docs/FIELD.md", () => {
  test("tells of twenty-four failures, each with a test", () => {
    expect([...new Set(rows.map(({ failure }) => failure))]).toEqual(
      Array.from({ length: 24 }, (_, n) => n + 1),
    );
    for (const row of rows) expect([row.failure, row.tests.length > 0]).toEqual([row.failure, true]);
  });

  test("names only tests that there are", () => {
    for (const { file, tests } of rows) {
      const names = namesIn(file);
      for (const wanted of tests)
        expect([file, wanted, names.some((name) => name.test(wanted))]).toEqual([file, wanted, true]);
    }
  });

  test("names every test of this folder", () => {
    const files = readdirSync(import.meta.dir).filter(
      (name) => /\.test\.ts$/.test(name) && name !== "table.test.ts",
    );
    for (const file of files) {
      const told = rows.filter((row) => row.file === file).flatMap(({ tests }) => tests);
      for (const name of namesIn(file))
        expect([file, name.source, told.some((one) => name.test(one))]).toEqual([file, name.source, true]);
    }
  });
});
