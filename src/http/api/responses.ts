import type { z } from "@hono/zod-openapi";
import { problemSchema } from "../schemas.ts";

/** A JSON answer of a route, for its OpenAPI description. */
export function ok<T extends z.ZodType>(description: string, schema: T) {
  return { description, content: { "application/json": { schema } } };
}

const problem = (description: string) => ({
  description,
  content: { "application/problem+json": { schema: problemSchema } },
});

/** What every route may answer instead. */
export const problems = {
  400: problem("The request is not valid; `errors` names the fields"),
  401: problem("A credential is needed"),
  403: problem("Not allowed"),
  404: problem("Not found"),
  405: problem("The route does not take this method; the header `Allow` names those it takes"),
  409: problem("Not possible at the moment"),
  413: problem("The body is too large"),
  415: problem("The body is of another type than this route takes"),
  500: problem("An error of the service; its log says more"),
  503: problem("Try again later"),
};
