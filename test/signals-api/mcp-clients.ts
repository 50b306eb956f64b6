import {
  Client as CurrentClient,
  StreamableHTTPClientTransport as CurrentTransport,
} from "@modelcontextprotocol/client";
import { Client as PreviousClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as PreviousTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

export interface ToolAnswer {
  readonly text: string;
  readonly structured: Readonly<Record<string, unknown>> | undefined;
  readonly failed: boolean;
}

/** What the tests ask of a client, whichever library it is. */
export interface McpClient {
  readonly protocol: string | undefined;
  tools(): Promise<readonly string[]>;
  call(
    tool: string,
    args: Record<string, unknown>,
    options?: {
      readonly signal?: AbortSignal;
      readonly onprogress?: (progress: { progress: number; message?: string | undefined }) => void;
    },
  ): Promise<ToolAnswer>;
  close(): Promise<void>;
}

type Content = { readonly type: string; readonly text?: unknown };

function answerOf(result: Readonly<Record<string, unknown>>): ToolAnswer {
  const content: readonly Content[] = Array.isArray(result.content) ? result.content : [];
  const { structuredContent } = result;
  return {
    text: content.map((part) => String(part.text)).join("\n"),
    structured:
      typeof structuredContent === "object" && structuredContent !== null
        ? { ...structuredContent }
        : undefined,
    failed: result.isError === true,
  };
}

const INFO = { name: "a test", version: "1.0.0" };

/** The official clients: the library for the current revision, the same talking as before it, and the older library. */
export const GENERATIONS: Readonly<
  Record<string, (url: string, token: string | undefined) => Promise<McpClient>>
> = {
  "the current client": async (url, token) => {
    const client = new CurrentClient(INFO, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
    return connectCurrent(client, url, token);
  },
  "the current client, which tries first": async (url, token) => {
    const client = new CurrentClient(INFO, { versionNegotiation: { mode: "auto" } });
    return connectCurrent(client, url, token);
  },
  "the current client, as it connects unless told otherwise": async (url, token) =>
    connectCurrent(new CurrentClient(INFO), url, token),
  "the previous client": async (url, token) => {
    const client = new PreviousClient(INFO);
    const transport = new PreviousTransport(new URL(url), { requestInit: { headers: headersOf(token) } });
    // The library's own types disagree under exactOptionalPropertyTypes (`sessionId`).
    await client.connect(transport as Parameters<PreviousClient["connect"]>[0]);
    return {
      protocol: transport.protocolVersion,
      tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
      call: async (name, args, options = {}) =>
        answerOf(await client.callTool({ name, arguments: args }, undefined, options)),
      close: () => client.close(),
    };
  },
};

async function connectCurrent(
  client: CurrentClient,
  url: string,
  token: string | undefined,
): Promise<McpClient> {
  const transport = new CurrentTransport(new URL(url), { requestInit: { headers: headersOf(token) } });
  await client.connect(transport);
  return {
    protocol: client.getNegotiatedProtocolVersion(),
    tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: async (name, args, options = {}) =>
      answerOf(await client.callTool({ name, arguments: args }, options)),
    close: () => client.close(),
  };
}

function headersOf(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}
