import { configureSync, getLogger, type LogRecord, resetSync, type Sink } from "@logtape/logtape";
import type { Log, LogFields } from "../log.ts";

export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly format: "pretty" | "json";
  /** Takes whole lines, each ending in a line break. */
  readonly write: (lines: string) => void;
}

/**
 * Logging through LogTape: one line per event, gathered per turn of the event loop so that a burst costs one
 * write. `flush` is for the end of the process; `configure` changes level and format from the next line on.
 */
export function openLog(
  options: LogOptions,
): Log & { flush(): void; configure(options: Pick<LogOptions, "level" | "format">): void } {
  let format = jsonLine;
  let lines = "";
  const flush = () => {
    const pending = lines;
    lines = "";
    if (pending !== "") options.write(pending);
  };
  const sink: Sink = (record) => {
    if (lines === "") setImmediate(flush);
    lines += format(record);
  };
  const configure = (wanted: Pick<LogOptions, "level" | "format">) => {
    const level = wanted.level === "warn" ? "warning" : wanted.level;
    format = wanted.format === "json" ? jsonLine : prettyLine;
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
  return {
    debug: (event, fields) => logger.debug(event, properties(fields)),
    info: (event, fields) => logger.info(event, properties(fields)),
    warn: (event, fields) => logger.warn(event, properties(fields)),
    error: (event, fields) => logger.error(event, properties(fields)),
    flush,
    configure,
  };
}

function properties(fields: LogFields = {}): Record<string, unknown> {
  const present: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) if (fields[name] !== undefined) present[name] = fields[name];
  return present;
}

function jsonLine(record: LogRecord): string {
  const level = record.level === "warning" ? "warn" : record.level;
  const event = String(record.rawMessage);
  return `${visible({ time: new Date(record.timestamp).toISOString(), level, event, ...record.properties })}\n`;
}

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
