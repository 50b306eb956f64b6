import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../store/support.ts";
import { unexpectedErrors } from "./log-errors.ts";

const line = (event: string) => `{"time":"2026-01-01T00:00:00.000Z","level":"error","event":"${event}"}`;

function errorsOf(...lines: readonly string[]): readonly string[] {
  const file = join(temporaryFolder(), "service.log");
  writeFileSync(file, `${lines.join("\n")}\n`);
  return unexpectedErrors(file).map(({ about }) => about.split(",")[0] ?? "");
}

test("an error that no fault explains is found, also behind a line that a kill has cut wherever", () => {
  expect(errorsOf(line("send.refused"), line("http.public"))).toEqual(["http.public"]);
  for (const length of [1, 4, 9, 40])
    expect(errorsOf(line("send.unknown").slice(0, length) + line("http.public"))).toEqual(["http.public"]);
  expect(errorsOf(line("send.unknown").slice(0, 4) + line("send.unknown"))).toEqual([]);
});

test("what is no line of the log is found", () => {
  expect(errorsOf("panic: something else")).toEqual(["not a log line"]);
  expect(errorsOf(`x${line("http.public")}`)).toEqual(["not a log line"]);
});
