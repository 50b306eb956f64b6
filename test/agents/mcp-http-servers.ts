import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { createMcpHandler, McpServer as ModernServer } from "@modelcontextprotocol/server";

type Handler = (request: Request) => Response | Promise<Response>;

export interface HttpServer {
  /** Of the MCP endpoint. */
  readonly url: string;
  readonly requests: readonly { readonly method: string; readonly headers: Headers; readonly rpc?: string }[];
  /** Names of tools that were run. */
  readonly calls: string[];
  /** Forgets all sessions, as a restart does. */
  restart(): void;
  stop(): void;
}

/** An HTTP server on loopback that remembers what it was asked. */
function listen(handle: Handler, calls: string[] = [], restart: () => void = () => {}): HttpServer {
  const requests: { method: string; headers: Headers; rpc?: string }[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const rpc = request.method === "POST" ? (await rpcOf(request.clone())).method : undefined;
      requests.push({
        method: request.method,
        headers: request.headers,
        ...(rpc === undefined ? {} : { rpc }),
      });
      return handle(request);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    requests,
    calls,
    restart,
    stop: () => void server.stop(true),
  };
}

async function rpcOf(
  request: Pick<Request, "text">,
): Promise<{ readonly id?: unknown; readonly method: string }> {
  return JSON.parse(await request.text());
}

/** Speaks the newest revision of the protocol, and earlier ones without sessions. */
export function modernServer(): HttpServer {
  const calls: string[] = [];
  const handler = createMcpHandler(() => {
    const server = new ModernServer({ name: "modern", version: "1.0.0" }, { capabilities: { tools: {} } });
    server.registerTool("lamp", { description: "Switches the lamp." }, () => {
      calls.push("lamp");
      return { content: [{ type: "text", text: "on" }] };
    });
    return server;
  });
  return listen((request) => handler.fetch(request), calls);
}

/** Speaks the protocol as it was before, with sessions, and tells when it gets a tool. */
export function sessionServer(): HttpServer & { grow(): void } {
  const calls: string[] = [];
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const servers = new Set<McpServer>();
  const grown = (server: McpServer) =>
    server.registerTool("grown", { description: "New." }, () => ({
      content: [{ type: "text", text: "grown" }],
    }));
  async function open(): Promise<WebStandardStreamableHTTPServerTransport> {
    const server = new McpServer({ name: "sessions", version: "1.0.0" });
    server.registerTool("lamp", { description: "Switches the lamp." }, () => {
      calls.push("lamp");
      return { content: [{ type: "text", text: "on" }] };
    });
    servers.add(server);
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, transport),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await server.connect(transport);
    return transport;
  }
  const base = listen(
    async (request) => {
      const id = request.headers.get("mcp-session-id");
      const known = id === null ? undefined : sessions.get(id);
      if (id !== null && known === undefined)
        return Response.json(
          { jsonrpc: "2.0", id: null, error: { code: -32001, message: "Session not found" } },
          { status: 404 },
        );
      return (known ?? (await open())).handleRequest(request);
    },
    calls,
    () => sessions.clear(),
  );
  return { ...base, grow: () => servers.forEach((server) => void grown(server)) };
}

/** What a hand-written server answers to one JSON-RPC method; a number is a bare status. */
export type Scripted = Readonly<
  Record<string, (id: unknown) => Response | Promise<Response> | object | number>
>;

/** Answers as it is told, and greets as earlier revisions did. */
export function scriptedServer(script: Scripted): HttpServer {
  const greeting: Scripted = {
    initialize: () => ({
      protocolVersion: "2025-06-18",
      capabilities: { tools: {} },
      serverInfo: { name: "scripted", version: "1.0.0" },
    }),
    "notifications/initialized": () => 202,
    "tools/list": () => ({ tools: [{ name: "lamp", inputSchema: { type: "object" } }] }),
  };
  return listen(async (request) => {
    if (request.method !== "POST") return new Response(null, { status: 405 });
    const { id, method } = await rpcOf(request);
    const answer = await ({ ...greeting, ...script }[method]?.(id) ?? 400);
    if (answer instanceof Response) return answer;
    if (typeof answer === "number") return new Response(null, { status: answer });
    return Response.json({ jsonrpc: "2.0", id, result: answer });
  });
}
