import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { OperatorOf } from "../guard.ts";
import { decisionJson, decisionSchema, listOf, policyJson, policySchema } from "../schemas.ts";
import { ok, problems } from "./responses.ts";
import { shortListQuery, shortPage } from "./short-lists.ts";

const checkBody = z
  .strictObject({
    action: z.enum(["receive_message", "receive_signal", "send_message"], {
      error: "Write receive_message, receive_signal or send_message.",
    }),
    channel: z.string(),
    from: z.string().openapi({ description: "The sender; for send_message the recipient" }),
    agent: z.string().optional(),
  })
  .openapi("PolicyCheck");

/** Policies: the loaded set, and what it would decide. */
export function policyRoutes(api: OpenAPIHono, operatorOf: OperatorOf): void {
  api.openapi(
    createRoute({
      method: "get",
      path: "/policies",
      summary: "Every policy in force",
      request: { query: shortListQuery },
      responses: { 200: ok("The policies", listOf(policySchema)), ...problems },
    }),
    (c) => {
      const policies = operatorOf(c).policies().map(policyJson);
      return c.json(
        shortPage(policies, c.req.valid("query"), ({ id }) => id),
        200,
      );
    },
  );
  api.openapi(
    createRoute({
      method: "post",
      path: "/policies/check",
      summary: "Would this sender get through, and why",
      request: { body: { required: true, content: { "application/json": { schema: checkBody } } } },
      responses: { 200: ok("The decision", decisionSchema), ...problems },
    }),
    async (c) => {
      const { agent, ...check } = c.req.valid("json");
      const decision = await operatorOf(c).checkPolicy({
        ...check,
        ...(agent === undefined ? {} : { agent }),
      });
      return c.json(decisionJson(decision), 200);
    },
  );
}
