import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { OperatorOf } from "../guard.ts";
import {
  addressJson,
  addressSchema,
  channelChangeSchema,
  channelJson,
  channelSchema,
  listOf,
  pairingJson,
  pairingSchema,
} from "../schemas.ts";
import { ok, problems } from "./responses.ts";
import { shortListQuery, shortPage } from "./short-lists.ts";

const channelParam = z.object({ id: z.string().min(1) });
const addressParam = z.object({ id: z.string().min(1), address: z.string().min(1) });

const testSchema = z
  .object({
    ok: z.boolean(),
    findings: z.array(
      z.object({
        name: z.string(),
        status: z.enum(["ok", "warn", "fail"]),
        detail: z.string(),
        fix: z.string().optional(),
      }),
    ),
  })
  .openapi("ChannelTest");

/** Channels, their pairing codes and their paired addresses. */
export function channelRoutes(api: OpenAPIHono, operatorOf: OperatorOf): void {
  api.openapi(
    createRoute({
      method: "get",
      path: "/channels",
      summary: "Every channel with its status",
      request: { query: shortListQuery },
      responses: { 200: ok("The channels", listOf(channelSchema)), ...problems },
    }),
    async (c) => {
      const channels = (await operatorOf(c).channels()).map(channelJson);
      return c.json(
        shortPage(channels, c.req.valid("query"), ({ id }) => id),
        200,
      );
    },
  );
  api.openapi(
    createRoute({
      method: "get",
      path: "/channels/{id}",
      summary: "One channel",
      request: { params: channelParam },
      responses: { 200: ok("The channel", channelSchema), ...problems },
    }),
    async (c) => c.json(channelJson(await operatorOf(c).channel(c.req.valid("param").id)), 200),
  );
  api.openapi(
    createRoute({
      method: "patch",
      path: "/channels/{id}",
      summary: "Switch a channel's mode, or the channel on or off; written into the configuration file",
      request: {
        params: channelParam,
        body: { required: true, content: { "application/json": { schema: channelChangeSchema } } },
      },
      responses: { 200: ok("The channel as it is now", channelSchema), ...problems },
    }),
    async (c) => {
      const { mode, enabled } = c.req.valid("json");
      const change = {
        ...(mode === undefined ? {} : { mode }),
        ...(enabled === undefined ? {} : { enabled }),
      };
      return c.json(channelJson(await operatorOf(c).changeChannel(c.req.valid("param").id, change)), 200);
    },
  );
  api.openapi(
    createRoute({
      method: "post",
      path: "/channels/{id}/test",
      summary:
        "Ask the carrier whether number, webhook and public URL are as they should be; changes nothing",
      request: { params: channelParam },
      responses: { 200: ok("What was found; `ok` when nothing failed", testSchema), ...problems },
    }),
    async (c) => {
      const findings = await operatorOf(c).testChannel(c.req.valid("param").id);
      return c.json({ ok: findings.every(({ status }) => status !== "fail"), findings: [...findings] }, 200);
    },
  );
  api.openapi(
    createRoute({
      method: "post",
      path: "/channels/{id}/pairing",
      summary: "Make a pairing code; it replaces the pending one",
      request: { params: channelParam },
      description:
        "409 while the channel is disabled, or the number to text a code to is not known; `fix` says what to do.",
      responses: { 201: ok("The code to text to the number", pairingSchema), ...problems },
    }),
    async (c) => c.json(pairingJson(await operatorOf(c).beginPairing(c.req.valid("param").id)), 201),
  );
  api.openapi(
    createRoute({
      method: "delete",
      path: "/channels/{id}/pairing",
      summary: "Withdraw the pending pairing code",
      request: { params: channelParam },
      responses: { 204: { description: "Withdrawn" }, ...problems },
    }),
    async (c) => {
      await operatorOf(c).cancelPairing(c.req.valid("param").id);
      return c.body(null, 204);
    },
  );
  api.openapi(
    createRoute({
      method: "get",
      path: "/channels/{id}/addresses",
      summary: "Paired addresses of a channel",
      request: { params: channelParam, query: shortListQuery },
      responses: { 200: ok("The addresses", listOf(addressSchema)), ...problems },
    }),
    async (c) => {
      const addresses = (await operatorOf(c).addresses(c.req.valid("param").id)).map(addressJson);
      return c.json(
        shortPage(addresses, c.req.valid("query"), ({ address }) => address),
        200,
      );
    },
  );
  api.openapi(
    createRoute({
      method: "patch",
      path: "/channels/{id}/addresses/{address}",
      summary: "Name a paired address; null takes the name away",
      request: {
        params: addressParam,
        body: {
          required: true,
          content: {
            "application/json": {
              schema: z.strictObject({
                label: z
                  .string()
                  .trim()
                  .min(1)
                  .max(100)
                  .regex(/^\P{C}+$/u, "One line without control characters.")
                  // The generator would leave the flag of the expression in it.
                  .openapi({ pattern: "^\\P{C}+$" })
                  .nullable(),
              }),
            },
          },
        },
      },
      responses: { 200: ok("The address", addressSchema), ...problems },
    }),
    async (c) => {
      const { id, address } = c.req.valid("param");
      const { label } = c.req.valid("json");
      return c.json(addressJson(await operatorOf(c).labelAddress(id, address, label ?? undefined)), 200);
    },
  );
  api.openapi(
    createRoute({
      method: "delete",
      path: "/channels/{id}/addresses/{address}",
      summary: "Revoke a paired address",
      request: { params: addressParam },
      responses: { 204: { description: "Revoked" }, ...problems },
    }),
    async (c) => {
      const { id, address } = c.req.valid("param");
      await operatorOf(c).revokeAddress(id, address);
      return c.body(null, 204);
    },
  );
}
