import { afterEach, describe, expect, test } from "bun:test";
import { createAgent } from "../../src/agents/create.ts";
import { AppError } from "../../src/errors.ts";
import type { LlmAgent } from "../../src/settings.ts";
import { endAll, llmAgent, serve } from "./llm.ts";
import { failureOf, never, seams, turn } from "./support.ts";
import { failing, fakeTool, withTools } from "./tools.ts";

afterEach(endAll);

/** Two calls, one of which fails, then the answer; the last request is what the model is told. */
async function toolTurn(provider: LlmAgent["provider"]) {
  const server = await serve(
    {
      text: "One moment.",
      reasoning: "I should call two tools.",
      toolCalls: [
        { name: "home__lamp", arguments: { on: true }, id: "call_a" },
        { name: "remind", arguments: {}, id: "call_b" },
      ],
      usage: { prompt: 11, completion: 3 },
    },
    { text: "The lamp is on.", usage: { prompt: 20, completion: 4 } },
  );
  const lamp = { ...fakeTool("home.lamp", () => "on"), server: "home" };
  const remind = fakeTool("remind", () => failing("no such day"));
  const own = { baseUrl: server.baseUrl, provider, apiKey: "sk-test-key", tools: ["home.lamp", "remind"] };
  const journal = withTools({ builtIn: [lamp, remind] });
  const reply = await llmAgent(server, own).run(journal.request(), never);
  expect(reply).toEqual({ text: "The lamp is on.", usage: { inputTokens: 31, outputTokens: 7 } });
  expect(lamp.calls.map(({ input }) => input)).toEqual([{ on: true }]);

  // The same again from the journal, as after a restart.
  const last = server.requests.at(-1);
  server.script({ text: "The lamp is on." });
  const again = withTools({ builtIn: [lamp, remind], journal: journal.entries });
  await llmAgent(server, own).run(again.request(), never);
  expect(server.requests.at(-1)?.body.messages).toEqual(last?.body.messages ?? []);
  expect(lamp.calls).toHaveLength(1);
  return { first: server.requests[0], last };
}

describe("openai-compatible", () => {
  test("tools, calls and results go the way of chat completions", async () => {
    const { first, last } = await toolTurn("openai-compatible");
    expect(first?.path).toBe("/v1/chat/completions");
    expect(first?.body.tools?.slice(0, 2).map((tool) => tool.function)).toEqual([
      {
        name: "home__lamp",
        description: "Does home.lamp.",
        parameters: { type: "object", properties: {} },
      },
      { name: "remind", description: "Does remind.", parameters: { type: "object", properties: {} } },
    ]);
    const [, , asked, lamp, remind] = last?.body.messages ?? [];
    expect(asked?.reasoning_content).toBe("I should call two tools.");
    expect(lamp).toEqual({
      role: "tool",
      tool_call_id: "call_a",
      content: expect.stringContaining("\non\n"),
    });
    expect(remind?.content).toContain("Failed.");
  });
});

describe("openai", () => {
  test("goes through the Responses API, and nothing is kept there", async () => {
    const { first, last } = await toolTurn("openai");
    expect(first?.path).toBe("/v1/responses");
    expect(first?.headers.authorization).toBe("Bearer sk-test-key");
    expect(first?.body.store).toBe(false);
    expect(first?.body.tools?.map((tool) => tool.name)).toEqual(["home__lamp", "remind", "stay_silent"]);
    const outputs = last?.body.messages.filter((item) => item.type === "function_call_output") ?? [];
    expect(outputs.map((item) => item.call_id)).toEqual(["call_a", "call_b"]);
    expect(String(outputs[0]?.output)).toContain("\non\n");
    expect(JSON.stringify(last?.body)).not.toContain("item_reference");
  });

  test("without a base_url asks OpenAI itself, with the configured key and no other", async () => {
    const urls: string[] = [];
    const server = await serve({ text: "ok" });
    const own = seams({
      fetch: (url, init) => {
        urls.push(url);
        return fetch(`${server.baseUrl}${new URL(url).pathname.replace("/v1", "")}`, init);
      },
    });
    const agent = createAgent(
      {
        id: "assistant",
        type: "llm",
        provider: "openai",
        model: "gpt-test",
        apiKey: "sk-configured",
        system: "",
        timeout: 60_000,
        maxSteps: 12,
        history: 40,
        tools: [],
        confirm: [],
        mcpServers: {},
      },
      own,
    );
    expect((await agent.run(turn(), never)).text).toBe("ok");
    expect(urls).toEqual(["https://api.openai.com/v1/responses"]);
    expect(server.requests[0]?.headers.authorization).toBe("Bearer sk-configured");
  });
});

