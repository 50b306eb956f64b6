import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { rfc3339 } from "../../clock.ts";
import { parseDuration } from "../../duration.ts";
import { AppError } from "../../errors.ts";
import { SCOPES } from "../../token.ts";
import type { StoredToken } from "../../token-store.ts";
import type { TokenExpiry, Tokens } from "../../tokens.ts";
import { callerOf } from "../guard.ts";
import { durationForms, listOf } from "../schemas.ts";
import { ok, problems } from "./responses.ts";
import { shortListQuery, shortPage } from "./short-lists.ts";

const time = z.iso.datetime().openapi({ example: "2026-01-31T09:30:00.000Z" });

const tokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(z.enum(SCOPES)),
    channels: z.array(z.string()).optional(),
    created_at: time,
    expires_at: time.optional(),
    last_used_at: time.optional(),
  })
  .openapi("Token");

const createdSchema = tokenSchema
  .extend({ token: z.string().openapi({ description: "The token itself; it is not shown again" }) })
  .openapi("CreatedToken");

const newToken = z
  .strictObject({
    name: z.string().trim().min(1, "Name it after who uses it.").max(100, "At most 100 characters."),
    scopes: z.array(z.enum(SCOPES, { error: `Write ${SCOPES.join(", ")}.` })).openapi({
      minItems: 1,
      description: "`read` shows no codes and no texts of signals; `admin` allows everything",
    }),
    channels: z
      .array(z.string())
      .optional()
      .openapi({ minItems: 1, description: "It sees and does only these" }),
    expires_at: z.iso
      .datetime({ offset: true, error: "Write it as 2026-01-31T09:30:00Z." })
      .optional()
      .openapi({ description: "When it ends; or write expires_in, not both" }),
    expires_in: z.union([z.string(), z.number()]).optional().openapi({
      anyOf: durationForms,
      description: "How long it is good for: `30d`, or a number of seconds",
    }),
  })
  .openapi("NewToken");

/** API tokens: the list, making one, revoking one. */
export function tokenRoutes(api: OpenAPIHono, tokens: Tokens): void {
  api.openapi(
    createRoute({
      method: "get",
      path: "/tokens",
      summary: "API tokens, newest first",
      request: { query: shortListQuery },
      responses: { 200: ok("The tokens", listOf(tokenSchema)), ...problems },
    }),
    async (c) => {
      const items = (await tokens.list(callerOf(c))).map(tokenJson);
      return c.json(
        shortPage(items, c.req.valid("query"), ({ id }) => id),
        200,
      );
    },
  );
  api.openapi(
    createRoute({
      method: "post",
      path: "/tokens",
      summary: "Make an API token; the answer shows it, this once",
      request: { body: { required: true, content: { "application/json": { schema: newToken } } } },
      responses: { 201: ok("The token", createdSchema), ...problems },
    }),
    async (c) => {
      const { name, scopes, channels, expires_at, expires_in } = c.req.valid("json");
      const expiry = expiryOf(expires_at, expires_in);
      const { token, secret } = await tokens.create(
        {
          name,
          scopes,
          ...(channels === undefined ? {} : { channels }),
          ...(expiry === undefined ? {} : { expiry }),
        },
        callerOf(c),
      );
      return c.json({ ...tokenJson(token), token: secret }, 201, { "cache-control": "no-store" });
    },
  );
  api.openapi(
    createRoute({
      method: "delete",
      path: "/tokens/{id}",
      summary: "Revoke an API token; what is still open for it ends",
      request: { params: z.object({ id: z.string().min(1) }) },
      responses: { 204: { description: "Revoked" }, ...problems },
    }),
    async (c) => {
      await tokens.revoke(c.req.valid("param").id, callerOf(c));
      return c.body(null, 204);
    },
  );
}

function expiryOf(at: string | undefined, within: string | number | undefined): TokenExpiry | undefined {
  if (at === undefined && within === undefined) return undefined;
  const wrong = (path: string, message: string) =>
    new AppError("invalid", "The token cannot be made as given.", { problems: [{ path, message }] });
  if (at !== undefined && within !== undefined)
    throw wrong("expires_in", "Write expires_at or expires_in, not both.");
  if (within === undefined) return { at: Date.parse(at ?? "") };
  const duration = parseDuration(within);
  if (!duration.ok) throw wrong("expires_in", `It ${duration.message}; ${duration.fix}.`);
  return { in: duration.ms };
}

function tokenJson({ id, name, scopes, channels, createdAt, expiresAt, lastUsedAt }: StoredToken) {
  return {
    id,
    name,
    scopes: [...scopes],
    ...(channels === undefined ? {} : { channels: [...channels] }),
    created_at: rfc3339(createdAt),
    ...(expiresAt === undefined ? {} : { expires_at: rfc3339(expiresAt) }),
    ...(lastUsedAt === undefined ? {} : { last_used_at: rfc3339(lastUsedAt) }),
  };
}
