import type { CallToolResult, Client, Transport } from "@modelcontextprotocol/client";
import { sleep } from "../../clock.ts";
import type { McpServerSettings } from "../../settings.ts";
import { ToolFailure } from "../../tool.ts";
import { programEnv } from "../process-group.ts";
import type { AgentSeams } from "../seams.ts";
import { failureOf, McpFailure, STREAM_ENDED, shown } from "./failure.ts";
import { httpTransport } from "./http.ts";
import { stdioTransport } from "./stdio.ts";

/** The SDK, loaded when the first server is needed. */
export type McpSdk = typeof import("@modelcontextprotocol/client");

/** A tool as its server lists it. */
export interface ListedTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: Readonly<Record<string, unknown>>;
}

/** A server that has been greeted. */
export interface Connection {
  /** Rejects with McpFailure. */
  list(signal: AbortSignal): Promise<readonly ListedTool[]>;
  /**
   * Rejects with McpFailure, with ToolFailure when the server itself says what is wrong with the call, or with
   * the signal's reason.
   */
  call(
    tool: ListedTool,
    input: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<CallToolResult>;
  close(): Promise<void>;
}

export interface ConnectionEvents {
  /** It ended without being closed. */
  readonly onEnd: (reason: string) => void;
  readonly onToolsChanged: () => void;
  /** Fit for the log. */
  readonly onStderr: (line: string) => void;
}

/** The SDK's own time limit, ms; ours, by our clock, are shorter. */
const SDK_TIMEOUT = 10 * 60_000;
/** A server is told that its session is over, but not waited for longer than this, ms. */
const FAREWELL = 1_000;
/** Words of calls that are kept out of the log when a program writes them to stderr. */
const REMEMBERED = 100;
/** Lines of stderr that explain the end of a program. */
const LAST_WORDS = 3;

/**
 * Starts or reaches a server and greets it. Rejects with McpFailure, or with the signal's reason.
 *
 * Over HTTP the newest protocol revision is asked for first. A program is greeted as all of them understand,
 * and in the newest way only if it refuses that: many end themselves over a message they do not know.
 */
export async function connect(
  settings: McpServerSettings,
  events: ConnectionEvents,
  seams: AgentSeams,
  signal: AbortSignal,
): Promise<Connection> {
  const sdk = await import("@modelcontextprotocol/client");
  if ("url" in settings) return greet(sdk, openHttp(sdk, settings, seams), "auto", events, signal);
  try {
    return await greet(sdk, openStdio(sdk, settings, events, seams), "legacy", events, signal);
  } catch (error) {
    if (!(error instanceof McpFailure) || error.kind !== "refused") throw error;
    return greet(sdk, openStdio(sdk, settings, events, seams), "auto", events, signal);
  }
}

interface Opened {
  readonly transport: Transport;
  readonly secrets: readonly string[];
  /** Why it ended by itself, where that is known. */
  readonly end: () => string | undefined;
  /** Told of each call's input, which may hold what somebody texted. */
  readonly onCall: (input: unknown) => void;
  /** Before it is closed. */
  readonly farewell: () => Promise<void>;
}

function openHttp(
  sdk: McpSdk,
  settings: Extract<McpServerSettings, { readonly url: string }>,
  { fetch, clock }: AgentSeams,
): Opened {
  const transport = httpTransport(sdk, settings, fetch);
  return {
    transport,
    secrets: Object.values(settings.headers),
    end: () => undefined,
    onCall() {},
    async farewell() {
      const told = new AbortController();
      const patience = sleep(clock, FAREWELL, told.signal).catch(() => {});
      await Promise.race([transport.terminateSession().catch(() => {}), patience]);
      told.abort();
    },
  };
}

function openStdio(
  sdk: McpSdk,
  settings: Extract<McpServerSettings, { readonly command: readonly string[] }>,
  events: ConnectionEvents,
  { clock, env }: AgentSeams,
): Opened {
  const secrets = Object.values(settings.env).filter((value) => value.length >= 8);
  const lastWords: string[] = [];
  let texts: readonly string[] = [];
  let end: string | undefined;
  const program = { ...settings, env: programEnv(settings.env, env) };
  const transport = stdioTransport(sdk, program, clock, {
    onStderr(line) {
      const words = shown(line, secrets, texts);
      lastWords.push(words);
      if (lastWords.length > LAST_WORDS) lastWords.shift();
      events.onStderr(words);
    },
    onExit(how) {
      end = `the program ${how}${lastWords.length === 0 ? "" : `; stderr: ${lastWords.join(" | ")}`}`;
    },
  });
  return {
    transport,
    secrets,
    end: () => end,
    onCall(input) {
      texts = [...stringsIn(input), ...texts].slice(0, REMEMBERED);
    },
    farewell: async () => {},
  };
}

async function greet(
  sdk: McpSdk,
  { transport, secrets, end, onCall, farewell }: Opened,
  mode: "auto" | "legacy",
  events: ConnectionEvents,
  signal: AbortSignal,
): Promise<Connection> {
  const client = new sdk.Client(
    { name: "sms-agent", version: "1" },
    {
      capabilities: {}, // nothing a server could ask of us
      versionNegotiation: { mode },
      listChanged: { tools: { autoRefresh: false, onChanged: () => events.onToolsChanged() } },
    },
  );
  let open = false;
  client.onclose = () => {
    if (open) events.onEnd(end() ?? "the connection ended");
    open = false;
  };
  const failure = (error: unknown) => {
    const how = end();
    return how === undefined ? failureOf(sdk, error, secrets) : new McpFailure("lost", how);
  };
  try {
    await client.connect(transport, { signal, timeout: SDK_TIMEOUT });
  } catch (error) {
    await transport.close().catch(() => {});
    signal.throwIfAborted();
    throw failure(error);
  }
  open = true;

  return {
    async list(stop) {
      try {
        return await listTools(client, stop);
      } catch (error) {
        stop.throwIfAborted();
        throw failure(error);
      }
    },
    async call(tool, input, stop) {
      onCall(input);
      try {
        return await client.callTool(
          { name: tool.name, arguments: { ...input } },
          {
            signal: stop,
            timeout: SDK_TIMEOUT,
            // Without an output schema: a result that breaks it is a result all the same, and the call was made.
            toolDefinition: { name: tool.name, inputSchema: { ...tool.inputSchema, type: "object" } },
          },
        );
      } catch (error) {
        stop.throwIfAborted();
        if (error instanceof sdk.ProtocolError && error.code !== STREAM_ENDED)
          throw new ToolFailure(secrets.reduce(without, error.message));
        throw failure(error);
      }
    },
    async close() {
      open = false;
      await farewell();
      await client.close();
    },
  };
}

function stringsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}

function without(words: string, secret: string): string {
  return secret === "" ? words : words.replaceAll(secret, "[secret]");
}

async function listTools(client: Client, signal: AbortSignal): Promise<readonly ListedTool[]> {
  if (client.getServerCapabilities()?.tools === undefined) return []; // the SDK would write to stdout
  const { tools } = await client.listTools(undefined, { signal, timeout: SDK_TIMEOUT, cacheMode: "refresh" });
  return tools.map(({ name, title, description, inputSchema }) => ({
    name,
    description: description ?? title ?? "",
    inputSchema,
  }));
}
