/**
 * The one error type of the application. Everything that is not an AppError is a bug or an outage: it is
 * logged and never shown to a caller.
 *
 * - `invalid`: the caller's input is wrong; `problems` names the fields
 * - `unauthenticated`: no credential, or a wrong one
 * - `forbidden`: the credential (or the rule of the house) does not allow it
 * - `not_found`: no such thing
 * - `conflict`: the thing is in a state that does not allow it
 * - `too_large`: the input exceeds a cap
 * - `unavailable`: cannot be done now, may be tried again
 */
export type ErrorCode =
  | "invalid"
  | "unauthenticated"
  | "forbidden"
  | "not_found"
  | "conflict"
  | "too_large"
  | "unavailable";

/** One wrong place of the input: `path` as the caller wrote it (`channels.sms.agent`, `body.to`). */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

export interface AppErrorDetails {
  readonly problems?: readonly Problem[];
  /** What the reader can do about it. */
  readonly fix?: string;
  readonly cause?: unknown;
}

export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  readonly problems: readonly Problem[];
  readonly fix: string | undefined;

  constructor(code: ErrorCode, message: string, details: AppErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.problems = details.problems ?? [];
    this.fix = details.fix;
  }
}

/** An error in full, one line each: what happened, every wrong place, and what to do. */
export function explainError(error: AppError): string {
  return [whatIsWrong(error), ...(error.fix === undefined ? [] : [error.fix])].join("\n");
}

/** What happened and every wrong place, one line each; for where the fix is told apart. */
export function whatIsWrong({ message, problems }: AppError): string {
  return [message, ...problems.map((problem) => `${problem.path}: ${problem.message}`)].join("\n");
}

/** A failure as a person is shown it: what happened, what it means, what to do. Part of the API's shapes. */
export interface Explained {
  /** The carrier's error code, when it has one (Twilio: https://www.twilio.com/docs/api/errors). */
  readonly code?: number;
  readonly meaning: string;
  readonly fix: string;
}
