import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { conversationJson } from "../../conversation-json.ts";
import { messageJson } from "../../message-json.ts";
import { turnRecordJson } from "../../turn-record.ts";
import type { OperatorOf } from "../guard.ts";
import {
  conversationSchema,
  conversationWithTurnsSchema,
  listOf,
  messageSchema,
  messageWithEventsJson,
  messageWithEventsSchema,
  pageQuery,
} from "../schemas.ts";
import { ok, problems } from "./responses.ts";

const idParam = z.object({ id: z.string().min(1) });

const STATES = [
  "received",
  "queued",
  "handled",
  "dropped",
  "failed",
  "pending",
  "sending",
  "sent",
  "delivered",
  "read",
  "undelivered",
  "canceled",
  "suppressed",
  "unknown",
] as const;

const messageQuery = pageQuery.extend({
  channel: z.string().optional(),
  direction: z.enum(["inbound", "outbound"], { error: "Write inbound or outbound." }).optional(),
  state: z.enum(STATES, { error: `Write one of ${STATES.join(", ")}.` }).optional(),
  route: z.enum(["pairing", "command", "message", "signal", "dropped"]).optional(),
  address: z.string().optional(),
  conversation_id: z.string().optional(),
});

const sendBody = z
  .strictObject({
    channel: z.string(),
    to: z.string(),
    body: z.string().optional(),
    media_urls: z
      .array(z.string().openapi({ pattern: "^https?://" }))
      .optional()
      .openapi({ maxItems: 10 }),
    content_sid: z.string().optional().openapi({ pattern: "^HX[0-9a-fA-F]{32}$" }),
    content_variables: z
      .union([z.string(), z.record(z.string(), z.string())])
      .optional()
      .openapi({ description: "An object, or the same as a JSON string" }),
  })
  .openapi("Send");

const notifyBody = z.strictObject({ text: z.string().openapi({ minLength: 1 }) }).openapi("Notify");

const sentSchema = z.object({ id: z.string(), state: z.string() });

/** Messages: the list, one with its events, and sending. */
export function messageRoutes(api: OpenAPIHono, operatorOf: OperatorOf): void {
  api.openapi(
    createRoute({
      method: "get",
      path: "/messages",
      summary: "Messages in and out, newest first",
      request: { query: messageQuery },
      responses: { 200: ok("The messages", listOf(messageSchema)), ...problems },
    }),
    async (c) => {
      const { conversation_id, channel, direction, state, route, address, cursor, limit } =
        c.req.valid("query");
      const page = await operatorOf(c).messages({
        limit,
        ...(channel === undefined ? {} : { channel }),
        ...(direction === undefined ? {} : { direction }),
        ...(state === undefined ? {} : { state }),
        ...(route === undefined ? {} : { route }),
        ...(address === undefined ? {} : { address }),
        ...(cursor === undefined ? {} : { cursor }),
        ...(conversation_id === undefined ? {} : { conversationId: conversation_id }),
      });
      return c.json(pageJson(page.items.map(messageJson), page.nextCursor), 200);
    },
  );
  api.openapi(
    createRoute({
      method: "get",
      path: "/messages/{id}",
      summary: "One message with its events and the policies that decided",
      request: { params: idParam },
      responses: { 200: ok("The message", messageWithEventsSchema), ...problems },
    }),
    async (c) => c.json(messageWithEventsJson(await operatorOf(c).message(c.req.valid("param").id)), 200),
  );
  api.openapi(
    createRoute({
      method: "post",
      path: "/messages",
      summary: "Send a text",
      request: {
        headers: z.object({ "idempotency-key": z.string().min(1).max(255).optional() }),
        body: { required: true, content: { "application/json": { schema: sendBody } } },
      },
      responses: { 202: ok("Taken into the outbox", sentSchema), ...problems },
    }),
    async (c) => {
      const body = c.req.valid("json");
      const key = c.req.valid("header")["idempotency-key"];
      const variables = body.content_variables;
      const sent = await operatorOf(c).send({
        channel: body.channel,
        to: body.to,
        ...(body.body === undefined ? {} : { body: body.body }),
        ...(body.media_urls === undefined ? {} : { mediaUrls: body.media_urls }),
        ...(body.content_sid === undefined ? {} : { contentSid: body.content_sid }),
        ...(variables === undefined
          ? {}
          : { contentVariables: typeof variables === "string" ? variables : JSON.stringify(variables) }),
        ...(key === undefined ? {} : { idempotencyKey: key }),
      });
      return c.json(sent, 202);
    },
  );
}