describe("anthropic", () => {
  test("goes through the Messages API, its signed thoughts included", async () => {
    const { first, last } = await toolTurn("anthropic");
    expect(first?.path).toBe("/v1/messages");
    expect(first?.headers["x-api-key"]).toBe("sk-test-key");
    expect(first?.body.tools?.map((tool) => tool.name)).toEqual(["home__lamp", "remind", "stay_silent"]);
    const [, asked, told] = last?.body.messages ?? [];
    expect(asked?.content).toEqual([
      { type: "thinking", thinking: "I should call two tools.", signature: "sealed 1" },
      { type: "text", text: "One moment." },
      { type: "tool_use", id: "call_a", name: "home__lamp", input: { on: true } },
      { type: "tool_use", id: "call_b", name: "remind", input: {} },
    ]);
    expect(told?.role).toBe("user");
    expect(told?.content).toEqual([
      expect.objectContaining({ type: "tool_result", tool_use_id: "call_a" }),
      expect.objectContaining({ type: "tool_result", tool_use_id: "call_b", is_error: true }),
    ]);
  });
});

describe("any provider", () => {
  for (const provider of ["openai-compatible", "openai", "anthropic"] as const) {
    test(`${provider}: a refusal names status and words, and what to check`, async () => {
      const error = { type: "authentication_error", message: "invalid key" };
      const server = await serve({ status: 401, body: { type: "error", error } });
      const failure = await failureOf(llmAgent(server, { provider, apiKey: "sk-x" }).run(turn(), never));
      expect(failure.message).toEndWith("answered 401: invalid key");
      expect(failure.fix).toBe("Check agents.assistant.api_key.");
    });

    test(`${provider}: without a key none is sent, whatever the environment holds`, async () => {
      const server = await serve({ text: "ok" });
      const before = { ...process.env };
      Object.assign(process.env, { OPENAI_API_KEY: "sk-env", ANTHROPIC_API_KEY: "sk-env" });
      try {
        await llmAgent(server, { provider }).run(turn(), never);
      } finally {
        for (const name of ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"])
          if (before[name] === undefined) delete process.env[name];
          else process.env[name] = before[name];
      }
      expect(server.requests[0]?.headers.authorization).toBeUndefined();
      expect(server.requests[0]?.headers["x-api-key"]).toBeUndefined();
    });

    test(`${provider}: thoughts do not reach the phone`, async () => {
      const server = await serve({ text: "Noon.", reasoning: "They want the time." });
      expect((await llmAgent(server, { provider }).run(turn(), never)).text).toBe("Noon.");
    });

    test(`${provider}: nonsense twice says where base_url should end`, async () => {
      const nonsense = { status: 200, body: { hello: true } };
      const server = await serve(nonsense, nonsense);
      const failure = await failureOf(llmAgent(server, { provider }).run(turn(), never));
      expect(failure.kind).toBe("output");
      expect(failure.fix).toContain("agents.assistant.base_url");
    });

    test(`${provider}: a base_url that is none is refused at creation`, () => {
      expect(() => llmAgent({ baseUrl: "127.0.0.1:1" }, { provider })).toThrow(AppError);
    });
  }
});
