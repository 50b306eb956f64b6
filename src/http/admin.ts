import { OpenAPIHono } from "@hono/zod-openapi";
import { restrict } from "../access.ts";
import type { Alerts } from "../alerts.ts";
import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { EventFeed } from "../event-feed.ts";
import type { Log } from "../log.ts";
import { MAX_MEDIA_BYTES } from "../media.ts";
import type { MediaUploads } from "../media-uploads.ts";
import type { Exposition } from "../metrics.ts";
import type { Operator } from "../operator.ts";
import type { Sessions } from "../sessions.ts";
import { type Caller, demand } from "../token.ts";
import type { Tokens } from "../tokens.ts";
import type { Waiting } from "../waiting.ts";
import { alertRoutes } from "./api/alerts.ts";
import { channelRoutes } from "./api/channels.ts";
import { configurationRoutes } from "./api/configuration.ts";
import { eventRoutes } from "./api/events.ts";
import { mediaRoutes } from "./api/media.ts";
import { conversationRoutes, messageRoutes, notifyRoutes, resendRoutes } from "./api/messages.ts";
import { metricsRoute } from "./api/metrics.ts";
import { policyRoutes } from "./api/policies.ts";
import { signalRoutes } from "./api/signals.ts";
import { type SimulatorRoutes, simulatorRoutes } from "./api/simulator.ts";
import { tokenRoutes } from "./api/tokens.ts";
import { usageRoutes } from "./api/usage.ts";
import { readBody } from "./body.ts";
import { type ConsoleFile, consoleRoutes } from "./console.ts";
import { callerOf, callersOnly, clientNoted, type OperatorOf, plainData, sameOriginOnly } from "./guard.ts";
import { methodsAt } from "./methods.ts";
import { onInvalid, problemResponse, refusalResponse, wrongMethod } from "./problem.ts";
import { knownQueriesOnly } from "./queries.ts";
import { sessionOf, sessionRoutes, signInLinkRoutes } from "./session.ts";

export interface AdminSeams {
  readonly operator: Operator;
  readonly waiting: Waiting;
  /** The MCP server, which answers on `/mcp`. */
  readonly mcp: (request: Request, caller: Caller) => Promise<Response>;
  readonly metrics: () => Promise<Exposition>;
  readonly simulator: SimulatorRoutes;
  readonly allowedHosts: () => readonly string[];
  readonly tokens: Tokens;
  readonly sessions: Sessions;
  /** The console's page. */
  readonly console: () => Promise<readonly ConsoleFile[]>;
  readonly alerts: Pick<Alerts, "current">;
  readonly events: EventFeed;
  readonly media: MediaUploads;
  /** The address a request that is under way comes from. */
  readonly clientOf: (request: Request) => string;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** A request of the API is at most this large, bytes. */
const BODY_CAP = 256 * 1024;
/** An upload may have the lines of a form around its file. */
const UPLOAD_CAP = MAX_MEDIA_BYTES + 64 * 1024;

/** The listener the operator reaches: health without a credential, everything else with one. */
export function createAdminApp(seams: AdminSeams): OpenAPIHono {
  const operatorOf: OperatorOf = (c) => restrict(seams.operator, callerOf(c));
  const app = new OpenAPIHono({ defaultHook: onInvalid });
  app.onError((error) => {
    if (!(error instanceof AppError) && !isHttpError(error))
      seams.log.error("http.admin", { error: String(error) });
    if (isHttpError(error)) return refusalResponse(error);
    return problemResponse(error);
  });
  app.notFound((c) => {
    const allowed = methodsAt(c.req.path, app.routes);
    if (allowed !== undefined) return wrongMethod(c.req.method, allowed);
    return problemResponse(new AppError("not_found", "There is no such route."));
  });
  app.use(plainData);
  app.use(sameOriginOnly(seams.allowedHosts));
  app.get("/healthz", (c) => c.text("ok"));
  consoleRoutes(app, seams.console);
  app.use("/session", clientNoted(seams.clientOf));
  app.use("/session", capped);
  sessionRoutes(app, seams.sessions);
  app.use(
    callersOnly(
      { token: seams.tokens.identify, session: seams.sessions.identify, sessionOf },
      seams.clientOf,
    ),
  );
  app.use(
    "/api/v1/*",
    knownQueriesOnly(() => app.openAPIRegistry.definitions),
  );
  app.use(capped);
  app.get("/readyz", async (c) => {
    const readiness = await operatorOf(c).ready();
    return c.json(readiness, readiness.ready ? 200 : 503);
  });

  metricsRoute(app, seams.metrics);

  const api = new OpenAPIHono({ defaultHook: onInvalid });
  channelRoutes(api, operatorOf);
  messageRoutes(api, operatorOf);
  resendRoutes(api, operatorOf);
  notifyRoutes(api, operatorOf);
  conversationRoutes(api, operatorOf);
  usageRoutes(api, operatorOf);
  policyRoutes(api, operatorOf);
  configurationRoutes(api, operatorOf);
  signalRoutes(api, seams.waiting, callerOf);
  tokenRoutes(api, seams.tokens);
  eventRoutes(api, seams.events, seams.clock);
  mediaRoutes(api, seams.media, callerOf);
  simulatorRoutes(api, seams.simulator);
  alertRoutes(api, seams.alerts, callerOf);
  signInLinkRoutes(api, seams.sessions);
  app.route("/api/v1", api);
  app.all("/mcp", (c) => seams.mcp(c.req.raw, callerOf(c)));
  app.use("/openapi.json", async (c, next) => {
    demand(callerOf(c), "read");
    await next();
  });
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
  const cap = new URL(request.url).pathname === "/api/v1/media" ? UPLOAD_CAP : BODY_CAP;
  const body = await readBody(request, cap, 30_000);
  if (body === "too_large") throw new AppError("too_large", `A request is at most ${cap} bytes.`);
  if (body === "cut_off") throw new AppError("invalid", "The body was cut off.");
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