/** Sending again what came to a bad or unknown end, and having the agent try a text again. */
export function resendRoutes(api: OpenAPIHono, operatorOf: OperatorOf): void {
  api.openapi(
    createRoute({
      method: "post",
      path: "/messages/{id}/resend",
      summary:
        "Send a message again that is unknown, failed, undelivered or canceled, or have the agent answer a text that failed",
      description:
        "The message itself goes into the outbox again, with its timeline; a text that came in and failed gets a fresh turn of its own, if its sender may still text the agent. 409 says why not, and what to do: in any other state it is on its way or has arrived, so a request that is made twice sends once.",
      request: {
        params: idParam,
        headers: z.object({ "idempotency-key": z.string().min(1).max(255).optional() }),
      },
      responses: { 202: ok("Taken into the outbox again", sentSchema), ...problems },
    }),
    async (c) => {
      const key = c.req.valid("header")["idempotency-key"];
      const { id } = c.req.valid("param");
      const sent = await operatorOf(c).resend({ id, ...(key === undefined ? {} : { idempotencyKey: key }) });
      return c.json(sent, 202);
    },
  );
}

/** A text to the home phone. */
export function notifyRoutes(api: OpenAPIHono, operatorOf: OperatorOf): void {
  api.openapi(
    createRoute({
      method: "post",
      path: "/notify",
      summary: "Text the home phone",
      request: {
        headers: z.object({ "idempotency-key": z.string().min(1).max(255).optional() }),
        body: { required: true, content: { "application/json": { schema: notifyBody } } },
      },
      responses: { 202: ok("Taken into the outbox", sentSchema), ...problems },
    }),
    async (c) => {
      const key = c.req.valid("header")["idempotency-key"];
      const { text } = c.req.valid("json");
      const sent = await operatorOf(c).notify({
        text,
        ...(key === undefined ? {} : { idempotencyKey: key }),
      });
      return c.json(sent, 202);
    },
  );
}

/** Conversations: the list, one, and ending it. */
export function conversationRoutes(api: OpenAPIHono, operatorOf: OperatorOf): void {
  api.openapi(
    createRoute({
      method: "get",
      path: "/conversations",
      summary: "Conversations, newest activity first",
      request: {
        query: pageQuery.extend({
          channel: z.string().optional(),
          open: z
            .enum(["true", "false"], { error: "Write true or false." })
            .transform((value) => value === "true")
            .optional(),
        }),
      },
      responses: { 200: ok("The conversations", listOf(conversationSchema)), ...problems },
    }),
    async (c) => {
      const { channel, open, cursor, limit } = c.req.valid("query");
      const page = await operatorOf(c).conversations({
        limit,
        ...(channel === undefined ? {} : { channel }),
        ...(open === undefined ? {} : { open }),
        ...(cursor === undefined ? {} : { cursor }),
      });
      return c.json(pageJson(page.items.map(conversationJson), page.nextCursor), 200);
    },
  );
  api.openapi(
    createRoute({
      method: "get",
      path: "/conversations/{id}",
      summary: "One conversation with its newest turns",
      request: { params: idParam },
      responses: { 200: ok("The conversation", conversationWithTurnsSchema), ...problems },
    }),
    async (c) => {
      const conversation = await operatorOf(c).conversation(c.req.valid("param").id);
      return c.json(
        { ...conversationJson(conversation), turns: conversation.turns.map(turnRecordJson) },
        200,
      );
    },
  );
  api.openapi(
    createRoute({
      method: "post",
      path: "/conversations/{id}/end",
      summary: "End a conversation and cancel its turns",
      request: { params: idParam },
      responses: { 200: ok("The ended conversation", conversationSchema), ...problems },
    }),
    async (c) => c.json(conversationJson(await operatorOf(c).endConversation(c.req.valid("param").id)), 200),
  );
}

function pageJson<T>(items: T[], nextCursor: string | undefined): { items: T[]; next_cursor?: string } {
  return nextCursor === undefined ? { items } : { items, next_cursor: nextCursor };
}
