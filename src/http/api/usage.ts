import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { UsageView } from "../../operator.ts";
import type { OperatorOf } from "../guard.ts";
import { ok, problems } from "./responses.ts";

const usageSchema = z
  .object({
    currency: z.string().openapi({ example: "USD" }),
    days: z.array(
      z.object({
        day: z.iso.date(),
        channel: z.string(),
        inbound: z.int(),
        outbound: z.int(),
        segments: z.int().openapi({ description: "Of the outbound texts" }),
        inbound_segments: z.int(),
        input_tokens: z.int().openapi({ description: "Of language models, judged texts included" }),
        output_tokens: z.int(),
        cost: z.number(),
      }),
    ),
    limits: z.object({ segments_per_day: z.int(), used_today: z.int() }),
  })
  .openapi("Usage");

/** What was sent and received on each local day, and what is left of today's limit. */
export function usageRoutes(api: OpenAPIHono, operatorOf: OperatorOf): void {
  api.openapi(
    createRoute({
      method: "get",
      path: "/usage",
      summary: "Texts, segments and money per day and channel, newest day first",
      request: {
        query: z.object({
          days: z.coerce
            .number({ error: "Write a number of days." })
            .int("Write a whole number of days.")
            .min(1, "At least 1.")
            .max(3_660, "At most 3660.")
            .default(30)
            .openapi({ description: "How many days back, today included" }),
        }),
      },
      responses: { 200: ok("The usage", usageSchema), ...problems },
    }),
    async (c) => c.json(usageJson(await operatorOf(c).usage(c.req.valid("query").days)), 200),
  );
}

function usageJson({ currency, days, limits }: UsageView): z.infer<typeof usageSchema> {
  return {
    currency,
    days: days.map(({ day, channel, inbound, outbound, segments, cost, ...more }) => ({
      day,
      channel,
      inbound,
      outbound,
      segments,
      inbound_segments: more.inboundSegments,
      input_tokens: more.inputTokens,
      output_tokens: more.outputTokens,
      cost,
    })),
    limits: { segments_per_day: limits.segmentsPerDay, used_today: limits.usedToday },
  };
}
