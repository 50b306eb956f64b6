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

/** What zod found wrong, as our error. Paths are those of the body or the query. */
export function invalid(
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): AppError {
  return new AppError("invalid", "The request is not valid.", {
    problems: issues.map((issue) => ({ path: issue.path.map(String).join("."), message: issue.message })),
  });
}

/** The validation hook of every route: throws, so that there is one way to answer an error. */
export function onInvalid(
  result: {
    success: boolean;
    error?: { issues: readonly { path: readonly PropertyKey[]; message: string }[] };
  },
  _c: Context,
): void {
  if (!result.success) throw invalid(result.error?.issues ?? []);
}
