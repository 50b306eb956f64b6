import { afterEach, describe, expect, test } from "bun:test";
import { manualClock } from "../support/clock.ts";
import { callTool, closeAll, eager, mcpServers, said, toolNamed } from "./mcp.ts";
import { type HttpServer, modernServer, scriptedServer, sessionServer } from "./mcp-http-servers.ts";
import { until } from "./processes.ts";
import { never, seams } from "./support.ts";

const open: HttpServer[] = [];
afterEach(async () => {
  await closeAll();
  for (const server of open.splice(0)) server.stop();
});

function serve<S extends HttpServer>(server: S): S {
  open.push(server);
  return server;
}

const at = ({ url }: HttpServer, headers: Readonly<Record<string, string>> = {}) => ({
  home: { url, headers },
});

const LOST =
  "ToolFailure: The tool server home was lost before it answered. Whether the call took effect is not known.";
const UNAVAILABLE = "ToolFailure: The tool server home is not available at the moment. Nothing was done.";

describe("a server over HTTP", () => {
  test("of the newest protocol is spoken to in it, with the configured headers on every request", async () => {
    const server = serve(modernServer());
    const servers = mcpServers(at(server, { Authorization: "Bearer home-token" }));
    expect(await callTool(servers, "home.lamp")).toBe("on");
    expect(server.requests.map(({ rpc }) => rpc)).toContain("server/discover");
    expect(server.requests.map(({ rpc }) => rpc)).not.toContain("initialize");
    for (const { headers } of server.requests) expect(headers.get("authorization")).toBe("Bearer home-token");
  });

  test("of the protocol before is spoken to in that, in one session that ends with the agent", async () => {
    const server = serve(sessionServer());
    const servers = mcpServers(at(server, { Authorization: "Bearer home-token" }));
    expect(await callTool(servers, "home.lamp")).toBe("on");
    expect(await callTool(servers, "home.lamp")).toBe("on");
    expect(server.requests.filter(({ rpc }) => rpc === "initialize")).toHaveLength(1);
    expect(server.requests.filter(({ rpc }) => rpc === "tools/list")).toHaveLength(1);
    await servers.close();
    expect(server.requests.at(-1)?.method).toBe("DELETE");
    for (const { headers } of server.requests) expect(headers.get("authorization")).toBe("Bearer home-token");
  });

  test("that has forgotten the session is greeted anew, and the call made once", async () => {
    const server = serve(sessionServer());
    const own = seams();
    const servers = mcpServers(at(server), own);
    const lamp = await toolNamed(servers, "home.lamp");
    server.restart();
    expect(await said(lamp)).toBe("on");
    expect(server.calls).toEqual(["lamp"]);
    expect(own.lines.filter(({ event }) => event === "mcp.down")).toEqual([]);
  });

  test("that tells of another tool is asked for its list again", async () => {
    const server = serve(sessionServer());
    const servers = mcpServers(at(server));
    expect((await servers.tools(15_000, never)).tools.map(({ name }) => name)).toEqual(["home.lamp"]);
    // The note comes over a stream of its own, which may not be open yet.
    await until(() => server.requests.some(({ method }) => method === "GET") || undefined);
    server.grow();
    let names: readonly string[] = [];
    await until(() => {
      servers.tools(15_000, never).then(({ tools }) => {
        names = tools.map(({ name }) => name);
      });
      return names.includes("home.grown") || undefined;
    });
    expect(await callTool(servers, "home.grown")).toBe("grown");
  });

  test("that is not there costs its tools, and is tried again when it is needed", async () => {
    const server = serve(sessionServer());
    const { port } = new URL(server.url);
    server.stop();
    const own = eager();
    const servers = mcpServers(at(server), own);
    expect(await servers.tools(15_000, never)).toEqual({ tools: [], missing: ["home"] });
    expect(own.lines[0]).toMatchObject({
      event: "mcp.down",
      fields: { reason: "the connection was refused" },
    });
    expect(own.lines.map(({ event }) => event)).toEqual(["mcp.down"]);
    const back = Bun.serve({
      hostname: "127.0.0.1",
      port: Number(port),
      fetch: () => new Response(null, { status: 500 }),
    });
    await servers.tools(15_000, never);
    expect(own.lines.at(-1)?.fields.reason).toBe("it answered 500");
    await back.stop(true);
  });

  test("that goes away between two calls did not get the second", async () => {
    const server = serve(sessionServer());
    const servers = mcpServers(at(server), eager());
    const lamp = await toolNamed(servers, "home.lamp");
    server.stop();
    expect(await said(lamp)).toBe(UNAVAILABLE);
    expect((await servers.tools(15_000, never)).tools.map(({ name }) => name)).toEqual(["home.lamp"]);
    expect(servers.status()[0]?.status).toBe("down");
  });
});

