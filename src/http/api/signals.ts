import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { signalJson, watchJson } from "../../signal-json.ts";
import type { Caller } from "../../token.ts";
import type { Waiting } from "../../waiting.ts";
import { CATEGORIES } from "../../watch.ts";
import { durationForms, listOf, pageQuery } from "../schemas.ts";
import { ok, problems } from "./responses.ts";

const time = z.iso.datetime().openapi({ example: "2026-01-31T09:30:00.000Z" });
const signalSchema = z
  .object({
    id: z.string(),
    message_id: z.string(),
    channel: z.string(),
    from: z.string(),
    received_at: time,
    text: z.string(),
    category: z.enum(CATEGORIES),
    code: z.string().optional(),
    link: z.string().optional(),
    origin: z.string().optional(),
    embedded: z.string().optional(),
    confidence: z.number(),
    candidates: z.array(z.object({ value: z.string(), score: z.number(), reason: z.string().optional() })),
  })
  .openapi("Signal");

const states = ["pending", "matched", "expired", "cancelled"] as const;

const watchSchema = z
  .object({
    id: z.string(),
    state: z.enum(states),
    created_at: time,
    expires_at: time,
    channel: z.string().optional(),
    from: z.array(z.string()).optional(),
    match: z.string().optional(),
    category: z.enum(CATEGORIES).optional(),
    origin: z.string().optional(),
    instructions: z.string().optional(),
    mode: z.enum(["once", "continuous"]),
    consume: z.enum(["claim", "peek"]),
    backfill: z.string().openapi({ pattern: "^[0-9]+(s|ms)$", example: "120s" }),
    agent: z.string().optional(),
    signals: z.array(signalSchema),
  })
  .openapi("Watch");

/*
 * The domain reads these fields, every problem at once and alike for every door, so here each may be anything; the
 * document says what is meant.
 */
const text = (maxLength: number, description: string) =>
  z.unknown().optional().openapi({ type: "string", minLength: 1, maxLength, description });
const choice = (values: readonly string[], description: string) =>
  z
    .unknown()
    .optional()
    .openapi({ type: "string", enum: [...values], description });
const period = (description: string) => z.unknown().optional().openapi({ oneOf: durationForms, description });

const fields = (mode: ReturnType<typeof choice>) => ({
  channel: text(200, "Only texts on this channel"),
  from: z
    .unknown()
    .optional()
    .openapi({
      oneOf: [{ type: "string" }, { type: "array", items: { type: "string" }, minItems: 1, maxItems: 50 }],
      description: "Senders, any of them; a trailing * matches all that begin so",
    }),
  match: text(2_000, "A regular expression (RE2) that is found anywhere in the text"),
  category: choice(CATEGORIES, "What the text is"),
  origin: text(300, "The host a code is bound to, as in `@example.com #123456`"),
  instructions: text(2_000, "Judged by the channel's llm agent, over what the other filters let through"),
  mode,
  consume: choice(["claim", "peek"], "`claim` (default) takes the signal, `peek` only looks"),
  backfill: period("Texts that arrived up to this long before are considered too; 120s, at most 10m"),
  expires_in: period("How long it waits; at least 1s, at most 365d"),
});

// The domain refuses the fields there are not, too, and says which one may be meant.
const known = { additionalProperties: false };
const awaitBody = z
  .looseObject({
    ...fields(choice(["once"], "A call ends with its first signal")),
    timeout: period("How long the call waits; 25s, at most 300s"),
  })
  .openapi("Await", known);
const watchBody = z
  .looseObject(fields(choice(["once", "continuous"], "`once` (default) ends with the first signal")))
  .openapi("NewWatch", known);

const outcomeSchema = z
  .object({ status: z.enum(["matched", "timeout"]), signal: signalSchema.optional() })
  .openapi("AwaitOutcome");

const key = z.string().min(1).max(255);
const keyHeader = z.object({ "idempotency-key": key.optional() });
const idParam = z.object({ id: z.string().min(1) });

/** Waiting for signals: the long poll and standing watches. */
export function signalRoutes(api: OpenAPIHono, waiting: Waiting, callerOf: (c: Context) => Caller): void {
  const options = (c: Context, idempotencyKey: string | undefined) => ({
    caller: callerOf(c),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  });
  api.openapi(
    createRoute({
      method: "post",
      path: "/signals/await",
      summary: "Wait for a signal; a time-out is an answer too",
      request: {
        headers: keyHeader,
        body: { required: true, content: { "application/json": { schema: awaitBody } } },
      },
      responses: { 200: ok("What came, or that nothing did", outcomeSchema), ...problems },
    }),
    async (c) => {
      const key = c.req.valid("header")["idempotency-key"];
      const outcome = await waiting.awaitSignal(c.req.valid("json"), options(c, key), c.req.raw.signal);
      return c.json(
        outcome.status === "matched"
          ? { status: outcome.status, signal: signalJson(outcome.signal) }
          : { status: outcome.status },
        200,
      );
    },
  );
  api.openapi(
    createRoute({
      method: "delete",
      path: "/signals/await",
      summary: "End a wait that was started with this Idempotency-Key",
      request: { headers: z.object({ "idempotency-key": key }) },
      responses: { 204: { description: "Ended" }, ...problems },
    }),
    async (c) => {
      const idempotencyKey = c.req.valid("header")["idempotency-key"];
      await waiting.giveUp({ caller: callerOf(c), idempotencyKey });
      return c.body(null, 204);
    },
  );
  api.openapi(
    createRoute({
      method: "post",
      path: "/watches",
      summary: "Make a standing watch",
      request: {
        headers: keyHeader,
        body: { required: true, content: { "application/json": { schema: watchBody } } },
      },
      responses: { 201: ok("The watch, with what the backfill found", watchSchema), ...problems },
    }),
    async (c) => {
      const key = c.req.valid("header")["idempotency-key"];
      const watch = await waiting.createWatch(c.req.valid("json"), options(c, key));
      return c.json(watchJson(watch), 201);
    },
  );
  api.openapi(
    createRoute({
      method: "get",
      path: "/watches",
      summary: "Watches, newest first",
      request: {
        query: pageQuery.extend({
          state: z.enum(states, { error: `Write ${states.join(", ")}.` }).optional(),
        }),
      },
      responses: { 200: ok("The watches", listOf(watchSchema)), ...problems },
    }),
    async (c) => {
      const { state, cursor, limit } = c.req.valid("query");
      const page = await waiting.watches(
        { limit, ...(state === undefined ? {} : { state }), ...(cursor === undefined ? {} : { cursor }) },
        callerOf(c),
      );
      const items = page.items.map(watchJson);
      return c.json(
        { items, ...(page.nextCursor === undefined ? {} : { next_cursor: page.nextCursor }) },
        200,
      );
    },
  );
  api.openapi(
    createRoute({
      method: "get",
      path: "/watches/{id}",
      summary: "One watch with what it caught",
      request: { params: idParam },
      responses: { 200: ok("The watch", watchSchema), ...problems },
    }),
    async (c) => {
      const watch = await waiting.watch(c.req.valid("param").id, callerOf(c));
      return c.json(watchJson(watch), 200);
    },
  );
  api.openapi(
    createRoute({
      method: "delete",
      path: "/watches/{id}",
      summary: "Cancel a watch that still waits",
      request: { params: idParam },
      responses: { 204: { description: "Cancelled" }, ...problems },
    }),
    async (c) => {
      await waiting.cancelWatch(c.req.valid("param").id, callerOf(c));
      return c.body(null, 204);
    },
  );
}
