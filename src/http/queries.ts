import { z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { AppError } from "../errors.ts";
import { matches } from "./methods.ts";

/** What the document's registry holds; only its routes count here. */
interface Definition {
  readonly type: string;
  readonly route?: {
    readonly method: string;
    /** With `{name}` for a segment that varies. */
    readonly path: string;
    readonly request?: { readonly query?: unknown };
  };
}

interface KnownQuery {
  readonly method: string;
  readonly pattern: readonly string[];
  readonly parameters: readonly string[];
}

/**
 * Refuses query parameters that a route does not have, whatever its method: one that is misspelt would else be left out
 * without a word. What a route has is what the document says. Paths without a route are let through.
 */
export function knownQueriesOnly(definitions: () => readonly Definition[]): MiddlewareHandler {
  let known: readonly KnownQuery[] | undefined;
  return async (c, next) => {
    const given = new Set(new URL(c.req.url).searchParams.keys());
    if (given.size === 0) return next();
    known ??= definitions().flatMap(queryOf);
    const method = c.req.method === "HEAD" ? "GET" : c.req.method;
    const path = c.req.path.split("/");
    const route = known.find((one) => one.method === method && matches(path, one.pattern));
    if (route === undefined) return next();
    const unknown = [...given].filter((name) => !route.parameters.includes(name));
    if (unknown.length === 0) return next();
    const takes = route.parameters.length === 0 ? "none" : route.parameters.join(", ");
    throw new AppError("invalid", "The request is not valid.", {
      problems: unknown.map((name) => ({
        path: name,
        message: `Is not a query parameter of this route; it takes ${takes}.`,
      })),
    });
  };
}

function queryOf({ type, route }: Definition): readonly KnownQuery[] {
  if (type !== "route" || route === undefined) return [];
  const query = route.request?.query;
  return [
    {
      method: route.method.toUpperCase(),
      pattern: route.path.split("/").map((part) => part.replace(/^\{(.+)\}$/, ":$1")),
      parameters: query instanceof z.ZodObject ? Object.keys(query.shape) : [],
    },
  ];
}
