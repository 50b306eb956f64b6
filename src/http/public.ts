import { Hono } from "hono";
import { redactAddress } from "../address.ts";
import { foreign } from "../admission.ts";
import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { MediaFile } from "../media.ts";
import type { InboundEvent, StatusEvent } from "../message.ts";
import type { ChannelSettings } from "../settings.ts";
import { createSparse } from "../sparse.ts";
import type { Malformed, WebhookReader, WebhookRequest } from "../webhook.ts";
import { readBody } from "./body.ts";
import { plainData } from "./guard.ts";
import { serveMedia } from "./media.ts";

export interface PublicSeams {
  readonly channel: (id: string) => ChannelSettings | undefined;
  /** Numbers that reach a channel, as far as they are known. */
  readonly numbers: (channel: string) => readonly string[];
  /** Path of `server.public_url`, without trailing slash; a proxy may keep it or strip it. */
  readonly prefix: string;
  readonly reader: WebhookReader;
  readonly admit: (channel: string, event: InboundEvent) => Promise<unknown>;
  readonly record: (event: StatusEvent) => Promise<unknown>;
  readonly ready: () => Promise<boolean>;
  /** An uploaded file by its token. */
  readonly media: (token: string) => Promise<MediaFile | undefined>;
  /** Counts a refused webhook. */
  readonly refused: (channel: string, why: "signature" | "account") => void;
  readonly clock: Clock;
  readonly log: Log;
}

export const BODY_CAP = 64 * 1024;
export const BODY_TIMEOUT = 5_000;

const FORM = "application/x-www-form-urlencoded";
const PROXY_HEADERS =
  /^(forwarded|via|cdn-loop|x-forwarded-.*|x-real-ip|x-client-ip|x-original-.*|x-cluster-client-ip|true-client-ip|fastly-.*|fly-.*|ngrok-.*|cf-.*)$/i;
/** A browser, so a page somebody was sent to; no carrier sends these. */
const BROWSER_HEADERS = /^(origin|sec-fetch-.*)$/i;
const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;
/** One line per channel for this long, ms, however many forgeries come, or texts that the disk does not take. */
const LOG_INTERVAL = 60_000;

/**
 * The listener the Internet reaches: webhooks, uploaded files and health, nothing else. Each step is cheaper than the next
 *: method, content type, body cap, signature, account, admission.
 */
