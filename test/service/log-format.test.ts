import { expect, test } from "bun:test";
import { type LogOptions, openLog } from "../../src/log/logtape.ts";

function logTo(written: string[], level: LogOptions["level"], format: LogOptions["format"]) {
  return openLog({ level, format, write: (lines) => void written.push(lines) });
}

test("a line of JSON has time, level and event first and the fields after, those without a value left out", () => {
  const written: string[] = [];
  const log = logTo(written, "info", "json");
  const before = Date.now();
  log.info("inbound.admitted", {
    channel: "sms",
    policies: ["a", "b"],
    late: undefined,
    delayed: true,
    n: 2,
  });
  log.error("turn.failed");
  log.flush();
  expect(written).toHaveLength(1); // one write for both
  const lines = written.join("").trimEnd().split("\n");
  const [first = {}, second]: Record<string, unknown>[] = lines.map((line) => JSON.parse(line));
  expect(Object.keys(first)[0]).toBe("time");
  expect(Object.entries(first).slice(1)).toEqual([
    ["level", "info"],
    ["event", "inbound.admitted"],
    ["channel", "sms"],
    ["policies", ["a", "b"]],
    ["delayed", true],
    ["n", 2],
  ]);
  expect(second).toMatchObject({ level: "error", event: "turn.failed" });
  const at = Date.parse(String(first.time));
  expect(new Date(at).toISOString()).toBe(String(first.time));
  expect(at).toBeGreaterThanOrEqual(before);
});

test("level and format change from the next line on, in both formats", () => {
  const written: string[] = [];
  const log = logTo(written, "warn", "json");
  const linesOf = (work: () => void) => {
    written.length = 0;
    work();
    log.flush();
    return written.join("");
  };
  const all = () => {
    for (const level of ["debug", "info", "warn", "error"] as const) log[level](`said.${level}`);
  };
  const said = (lines: string) => [...lines.matchAll(/said\.(\w+)/g)].map(([, level]) => level);
  expect(said(linesOf(all))).toEqual(["warn", "error"]);
  log.configure({ level: "debug", format: "json" });
  expect(said(linesOf(all))).toEqual(["debug", "info", "warn", "error"]);
  log.configure({ level: "error", format: "pretty" });
  const pretty = linesOf(all);
  expect(said(pretty)).toEqual(["error"]);
  expect(pretty.startsWith("{")).toBe(false);
  log.configure({ level: "info", format: "json" });
  expect(said(linesOf(all))).toEqual(["info", "warn", "error"]);
});
