import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { rfc3339 } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { Sessions } from "../sessions.ts";
import { demandEverywhere } from "../token.ts";
import { ok, problems } from "./api/responses.ts";
import { bearerOf, callerOf, clientAddress } from "./guard.ts";

const COOKIE = "sms_agent_session";

/** The session's cookie of a request; undefined where there is none. */
export function sessionOf(c: Context): string | undefined {
  return getCookie(c, COOKIE);
}

const signInBody = z.strictObject({ token: z.string().trim().min(1, "Paste a token.").max(200) });

/**
 * Signing in to the console, without a credential: `POST /session` with a token, or with the code of a one-time link.
 * The cookie is for this listener only: no script reads it, and no other site's request carries it.
 */
export function sessionRoutes(app: OpenAPIHono, sessions: Sessions): void {
  app.post("/session", async (c) => {
    if (!(c.req.header("content-type") ?? "").startsWith("application/json"))
      throw new AppError("invalid", "Send JSON.", {
        problems: [{ path: "token", message: 'Send {"token": "…"} as application/json.' }],
      });
    const body = signInBody.safeParse(await c.req.json().catch(() => undefined));
    if (!body.success)
      throw new AppError("invalid", "A token is needed.", {
        problems: [{ path: "token", message: "Paste the admin token, or an API token." }],
      });
    const session = await sessions.signIn(body.data.token, clientAddress(c));
    setCookie(c, COOKIE, session.id, {
      path: "/",
      httpOnly: true,
      sameSite: "Strict",
      // Behind a proxy that ends TLS, only the browser's word says so.
      secure: c.req.header("origin")?.startsWith("https:") === true,
      expires: new Date(session.expiresAt),
    });
    return c.body(null, 204);
  });
  app.delete("/session", (c) => {
    const session = sessionOf(c);
    if (session !== undefined) sessions.signOut(session);
    deleteCookie(c, COOKIE, { path: "/" });
    return c.body(null, 204);
  });
}

const linkSchema = z
  .object({
    path: z.string().openapi({ example: "/#sign-in=…" }),
    expires_at: z.iso.datetime(),
  })
  .openapi("SignInLink");

/** One-time links, for whoever has `admin` already; what it opens lasts as long as the token it was made with. */
export function signInLinkRoutes(api: OpenAPIHono, sessions: Sessions): void {
  api.openapi(
    createRoute({
      method: "post",
      path: "/sign-in-links",
      summary: "Make a link that signs in to the console, once",
      responses: { 201: ok("The link, on this listener", linkSchema), ...problems },
    }),
    (c) => {
      demandEverywhere(callerOf(c), "admin");
      const credential = bearerOf(c);
      if (credential === undefined)
        throw new AppError("forbidden", "A session makes no links.", { fix: "Use the token itself." });
      const { code, expiresAt } = sessions.createLink(credential);
      // Behind a #, the code is in no request line, so in no log of a proxy and no history of a prefetcher.
      return c.json({ path: `/#sign-in=${code}`, expires_at: rfc3339(expiresAt) }, 201, {
        "cache-control": "no-store",
      });
    },
  );
}
