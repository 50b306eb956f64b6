import { redactNumbers } from "./address.ts";

/**
 * Fields of a log line. Callers never pass bodies or tokens, and numbers by `redactAddress`; what stands in a sentence
 * is left to `withoutNumbers`.
 */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined | readonly string[]>>;

/** One line per event: `event` is a stable dotted name (`inbound.admitted`), the fields hold ids to join on. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields & { readonly error?: string }): void;
}

/**
 * A log whose lines hold no full number, wherever a sentence of ours or of somebody else has one. Whoever is told the
 * same sentence elsewhere (an event, the console, a terminal) gets it whole.
 */
export function withoutNumbers(log: Log): Log {
  return {
    debug: (event, fields) => log.debug(event, redacted(fields)),
    info: (event, fields) => log.info(event, redacted(fields)),
    warn: (event, fields) => log.warn(event, redacted(fields)),
    error: (event, fields) => log.error(event, redacted(fields)),
  };
}

function redacted(fields: LogFields | undefined): LogFields | undefined {
  let copy: Record<string, LogFields[string]> | undefined;
  for (const name in fields) {
    const value = fields[name];
    const safe = redactedValue(value);
    if (safe === value) continue;
    copy ??= { ...fields };
    copy[name] = safe;
  }
  return copy ?? fields;
}

function redactedValue(value: LogFields[string]): LogFields[string] {
  if (typeof value === "string") return mayHoldNumber(value) ? redactNumbers(value) : value;
  return typeof value === "object" && value.some(mayHoldNumber) ? value.map(redactNumbers) : value;
}

/** A sentence, or an address. Ids and causes stay as they are, whatever digits they hold: they are joined on. */
function mayHoldNumber(text: string): boolean {
  return text.includes(" ") || text.includes("+");
}
