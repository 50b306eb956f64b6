import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Exposition } from "../../metrics.ts";
import { demandEverywhere } from "../../token.ts";
import { callerOf } from "../guard.ts";
import { problems } from "./responses.ts";

/** What a monitoring system reads; it concerns all channels. */
export function metricsRoute(app: OpenAPIHono, metrics: () => Promise<Exposition>): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/metrics",
      summary: "Metrics of the service in Prometheus' text format",
      responses: {
        200: {
          description: "Every metric begins with sms_agent_",
          content: { "text/plain": { schema: z.string() } },
        },
        ...problems,
      },
    }),
    async (c) => {
      demandEverywhere(callerOf(c), "read");
      const { text, contentType } = await metrics();
      return c.text(text, 200, { "content-type": contentType });
    },
  );
}
