import { afterEach, describe, expect, test } from "bun:test";
import { endAll, llmAgent, serve, systemOf, toldResults } from "./llm.ts";
import { eager, program } from "./mcp.ts";
import { modernServer } from "./mcp-http-servers.ts";
import { gone } from "./processes.ts";
import { never } from "./support.ts";
import { fakeTool, kinds, withTools } from "./tools.ts";

afterEach(endAll);

const call = (name: string, input: unknown = {}) => ({ name, arguments: input });

describe("an agent with tool servers", () => {
  test("calls tools of a program, of an HTTP server and its own in one step", async () => {
    const http = modernServer();
    try {
      const server = await serve(
        { toolCalls: [call("files__echo", { words: "hi" }), call("home__lamp"), call("remind")] },
        { text: "All three." },
      );
      const asked: unknown[] = [];
      const journal = withTools({
        builtIn: [fakeTool("remind", () => "Set.")],
        authorize: async (tool) => {
          asked.push([tool.server, tool.name]);
          return { allowed: true };
        },
      });
      const mcpServers = { files: program(), home: { url: http.url, headers: {} } };
      const agent = llmAgent(server, { mcpServers });
      expect((await agent.run(journal.request(), never)).text).toBe("All three.");
      expect(toldResults(server.requests[1]).map((told) => told.split("\n")[1])).toEqual([
        "hi",
        "on",
        "Set.",
      ]);
      expect(asked).toEqual([
        ["files", "files.echo"],
        ["home", "home.lamp"],
        [undefined, "remind"],
      ]);
      expect(journal.entries[1]).toEqual({
        kind: "call_started",
        callId: "1.0",
        tool: "files.echo",
        input: { words: "hi" },
      });
      expect(agent.toolServers?.().map(({ name, status }) => `${name} ${status}`)).toEqual([
        "files ready",
        "home ready",
      ]);
    } finally {
      http.stop();
    }
  });

  test("survives the death of one in the middle of a turn: one reply, the cause in the log", async () => {
    const server = await serve(
      { toolCalls: [call("files__pid"), call("files__die")] },
      { toolCalls: [call("files__pid")] },
      { text: "The second did not work." },
    );
    const own = eager();
    const journal = withTools({});
    const agent = llmAgent(server, { mcpServers: { files: program() } }, own);
    expect((await agent.run(journal.request(), never)).text).toBe("The second did not work.");
    const told = toldResults(server.requests[2]);
    expect(told[1]).toContain("Whether the call took effect is not known.");
    expect(told[2]).toMatch(/\n\d+\n/);
    expect(kinds(journal.entries).filter((kind) => kind.startsWith("call_started"))).toHaveLength(3);
    expect(own.lines.find(({ event }) => event === "mcp.down")?.fields).toMatchObject({
      agent: "assistant",
      server: "files",
      reason: "the program exited with 9; stderr: out of memory",
    });
  });

  test("answers without the tools of one that is down, and the model knows", async () => {
    const server = await serve({ text: "The lamp cannot be reached." });
    const mcpServers = { home: { command: ["no-such-program"], env: {}, cwd: "/" } };
    const reply = await llmAgent(server, { mcpServers }).run(withTools({}).request(), never);
    expect(reply.text).toBe("The lamp cannot be reached.");
    expect(systemOf(server.requests[0])).toContain("cannot be used at the moment: home.");
  });

  test("starts none for a turn without tools", async () => {
    const server = await serve({ text: "Hello." });
    const { tools: _, ...without } = withTools({}).request();
    const agent = llmAgent(server, { mcpServers: { files: program() } });
    await agent.run(without, never);
    expect(agent.toolServers?.()[0]?.status).toBe("idle");
  });

  test("puts a tool of theirs under confirm by its full name", async () => {
    const server = await serve({ toolCalls: [call("files__echo", { words: "x" })] });
    const journal = withTools({ confirm: async () => ({ kind: "parked" }) });
    const agent = llmAgent(server, { mcpServers: { files: program() }, confirm: ["files.echo"] });
    expect((await agent.run(journal.request(), never)).parked).toEqual(["1.0"]);
  });

  test("ends them when it is closed", async () => {
    const server = await serve({ toolCalls: [call("files__pid")] }, { text: "ok" });
    const journal = withTools({});
    const agent = llmAgent(server, { mcpServers: { files: program() } });
    await agent.run(journal.request(), never);
    const result = journal.entries.at(-1);
    await agent.close?.();
    await gone(result?.kind === "call_result" ? Number(result.text) : 0);
  });
});
