/** Fields of a log line. Callers never pass bodies, tokens or full numbers (`redactAddress`). */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined | readonly string[]>>;

/** One line per event: `event` is a stable dotted name (`inbound.admitted`), the fields hold ids to join on. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields & { readonly error?: string }): void;
}
