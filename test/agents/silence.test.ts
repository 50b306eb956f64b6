import { afterEach, describe, expect, test } from "bun:test";
import { endAll, hasty, llmAgent, serve, systemOf, toldResults } from "./llm.ts";
import { failureOf, never, turn } from "./support.ts";
import { failing, fakeTool, kinds, withTools } from "./tools.ts";

afterEach(endAll);

const SILENT = { name: "stay_silent", arguments: {} };
const offered = (server: Awaited<ReturnType<typeof serve>>) =>
  server.requests[0]?.body.tools?.map((tool) => tool.function.name) ?? [];

describe("a model that may stay silent", () => {
  test("says nothing by calling stay_silent, whatever it writes beside it, and is told how", async () => {
    const server = await serve({
      text: "I will stay silent.",
      toolCalls: [SILENT],
      usage: { prompt: 10, completion: 2 },
    });
    const own = withTools({ builtIn: [fakeTool("remind", () => "Set.")] });
    const reply = await llmAgent(server).run(own.request(), never);
    expect(reply).toEqual({ usage: { inputTokens: 10, outputTokens: 2 } });
    expect(offered(server)).toEqual(["remind", "stay_silent"]);
    expect(systemOf(server.requests[0])).toContain("call stay_silent");
    expect(server.requests).toHaveLength(1);
    expect(own.entries).toEqual([]);
  });

  test("stays silent after tools did what was asked", async () => {
    const server = await serve({ toolCalls: [{ name: "remind", arguments: {} }] }, { toolCalls: [SILENT] });
    const own = withTools({ builtIn: [fakeTool("remind", () => "Nothing new.")] });
    expect((await llmAgent(server).run(own.request(), never)).text).toBeUndefined();
    expect(server.requests).toHaveLength(2);
  });

  test("must look at the other calls of its step first: one that failed is worth an answer", async () => {
    const server = await serve(
      { toolCalls: [{ name: "remind", arguments: {} }, SILENT] },
      { text: "That did not work." },
    );
    const own = withTools({ builtIn: [fakeTool("remind", () => failing("No such day."))] });
    expect((await llmAgent(server).run(own.request(), never)).text).toBe("That did not work.");
    expect(toldResults(server.requests[1])[1]).toContain("Not yet");
    expect(kinds(own.entries)).toEqual(["step 1", "call_result 1.1", "call_started 1.0", "call_result 1.0"]);
  });

  test("needs no policy for it, since nothing is done", async () => {
    const server = await serve({ toolCalls: [SILENT] });
    const own = withTools({
      builtIn: [fakeTool("remind", () => "Set.")],
      authorize: async () => ({ allowed: false, reason: "nobody may" }),
    });
    expect((await llmAgent(server).run(own.request(), never)).text).toBeUndefined();
  });

  test("never has the word itself texted: written as an answer, it is asked again", async () => {
    const server = await serve({ text: "stay_silent()" }, { text: "You are welcome." });
    const own = withTools({ builtIn: [fakeTool("remind", () => "Set.")] });
    expect((await llmAgent(server, {}, hasty()).run(own.request(), never)).text).toBe("You are welcome.");
  });
});

describe("stay_silent", () => {
  test("is offered alone where the settings name it", async () => {
    const server = await serve({ toolCalls: [SILENT] });
    const reply = await llmAgent(server, { tools: ["stay_silent"] }).run(withTools({}).request(), never);
    expect(reply.text).toBeUndefined();
    expect(offered(server)).toEqual(["stay_silent"]);
  });

  test("is not offered to an agent without tools, whose empty answer stays a failure", async () => {
    const server = await serve({ text: "" }, { text: "" });
    const run = llmAgent(server, { tools: [] }, hasty()).run(turn(), never);
    expect((await failureOf(run)).message).toContain("answered nothing, twice");
    expect(offered(server)).toEqual([]);
  });
});

test("a failure says what was paid for in vain", async () => {
  const server = await serve(
    { toolCalls: [{ name: "remind", arguments: {} }], usage: { prompt: 10, completion: 1 } },
    { text: "", usage: { prompt: 20, completion: 0 } },
    { text: "", usage: { prompt: 30, completion: 0 } },
  );
  const own = withTools({ builtIn: [fakeTool("remind", () => "Set.")] });
  const failure = await failureOf(llmAgent(server, {}, hasty()).run(own.request(), never));
  expect(failure.usage).toEqual({ inputTokens: 60, outputTokens: 1 });
});
