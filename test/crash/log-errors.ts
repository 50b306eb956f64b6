import { readFileSync } from "node:fs";
import { z } from "zod";
import type { Violation } from "./findings.ts";

/** Errors that the faults of a run are meant to bring about; every other one is a mistake of the service. */
const EXPECTED = new Set([
  "send.refused",
  "send.unknown",
  // The list could not be read in time either.
  "send.undecided",
  "alert send.undecided",
  "turn.failed",
  "alert webhook.signature",
  // A turn that was cut by five kills in a row is not tried again.
  "alert agent.failed",
]);

const Line = z.object({ level: z.string(), event: z.string(), cause: z.string().optional() });

/** Errors in the log of the service that no fault explains, one per kind. */
export function unexpectedErrors(
  logFile: string,
  expected: ReadonlySet<string> = EXPECTED,
): readonly Violation[] {
  const found = new Map<string, { count: number; first: string }>();
  for (const written of readFileSync(logFile, "utf8").split("\n")) {
    const line = afterCut(written);
    if (!line.includes('"level":"error"') && !line.includes('"level":"fatal"')) {
      if (line !== "" && !line.startsWith("{")) note("not a log line", line);
      continue;
    }
    const parsed = Line.safeParse(parse(line));
    if (!parsed.success) {
      note("not a log line", line);
      continue;
    }
    const { event, cause } = parsed.data;
    note(cause === undefined ? event : `${event} ${cause.replace(/\/.*/, "")}`, line);
  }
  return [...found].map(([event, { count, first }]) => ({
    rule: "unexpected error",
    about: `${event}, ${count} times, first: ${first.slice(0, 400)}`,
  }));

  function note(event: string, line: string): void {
    if (expected.has(event)) return;
    const known = found.get(event);
    if (known === undefined) found.set(event, { count: 1, first: line });
    else known.count += 1;
  }
}

/** Where a kill cut a line in the middle of its writing, the next process has written its first one behind that. */
function afterCut(line: string): string {
  const start = line.lastIndexOf(LINE_START);
  return start > 0 && line.startsWith(LINE_START.slice(0, start)) ? line.slice(start) : line;
}

const LINE_START = '{"time":';

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
