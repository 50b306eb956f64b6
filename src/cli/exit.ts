/** How a verb ended, for scripts. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, timedOut: 4 } as const;

/** Ends the process with a message for people. */
export class CliError extends Error {
  override readonly name = "CliError";
  constructor(
    readonly exitCode: (typeof EXIT)[keyof typeof EXIT],
    message: string,
  ) {
    super(message);
  }
}
