import type { Context } from "hono";
import { AppError, type ErrorCode, type Problem } from "../errors.ts";

/** The one table from error code to HTTP status. */
export const STATUS: Readonly<Record<ErrorCode, 400 | 401 | 403 | 404 | 409 | 413 | 503>> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  unavailable: 503,
};

const TITLE: Readonly<Record<ErrorCode, string>> = {
  invalid: "The request is not valid",
  unauthenticated: "A credential is needed",
  forbidden: "Not allowed",
  not_found: "Not found",
  conflict: "Not possible at the moment",
  too_large: "Too large",
  unavailable: "Try again later",
};

/** What the router refuses by itself: a body that is not JSON (400), or does not say that it is (415). */
export function refusalResponse({
  status,
  message,
}: {
  readonly status: number;
  readonly message: string;
}): Response {
  if (status !== 415) return problemResponse(new AppError("invalid", `${message}.`));
  return problem(415, "Unsupported media type", "The body's type is not one this route takes.", [], FIX_TYPE);
}

const FIX_TYPE = "Send JSON, with the header Content-Type: application/json.";

/** A route is there, but not for this method; `allowed` is the header `Allow`. */
export function wrongMethod(method: string, allowed: string): Response {
  const detail = `${method} is not a method of this route.`;
  return problem(405, "Method not allowed", detail, [], `Use ${allowed}.`, { allow: allowed });
}

/** An error as RFC 9457 `application/problem+json`. Anything but an AppError is shown as internal only. */
export function problemResponse(error: unknown): Response {
  if (!(error instanceof AppError)) return problem(500, "Internal error", "See the service's log.");
  return problem(STATUS[error.code], TITLE[error.code], error.message, error.problems, error.fix, {
    ...(error.code === "unauthenticated" ? { "www-authenticate": 'Bearer realm="sms-agent"' } : {}),
    ...(error.code === "unavailable" ? { "retry-after": "1" } : {}),
  });
}

function problem(
  status: number,
  title: string,
  detail: string,
  errors: readonly Problem[] = [],
  fix?: string,
  headers: Record<string, string> = {},
): Response {
  const body = {
    type: "about:blank",
    title,
    status,
    detail,
    ...(fix === undefined ? {} : { fix }),
    ...(errors.length === 0 ? {} : { errors }),
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}

/** What zod says of a wrong place. `keys` are the fields an object may not have; its own path names the object. */
interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
}

/** What zod found wrong, as our error. Paths are those of the body or the query, one for each unknown field too. */
export function invalid(issues: readonly Issue[]): AppError {
  return new AppError("invalid", "The request is not valid.", {
    problems: issues.flatMap(({ path, message, keys }): readonly Problem[] =>
      keys === undefined
        ? [{ path: pathOf(path), message: plain(message) }]
        : keys.map((key) => ({ path: pathOf([...path, key]), message: "Is not a known field." })),
    ),
  });
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.map(String).join(".");
}

/** Zod's own sentence for what is not there, said plainly; all others as they are. */
function plain(message: string): string {
  const [, expected] = /^Invalid input: expected (\w+), received undefined$/.exec(message) ?? [];
  return expected === undefined ? message : `Is missing; expected ${expected}.`;
}

/** The validation hook of every route: throws, so that there is one way to answer an error. */
export function onInvalid(
  result: {
    success: boolean;
    error?: { issues: readonly Issue[] };
  },
  _c: Context,
): void {
  if (!result.success) throw invalid(result.error?.issues ?? []);
}