export function createPublicApp(seams: PublicSeams): {
  fetch(request: Request): Response | Promise<Response>;
} {
  const app = new Hono();
  const forgeries = createSparse(seams.clock, LOG_INTERVAL);
  const failures = createSparse(seams.clock, LOG_INTERVAL);
  const proxied = createSparse(seams.clock, LOG_INTERVAL);
  app.use(plainData);
  for (const base of new Set(["", seams.prefix])) {
    app.on(["GET", "HEAD"], `${base}/healthz`, (c) => c.text("ok"));
    app.on(["GET", "HEAD"], `${base}/readyz`, async (c) =>
      (await seams.ready()) ? c.text("ready") : c.text("not ready", 503),
    );
    app.all(`${base}/media/:token`, (c) => serveMedia(c, c.req.param("token"), seams.media));
    app.all(`${base}/webhooks/twilio/:channel`, (c) => receive(c.req.raw, c.req.param("channel"), "inbound"));
    app.all(`${base}/webhooks/twilio/:channel/status`, (c) =>
      receive(c.req.raw, c.req.param("channel"), "status"),
    );
  }
  app.notFound((c) => c.text("not found", 404));
  app.onError(failed);

  return {
    fetch(request) {
      const found = webhookOf(request.url, seams.prefix);
      if (found === undefined) return app.fetch(request);
      return receive(request, found.channel, found.kind).catch(failed);
    },
  };

  function failed(error: unknown): Response {
    seams.log.error("http.public", { error: String(error) });
    return new Response("internal error", { status: 500 });
  }

  async function receive(request: Request, id: string, kind: "inbound" | "status"): Promise<Response> {
    const channel = seams.channel(id);
    if (channel === undefined) return refuse(404, `There is no channel ${id.slice(0, 64)}.`);
    if (request.method !== "POST") return refuse(405, "Webhooks are POSTed.", { allow: "POST" });
    const contentType = request.headers.get("content-type") ?? "";
    const mediaType = contentType.split(";")[0]?.trim().toLowerCase();
    const readable = mediaType === FORM || (mediaType === "application/json" && isHashed(request.url));
    if (!readable) return refuse(415, `Webhooks are ${FORM}.`);
    const body = await readBody(request, BODY_CAP, BODY_TIMEOUT);
    if (body === "too_large") return refuse(413, `At most ${BODY_CAP} bytes.`, { connection: "close" });
    if (body === "cut_off") return refuse(400, "The body was cut off.", { connection: "close" });
    if (body === "too_slow") return refuse(413, "The body took too long.", { connection: "close" });

    const webhook: WebhookRequest = {
      channel,
      canonicalPath: `/webhooks/twilio/${id}${kind === "status" ? "/status" : ""}`,
      rawQuery: rawQueryOf(request.url),
      contentType,
      signature: request.headers.get("x-twilio-signature") ?? undefined,
      body,
      receivedAt: seams.clock.now(),
    };
    const rejected = reject(webhook, request);
    if (rejected !== undefined) return rejected;
    try {
      if (kind === "status") return await status(webhook);
      return await inbound(webhook);
    } catch (error) {
      // Nothing was made durable, so nothing was taken: the carrier must try again.
      const line = failures(`${id} ${error instanceof AppError ? error.code : String(error)}`);
      if (line !== undefined)
        seams.log.error("webhook.failed", { channel: id, error: String(error), ...line });
      const code = error instanceof AppError && error.code === "not_found" ? 404 : 503;
      return refuse(code, "Not accepted, try again.", code === 503 ? { "retry-after": "1" } : {});
    }
  }

  function reject(webhook: WebhookRequest, request: Request): Response | undefined {
    const { channel } = webhook;
    if (channel.insecureNoSignature) {
      const host = request.headers.get("host") ?? "";
      const telling = [...request.headers.keys()].find(
        (name) => PROXY_HEADERS.test(name) || BROWSER_HEADERS.test(name),
      );
      if (telling === undefined && LOOPBACK_HOST.test(host)) return undefined;
      const line = proxied(channel.id);
      if (line !== undefined)
        seams.log.warn("webhook.proxied", { channel: channel.id, header: telling ?? "host", ...line });
      return refuse(
        403,
        "insecure_no_signature takes only requests of this machine, not of proxies or pages.",
      );
    }
    if (seams.reader.authentic(webhook)) return undefined;
    seams.refused(channel.id, "signature");
    logForgery(channel.id, webhook.signature !== undefined);
    return refuse(403, "The signature is missing or wrong.");
  }

  /** The first one at once, the others counted, so that nobody can fill the disk with them. */
  function logForgery(channel: string, signed: boolean): void {
    const line = forgeries(channel);
    if (line === undefined) return;
    seams.log.warn("webhook.signature", {
      channel,
      ...line,
      signed,
      fix: "Compare server.public_url with the URL Twilio calls, and the auth token with the account's.",
    });
  }

  async function inbound(webhook: WebhookRequest): Promise<Response> {
    const event = seams.reader.readInbound(webhook);
    if (event.kind === "malformed") return malformed(webhook, event);
    const stranger = foreign(event, webhook.channel, seams.numbers(webhook.channel.id));
    if (stranger !== undefined) {
      seams.refused(webhook.channel.id, "account");
      seams.log.warn("webhook.account", {
        channel: webhook.channel.id,
        sid: event.sid,
        to: redactAddress(event.to),
        reason: stranger,
      });
      return refuse(403, `Refused: ${stranger}.`);
    }
    await seams.admit(webhook.channel.id, event);
    return new Response("<Response/>", { headers: { "content-type": "text/xml" } });
  }

  async function status(webhook: WebhookRequest): Promise<Response> {
    const event = seams.reader.readStatus(webhook);
    if (event.kind === "malformed") return malformed(webhook, event);
    if (event.accountSid !== undefined && event.accountSid !== webhook.channel.account.accountSid) {
      seams.refused(webhook.channel.id, "account");
      return refuse(403, "Refused: the AccountSid is not the channel's.");
    }
    await seams.record({ ...event, channel: webhook.channel.id });
    return new Response(null, { status: 204 });
  }

  function malformed(webhook: WebhookRequest, { problems }: Malformed): Response {
    const what = problems.map((problem) => `${problem.path}: ${problem.message}`).join("; ");
    seams.log.warn("webhook.malformed", { channel: webhook.channel.id, reason: what });
    return refuse(400, what);
  }
}

/**
 * A refusal as XML with the reason in a comment: Twilio texts a text/plain answer to the person, and shows
 * the XML in its debugger.
 */
function refuse(status: number, reason: string, headers: Record<string, string> = {}): Response {
  const comment = reason.replace(/[<>&]/g, " ").replace(/-(?=-|$)/g, " ");
  return new Response(`<?xml version="1.0"?><!-- ${comment} --><Response/>`, {
    status,
    headers: { "content-type": "text/xml", ...headers },
  });
}

/**
 * Nearly every request is a webhook with a plain path, for which the router's work is not needed. Undefined for all
 * else, also for paths that have to be decoded.
 */
function webhookOf(
  url: string,
  prefix: string,
): { readonly channel: string; readonly kind: "inbound" | "status" } | undefined {
  const start = url.indexOf("/", "https://".length);
  const mark = url.indexOf("?", start);
  const path = mark < 0 ? url.slice(start) : url.slice(start, mark);
  for (const base of prefix === "" ? [""] : [prefix, ""]) {
    const [, channel, status] = (path.startsWith(base) && WEBHOOK.exec(path.slice(base.length))) || [];
    if (channel !== undefined) return { channel, kind: status === undefined ? "inbound" : "status" };
  }
  return undefined;
}

const WEBHOOK = /^\/webhooks\/twilio\/([A-Za-z0-9_-]+)(\/status)?$/;

/** A JSON body is signed by its hash, in the query of the URL; any other one is no carrier's. */
function isHashed(url: string): boolean {
  return new URL(url).searchParams.has("bodySHA256");
}

/** The query as the runtime hands it over; the reader knows what that has made of it. */
function rawQueryOf(url: string): string {
  const mark = url.indexOf("?");
  return mark < 0 ? "" : url.slice(mark + 1);
}