describe("an answer", () => {
  const answering = (answer: (id: unknown) => Response | object | number) =>
    serve(scriptedServer({ "tools/call": answer }));

  test("that breaks off leaves the outcome unknown, at once", async () => {
    const broken = [
      () => new Response("event: message\n\n", { headers: { "content-type": "text/event-stream" } }),
      () =>
        new Response(new ReadableStream({ start: (stream) => stream.close() }), {
          headers: { "content-type": "text/event-stream" },
        }),
      () => new Response('{"jsonrpc": "2.0", ', { headers: { "content-type": "application/json" } }),
    ];
    for (const answer of broken) {
      const servers = mcpServers(at(answering(answer)), seams({ clock: manualClock() }));
      expect(await callTool(servers, "home.lamp")).toBe(LOST);
    }
  });

  test("that is a redirect is not followed, and no header goes where it points", async () => {
    const other: string[] = [];
    const trap = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        other.push(request.url);
        return new Response();
      },
    });
    const location = `http://127.0.0.1:${trap.port}/mcp`;
    for (const status of [301, 302, 303, 307, 308]) {
      const server = answering(() => new Response(null, { status, headers: { location } }));
      const servers = mcpServers(at(server, { Authorization: "Bearer home-token" }));
      expect(await callTool(servers, "home.lamp")).toBe(
        `ToolFailure: The tool server home refused the call: it answered ${status}, a redirect, which is not followed`,
      );
    }
    const same = answering(() => new Response(null, { status: 307, headers: { location: "/elsewhere" } }));
    expect(await callTool(mcpServers(at(same)), "home.lamp")).toContain("a redirect, which is not followed");
    expect(other).toEqual([]);
    await trap.stop(true);
  });

  test("that is an error is told with the server's words, without our secrets", async () => {
    const server = answering(() =>
      Response.json({ error: { message: "bad token home-token" } }, { status: 403 }),
    );
    const servers = mcpServers(at(server, { Authorization: "Bearer home-token" }));
    expect(await callTool(servers, "home.lamp")).toBe(
      "ToolFailure: The tool server home refused the call: it answered 403: bad token [secret]",
    );
    const rpc = answering((id) =>
      Response.json({ jsonrpc: "2.0", id, error: { code: -32602, message: "no such lamp home-token" } }),
    );
    expect(await callTool(mcpServers(at(rpc, { "x-key": "home-token" })), "home.lamp")).toMatch(
      /^ToolFailure: .*no such lamp \[secret\]$/,
    );
  });

  test("of more than 8 MiB is not read to its end", async () => {
    const servers = mcpServers(
      at(answering(() => ({ content: [{ type: "text", text: "x".repeat(9 * 1024 * 1024) }] }))),
      eager(),
    );
    expect(await callTool(servers, "home.lamp")).toBe(LOST);
  });

  test("that breaks the tool's own output schema is still the result of a call that was made", async () => {
    const server = serve(
      scriptedServer({
        "tools/list": () => ({
          tools: [
            {
              name: "lamp",
              inputSchema: { type: "object" },
              outputSchema: { type: "object", properties: { on: { type: "boolean" } }, required: ["on"] },
            },
          ],
        }),
        "tools/call": () => ({ content: [], structuredContent: { state: "on" } }),
      }),
    );
    expect(await callTool(mcpServers(at(server)), "home.lamp")).toBe('{"state":"on"}');
  });
});

describe("a slow server", () => {
  test("holds up a turn for a quarter of a minute, and is there for the next", async () => {
    const answer = Promise.withResolvers<void>();
    const server = serve(
      scriptedServer({
        initialize: async () => {
          await answer.promise;
          return {
            protocolVersion: "2025-06-18",
            capabilities: { tools: {} },
            serverInfo: { name: "slow", version: "1" },
          };
        },
      }),
    );
    const clock = manualClock();
    const servers = mcpServers(at(server), seams({ clock }));
    const first = servers.tools(15_000, never);
    await until(() => server.requests.some(({ rpc }) => rpc === "initialize") || undefined);
    await clock.advance(15_000);
    expect((await first).missing).toEqual(["home"]);
    expect(servers.status()[0]?.status).toBe("starting");
    answer.resolve();
    expect((await servers.tools(15_000, never)).tools).toHaveLength(1);
  });

  test("that does not greet within a minute is given up", async () => {
    const server = serve(scriptedServer({ initialize: () => new Promise<never>(() => {}) }));
    const clock = manualClock();
    const own = seams({ clock });
    const servers = mcpServers(at(server), own);
    const asked = servers.tools(15_000, never);
    await until(() => server.requests.some(({ rpc }) => rpc === "initialize") || undefined);
    await clock.advance(60_000);
    await asked;
    await until(() => own.lines.length > 0 || undefined);
    expect(own.lines[0]?.fields.reason).toBe("it did not start within 1m");

    // From now on a turn waits two seconds for it, not fifteen.
    await clock.advance(1_000);
    const again = servers.tools(15_000, never);
    await until(() => server.requests.filter(({ rpc }) => rpc === "initialize").length > 1 || undefined);
    await clock.advance(2_000);
    expect((await again).missing).toEqual(["home"]);
  });
});
