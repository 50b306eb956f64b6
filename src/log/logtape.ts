import { configureSync, getLogger, type LogRecord, resetSync, type Sink } from "@logtape/logtape";
import type { Log, LogFields } from "../log.ts";

export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly format: "pretty" | "json";
  /** Takes whole lines, each ending in a line break. */
  readonly write: (lines: string) => void;
}

type Level = LogOptions["level"];

const RANK: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/**
 * Logging through LogTape: one line per event, gathered per turn of the event loop so that a burst costs one
 * write. `flush` is for the end of the process; `configure` changes level and format from the next line on.
 * Lines of JSON are written without LogTape's records, which take longer than the line itself.
 */
export function openLog(
  options: LogOptions,
): Log & { flush(): void; configure(options: Pick<LogOptions, "level" | "format">): void } {
  let json = true;
  let lowest = RANK.debug;
  let lines = "";
  const flush = () => {
    const pending = lines;
    lines = "";
    if (pending !== "") options.write(pending);
  };
  const add = (line: string) => {
    if (lines === "") setImmediate(flush);
    lines += line;
  };
  const sink: Sink = (record) => add(json ? jsonRecord(record) : prettyLine(record));
  const configure = (wanted: Pick<LogOptions, "level" | "format">) => {
    const level = wanted.level === "warn" ? "warning" : wanted.level;
    json = wanted.format === "json";
    lowest = RANK[wanted.level];
    resetSync();
    configureSync({
      sinks: { out: sink },
      loggers: [
        { category: ["sms-agent"], lowestLevel: level, sinks: ["out"] },
        { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["out"] },
      ],
    });
  };
  configure(options);
  const logger = getLogger(["sms-agent"]);
  const note = (level: Level, event: string, fields: LogFields | undefined) => {
    if (RANK[level] < lowest) return;
    if (json) add(jsonLine(Date.now(), level, event, fields));
    else logger[level](event, properties(fields));
  };
  return {
    debug: (event, fields) => note("debug", event, fields),
    info: (event, fields) => note("info", event, fields),
    warn: (event, fields) => note("warn", event, fields),
    error: (event, fields) => note("error", event, fields),
    flush,
    configure,
  };
}

function properties(fields: LogFields = {}): Record<string, unknown> {
  const present: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) if (fields[name] !== undefined) present[name] = fields[name];
  return present;
}

/** A line of LogTape's own, about itself. */
function jsonRecord({ timestamp, level, rawMessage, properties }: LogRecord): string {
  const time = new Date(timestamp).toISOString();
  const event = String(rawMessage);
  return `${visible({ time, level: level === "warning" ? "warn" : level, event, ...properties })}\n`;
}

/** A field that is undefined is left out, as JSON does. `at`: epoch ms. */
function jsonLine(at: number, level: Level, event: string, fields: LogFields = {}): string {
  const rest = visible(fields);
  const comma = rest === "{}" ? "" : ",";
  return `{"time":"${isoTime(at)}","level":"${level}","event":${visible(event)}${comma}${rest.slice(1)}\n`;
}

/** Many lines are of one millisecond. */
function isoTime(at: number): string {
  if (at !== lastTime.at) lastTime = { at, iso: new Date(at).toISOString() };
  return lastTime.iso;
}

let lastTime = { at: 0, iso: new Date(0).toISOString() };

const COLOUR: Readonly<Record<string, string>> = {
  debug: "\u001b[2m",
  info: "\u001b[32m",
  warning: "\u001b[33m",
  error: "\u001b[31m",
};

function prettyLine(record: LogRecord): string {
  const time = new Date(record.timestamp).toISOString().slice(11, 23);
  const colour = COLOUR[record.level] ?? "";
  const fields = Object.entries(record.properties)
    .map(([name, value]) => `${name}=${plain(value)}`)
    .join(" ");
  return `${time} ${colour}${String(record.rawMessage)}\u001b[0m ${fields}\n`;
}

/** A value on one line; control characters escaped, so that nobody's text can forge a line. */
function plain(value: unknown): string {
  const text = Array.isArray(value) ? value.join(",") : String(value);
  return /^[\x21-\x7e]+$/.test(text) ? text : visible(text);
}

/**
 * As JSON, with what it leaves as it is escaped too where a terminal or a reader would obey it: the control
 * characters from 0x7f on, line separators, and marks that turn the direction of writing.
 */
function visible(value: unknown): string {
  const json = JSON.stringify(value);
  if (/^[\x20-\x7e]*$/.test(json)) return json;
  return json.replace(/[\x7f-\x9f\u00ad\p{Cf}\u2028\u2029]/gu, (found) =>
    [...Array(found.length).keys()]
      .map((at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}
