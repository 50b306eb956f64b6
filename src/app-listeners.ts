import { createLazyAdmin } from "./app-admin.ts";
import type { Core } from "./app-core.ts";
import type { Current } from "./app-current.ts";
import type { Events } from "./app-events.ts";
import type { Links } from "./app-links.ts";
import { createLazyMcp } from "./app-mcp.ts";
import type { Seams } from "./app-seams.ts";
import type { Channels } from "./channels.ts";
import { consoleFiles } from "./console/files.ts";
import { createGauges } from "./gauges.ts";
import { type Listener, listen } from "./http/listen.ts";
import { BODY_CAP, createPublicApp, type PublicSeams } from "./http/public.ts";
import type { MediaShelf } from "./media.ts";
import type { MediaUploads } from "./media-uploads.ts";
import { meteredListener } from "./metered.ts";
import { simulatedNumber } from "./named-channel.ts";
import type { Operator } from "./operator.ts";
import type { createRegistry } from "./prometheus/registry.ts";
import { createSessions } from "./sessions.ts";
import { sha256 } from "./system/digest.ts";
import { createTokens } from "./tokens.ts";
import { createWebhookReader } from "./twilio/reader.ts";
import type { Waiting } from "./waiting.ts";

/**
 * The operator's listener hands over every body, whatever its length: its routes refuse one that is announced too large
 * before any of it is read, and stop reading at their cap where nothing is announced. What nobody reads, the runtime
 * throws away as it comes. Its own refusal would have no problem document.
 */
const ADMIN_BODY = Number.MAX_SAFE_INTEGER;

/** What the two listeners answer with. */
export interface ListenerParts {
  readonly current: Current;
  readonly registry: ReturnType<typeof createRegistry>;
  readonly channels: Channels;
  readonly runnable: () => readonly string[];
  readonly links: Links;
  readonly events: Events;
  readonly shelf: MediaShelf;
  readonly uploads: MediaUploads;
  readonly operator: Operator;
  readonly waiting: Waiting;
  readonly admit: PublicSeams["admit"];
  readonly record: PublicSeams["record"];
}

/** The listener the Internet reaches, and the operator's. */
export interface Listeners {
  /** Answers where they are. */
  open(): { readonly publicUrl: string; readonly adminUrl: string };
  /** Where the public one is reached from this machine; undefined until it listens. */
  readonly publicUrl: () => string | undefined;
  readonly publicUrlChanged: () => void;
  /** Ends what waits on a connection: clients of the MCP server, the count of wrong credentials. */
  stop(): Promise<void>;
  close(grace: number): Promise<void>;
}

export function createListeners(core: Core, parts: ListenerParts, seams: Seams): Listeners {
  const { settings, metrics } = core;
  let publicListener: Listener | undefined;
  let adminListener: Listener | undefined;
  let publicApp = openPublic(core, parts);
  const admin = openAdmin(core, parts, seams, (request) => adminListener?.clientOf(request) ?? "");
  return {
    open() {
      publicListener = listen({
        address: settings().server.listen,
        fetch: meteredListener((request) => publicApp.fetch(request), "public", metrics),
        maxBody: 2 * BODY_CAP,
        idleTimeout: 10,
      });
      adminListener = listen({
        address: settings().admin.listen,
        fetch: meteredListener(admin.fetch, "admin", metrics),
        maxBody: ADMIN_BODY,
        idleTimeout: 10,
        patient: true,
      });
      return { publicUrl: publicListener.url, adminUrl: adminListener.url };
    },
    publicUrl: () => publicListener?.url,
    publicUrlChanged() {
      publicApp = openPublic(core, parts);
    },
    stop: admin.stop,
    async close(grace) {
      await Promise.all([publicListener?.close(grace), adminListener?.close(grace)]);
    },
  };
}

/** Its routes hang on the public URL; nothing is kept in it. */
function openPublic(core: Core, parts: ListenerParts): ReturnType<typeof createPublicApp> {
  const { settings, clock, log } = core;
  return createPublicApp({
    channel: (id) => settings().channels[id],
    numbers: (id) => parts.channels.state(id).numbers,
    prefix: prefixOf(settings().server.publicUrl),
    reader: createWebhookReader({ publicUrl: parts.links.publicUrl }),
    admit: parts.admit,
    record: parts.record,
    ready: async () => (await parts.operator.ready()).ready,
    media: parts.shelf.read,
    refused: parts.events.webhookRefused,
    clock,
    log,
  });
}

/** Console, API, MCP, metrics, and the credentials they take. */
function openAdmin(
  core: Core,
  parts: ListenerParts,
  seams: Seams,
  clientOf: (request: Request) => string,
): { readonly fetch: (request: Request) => Promise<Response>; readonly stop: () => Promise<void> } {
  const { settings, alerts, random, clock, log } = core;
  const { current, registry, channels, links, events, operator, waiting } = parts;
  const { version } = seams;
  const mcp = createLazyMcp({
    operator,
    waiting,
    newName: () => Buffer.from(random(16)).toString("hex"),
    version,
    clock,
    log,
  });
  const tokens = createTokens({
    ...core,
    isAdmin: current.isAdmin,
    digest: sha256,
    onGuessing: (client) =>
      alerts.raise({
        cause: `credentials/${client}`,
        message: `Somebody at ${client} tries many wrong credentials on the admin listener.`,
        fix: "Find out who that is. Revoke tokens that may be known, and let fewer reach admin.listen.",
      }),
  });
  const readGauges = createGauges({
    ...core,
    channelState: channels.state,
    runnable: parts.runnable,
    backlog: events.backlog,
    lags: events.lags,
    version,
  });
  const fetch = createLazyAdmin({
    metrics: () => registry.expose(readGauges),
    operator,
    waiting,
    mcp: mcp.fetch,
    simulator: {
      control: links.simulator,
      numberOf: (channel) => simulatedNumber(settings(), channel, channels.state),
    },
    allowedHosts: () => settings().admin.allowedHosts,
    tokens,
    sessions: createSessions({ identify: tokens.identify, random, clock }),
    console: consoleFiles,
    alerts,
    events: events.feed,
    media: parts.uploads,
    clientOf,
    version,
    clock,
    log,
  });
  return {
    fetch,
    async stop() {
      await mcp.close();
      tokens.stop();
    },
  };
}

/** The path part of the public URL, which a proxy may keep or strip: "" or "/sms". */
function prefixOf(publicUrl: string | undefined): string {
  return publicUrl === undefined ? "" : new URL(publicUrl).pathname.replace(/\/+$/, "");
}
