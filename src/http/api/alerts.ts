import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Alerts } from "../../alerts.ts";
import { rfc3339 } from "../../clock.ts";
import { type Caller, demand, reaches } from "../../token.ts";
import { listOf } from "../schemas.ts";
import { ok, problems } from "./responses.ts";
import { shortListQuery, shortPage } from "./short-lists.ts";

const alertSchema = z
  .object({
    cause: z.string(),
    message: z.string(),
    fix: z.string(),
    channel: z.string().optional(),
    at: z.iso.datetime(),
  })
  .openapi("Alert");

/** What the operator was told within the last hour. */
export function alertRoutes(
  api: OpenAPIHono,
  alerts: Pick<Alerts, "current">,
  callerOf: (c: Context) => Caller,
): void {
  api.openapi(
    createRoute({
      method: "get",
      path: "/alerts",
      summary: "What the operator was told within the last hour, newest first",
      request: { query: shortListQuery },
      responses: { 200: ok("The alerts", listOf(alertSchema)), ...problems },
    }),
    (c) => {
      const caller = callerOf(c);
      demand(caller, "read");
      const items = alerts
        .current()
        .filter(({ channel }) =>
          channel === undefined ? caller.channels === undefined : reaches(caller, channel),
        )
        .map(({ cause, message, fix, channel, at }) => ({
          cause,
          message,
          fix,
          ...(channel === undefined ? {} : { channel }),
          at: rfc3339(at),
        }));
      return c.json(
        shortPage(items, c.req.valid("query"), ({ cause, at }) => `${at} ${cause}`),
        200,
      );
    },
  );
}
