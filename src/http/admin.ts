import { OpenAPIHono } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Operator } from "../operator.ts";
import { channelRoutes } from "./api/channels.ts";
import { conversationRoutes, messageRoutes } from "./api/messages.ts";
import { policyRoutes } from "./api/policies.ts";
import { type SimulatorRoutes, simulatorRoutes } from "./api/simulator.ts";
import { readBody } from "./body.ts";
import { bearerOnly, sameOriginOnly } from "./guard.ts";
import { onInvalid, problemResponse } from "./problem.ts";

export interface AdminSeams {
  readonly operator: Operator;
  readonly simulator: SimulatorRoutes;
  readonly allowedHosts: readonly string[];
  /** True for the admin token; compares in constant time. */
  readonly tokenMatches: (token: string) => boolean;
  readonly version: string;
  readonly log: Log;
}

/** A request of the API is at most this large, bytes. */
const BODY_CAP = 256 * 1024;

/** The listener the operator reaches: health without a credential, everything else with one. */
export function createAdminApp(seams: AdminSeams): OpenAPIHono {
  const { operator } = seams;
  const app = new OpenAPIHono({ defaultHook: onInvalid });
  app.onError((error) => {
    if (!(error instanceof AppError) && !isHttpError(error))
      seams.log.error("http.admin", { error: String(error) });
    if (isHttpError(error)) return problemResponse(new AppError("invalid", error.message));
    return problemResponse(error);
  });
  app.notFound(() => problemResponse(new AppError("not_found", "There is no such route.")));
  app.use(sameOriginOnly(seams.allowedHosts));
  app.get("/healthz", (c) => c.text("ok"));
  app.use(bearerOnly(seams.tokenMatches));
  app.use(capped);
  app.get("/readyz", async (c) => {
    const readiness = await operator.ready();
    return c.json(readiness, readiness.ready ? 200 : 503);
  });

  const api = new OpenAPIHono({ defaultHook: onInvalid });
  channelRoutes(api, operator);
  messageRoutes(api, operator);
  conversationRoutes(api, operator);
  policyRoutes(api, operator);
  simulatorRoutes(api, seams.simulator);
  app.route("/api/v1", api);
  app.doc31("/openapi.json", {
    openapi: "3.1.0",
    info: { title: "sms-agent", version: seams.version },
    security: [{ token: [] }],
  });
  app.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer" });
  return app;
}

/** Reads the body within the cap before anything parses it. */
async function capped(c: { req: { raw: Request } }, next: () => Promise<void>): Promise<void> {
  const request = c.req.raw;
  if (request.body === null) return next();
  const body = await readBody(request, BODY_CAP, 30_000);
  if (body === "too_large") throw new AppError("too_large", `A request is at most ${BODY_CAP} bytes.`);
  if (body === "too_slow") throw new AppError("invalid", "The body took too long.");
  c.req.raw = new Request(request.url, {
    method: request.method,
    headers: request.headers,
    body,
    signal: request.signal,
  });
  await next();
}

/** Hono's own error for a body that is not JSON and the like. */
function isHttpError(error: unknown): error is Error & { status: number } {
  return (
    error instanceof Error && "status" in error && typeof error.status === "number" && error.status < 500
  );
}
