import { describe, expect, test } from "bun:test";
import type { Agent, TurnRequest } from "../../src/agent.ts";
import { createAgentRegistry } from "../../src/agent-registry.ts";
import { AppError } from "../../src/errors.ts";
import type { AgentSettings } from "../../src/settings.ts";

/** Agents that work until they are told to end, and say when they are closed. */
function registry() {
  const made: { readonly settings: AgentSettings; readonly end: (text: string) => void; closed: number }[] =
    [];
  const errors: string[] = [];
  const agents = createAgentRegistry({
    create(settings): Agent {
      if (settings.type === "http" && settings.url === "bad") throw new AppError("invalid", "cannot work");
      const reply = Promise.withResolvers<string>();
      const one = { settings, end: reply.resolve, closed: 0 };
      made.push(one);
      return {
        run: async () => ({ text: await reply.promise }),
        async close() {
          one.closed += 1;
          if (settings.type === "http" && settings.url === "stuck") throw new Error("it hangs");
        },
      };
    },
    log: { debug() {}, info() {}, warn() {}, error: (event) => void errors.push(event) },
  });
  return { agents, made, errors };
}

const http = (url: string): AgentSettings => ({ id: "a", type: "http", url, headers: {}, timeout: 1 });
const signal = new AbortController().signal;
const REQUEST: TurnRequest = {
  turnId: "turn_1",
  channel: "sms",
  agent: "a",
  conversationId: "conv_1",
  from: "+15557654321",
  text: "hello",
  media: [],
  messages: [],
  timezone: "UTC",
  now: 0,
};

describe("an agent that is exchanged", () => {
  test("is closed when its last turn has ended, not before", async () => {
    const { agents, made } = registry();
    agents.prepare({ a: http("one") }).commit();
    const turns = [agents.get("a")?.run(REQUEST, signal), agents.get("a")?.run(REQUEST, signal)];
    agents.prepare({ a: http("two") }).commit();
    await Promise.resolve();
    expect(made.map(({ closed }) => closed)).toEqual([0, 0]);
    made[0]?.end("done");
    expect(await Promise.all(turns)).toEqual([{ text: "done" }, { text: "done" }]);
    expect(made.map(({ closed }) => closed)).toEqual([1, 0]);
  });

  test("is closed at once when no turn runs on it", () => {
    const { agents, made } = registry();
    agents.prepare({ a: http("one") }).commit();
    agents.prepare({}).commit();
    expect(made[0]?.closed).toBe(1);
    expect(agents.get("a")).toBeUndefined();
  });

  test("gets no turn that was about to begin on it", async () => {
    const { agents, made } = registry();
    agents.prepare({ a: http("one") }).commit();
    const found = agents.get("a");
    agents.prepare({ a: http("two") }).commit();
    made[1]?.end("by the new one");
    expect(await found?.run(REQUEST, signal)).toEqual({ text: "by the new one" });
    agents.prepare({}).commit();
    expect(found?.run(REQUEST, signal)).rejects.toThrow("taken out of the configuration");
  });

  test("is not made anew when its settings are the same", () => {
    const { agents, made } = registry();
    agents.prepare({ a: http("one") }).commit();
    const again = agents.prepare({ a: http("one"), b: http("two") });
    expect(again.changed).toEqual(["b"]);
    again.commit();
    expect(made).toHaveLength(2);
  });
});

describe("agents that are prepared", () => {
  test("and not wanted after all are closed, and those in force stay", () => {
    const { agents, made } = registry();
    agents.prepare({ a: http("one") }).commit();
    agents.prepare({ a: http("two") }).discard();
    expect(made.map(({ closed }) => closed)).toEqual([0, 1]);
    expect(() => agents.prepare({ a: http("three"), b: http("bad") })).toThrow("cannot work");
    expect(made.map(({ closed }) => closed)).toEqual([0, 1, 1]);
    expect(agents.get("a")).toBeDefined();
    expect(agents.get("b")).toBeUndefined();
  });

  test("are all closed at the end, once each, even if one cannot be", async () => {
    const { agents, made, errors } = registry();
    agents.prepare({ a: http("one"), b: http("stuck") }).commit();
    void agents.get("a")?.run(REQUEST, signal);
    agents.prepare({ a: http("two"), b: http("stuck") }).commit();
    await agents.close();
    await agents.close();
    expect(made.map(({ closed }) => closed)).toEqual([1, 1, 1]);
    expect(errors).toEqual(["agent.close"]);
  });
});
