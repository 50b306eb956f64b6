import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Clock } from "../../clock.ts";
import { type EventFeed, parseTypes } from "../../event-feed.ts";
import { eventStream } from "../event-stream.ts";
import { callerOf } from "../guard.ts";
import { problems } from "./responses.ts";

/** What happens, as it happens. */
export function eventRoutes(api: OpenAPIHono, feed: EventFeed, clock: Clock): void {
  api.openapi(
    createRoute({
      method: "get",
      path: "/events",
      summary: "What happens, as server-sent events; Last-Event-ID goes on where another stream ended",
      request: {
        query: z.object({
          types: z
            .string()
            .optional()
            .openapi({ description: "Only these: `alert,message.status`", example: "signal.matched" }),
        }),
        headers: z.object({ "last-event-id": z.string().max(100).optional() }),
      },
      responses: {
        200: {
          description: "`event` is the type, `data` is `{id, type, at, data}` as webhooks get it",
          content: { "text/event-stream": { schema: z.string() } },
        },
        ...problems,
      },
    }),
    async (c) => {
      const { types } = c.req.valid("query");
      const lastEventId = c.req.valid("header")["last-event-id"];
      const events = await feed.open(
        {
          ...(types === undefined ? {} : { types: parseTypes(types) }),
          ...(lastEventId === undefined || lastEventId === "" ? {} : { lastEventId }),
        },
        callerOf(c),
      );
      return c.body(eventStream(events, c.req.raw.signal, clock), 200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        // What buffers answers (nginx) must not keep events back.
        "x-accel-buffering": "no",
      });
    },
  );
}
