import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { OperatorOf } from "../guard.ts";
import { configurationJson, configurationSchema } from "../schemas.ts";
import { ok, problems } from "./responses.ts";

/** The configuration file, and why it is not in force when it is not. */
export function configurationRoutes(api: OpenAPIHono, operatorOf: OperatorOf): void {
  api.openapi(
    createRoute({
      method: "get",
      path: "/configuration",
      summary: "The configuration file; `error` says why what it says now is not in force",
      responses: { 200: ok("The configuration", configurationSchema), ...problems },
    }),
    (c) => c.json(configurationJson(operatorOf(c).configuration()), 200),
  );
}
