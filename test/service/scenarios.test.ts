import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { JSONValue } from "@ai-sdk/provider";
import { program } from "../agents/mcp.ts";
import { modernServer, scriptedServer } from "../agents/mcp-http-servers.ts";
import { closing } from "../support/cleanup.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import { type ModelAnswer, type ModelServer, startModelServer } from "../support/model-server.ts";
import { PHONE, type Service, SMS, startService } from "../support/service.ts";

setDefaultTimeout(30_000);

const { cwd: _, ...FILES } = { ...program(), cwd: "" };
const PROVIDERS = ["openai-compatible", "openai", "anthropic"] as const;
type Provider = (typeof PROVIDERS)[number];

interface Scenario {
  readonly answers: readonly ModelAnswer[];
  readonly agent?: Readonly<Record<string, unknown>>;
  readonly channel?: Readonly<Record<string, unknown>>;
  readonly limits?: Readonly<Record<string, unknown>>;
  readonly clock?: ManualClock;
}

/** Everybody may use the tools; the text of PHONE is admitted and its sid answered. */
async function ask(
  provider: Provider,
  scenario: Scenario,
): Promise<{ running: Service; sid: string; model: ModelServer }> {
  const model = closing(await startModelServer(...scenario.answers));
  const running = closing(
    await startService({
      ...(scenario.clock === undefined ? {} : { clock: scenario.clock }),
      files: {
        "policies/tools.cedar":
          '@id("everybody") permit(principal, action == Policy::Action::"invoke_tool", resource);',
      },
      config: {
        channels: { sms: { ...SMS, agent: "assistant", allow_all_senders: true, ...scenario.channel } },
        agents: {
          assistant: {
            type: "llm",
            provider,
            base_url: model.baseUrl,
            model: "scripted",
            api_key: "sk-secret-key",
            timeout: "60s",
            tools: ["remind"],
            ...scenario.agent,
          },
        },
        limits: { ...scenario.limits },
      },
    }),
  );
  return { running, model, sid: await running.admitted(PHONE, "hello") };
}

/** The one text that reaches the phone. */
async function reply(running: Service): Promise<string> {
  await running.received(PHONE, 1);
  await running.app.idle();
  const texts = await running.inbox(PHONE);
  expect(texts).toHaveLength(1);
  return texts[0]?.text ?? "";
}

/** One short apology reached the phone, and everything the operator looks at names the cause. */
async function expectFailure(running: Service, sid: string, cause: RegExp): Promise<void> {
  const apology = await reply(running);
  expect(apology).toStartWith("Sorry");
  expect(apology).not.toMatch(cause);
  const message = await running.message(sid);
  expect(message).toMatchObject({ state: "failed", error: { fix: expect.any(String) } });
  expect(message.error.meaning).toMatch(cause);
  expect(message.turn).toMatchObject({ state: "failed", error: message.error });
  await running.logged("turn.failed");
  const [alert] = await running.logged("alert");
  expect(alert?.fields.cause).toBe("agent.failed/assistant");
  const all = JSON.stringify([running.logs, message]);
  expect(all).not.toContain("sk-secret-key");
  expect(JSON.stringify(running.logs)).not.toContain(PHONE);
}

const call = (name: string, args: JSONValue = {}) => ({ name, arguments: args });
const words = (length: number) =>
  Array.from({ length: Math.ceil(length / 8) }, (_, i) => `word${String(i).padStart(4, "0")}`).join(" ");
const ARABIC = "\u200fأهلاً 👋 السعر ٥٠ «يورو»، والرابط: https://example.com/a_b?c=1 شكراً!";

for (const provider of PROVIDERS)
  describe(`one text and one answer, over ${provider}:`, () => {
    test("tool calls side by side, of a program, of an HTTP server and built in", async () => {
      const tools = closing(modernServer());
      const { running, sid } = await ask(provider, {
        answers: [
          {
            toolCalls: [
              call("files__echo", { words: "hi" }),
              call("home__lamp"),
              call("remind", { action: "list" }),
            ],
          },
          { text: "All three." },
        ],
        agent: { mcp_servers: { files: FILES, home: { url: tools.url } } },
      });
      expect(await reply(running)).toBe("All three.");
      const { turn } = await running.message(sid);
      expect(turn.calls).toHaveLength(3);
      for (const one of turn.calls) expect(one).toMatchObject({ outcome: "done", policies: ["everybody"] });
    });

    test("a tool that fails, with the cause shown at its call", async () => {
      const { running, sid } = await ask(provider, {
        answers: [{ toolCalls: [call("files__fail")] }, { text: "The door is jammed." }],
        agent: { mcp_servers: { files: FILES } },
      });
      expect(await reply(running)).toBe("The door is jammed.");
      const { turn, state } = await running.message(sid);
      expect(state).toBe("handled");
      expect(turn.calls).toEqual([
        {
          id: "1.0",
          tool: "files.fail",
          outcome: "failed",
          policies: ["everybody"],
          reason: "The door is jammed.",
        },
      ]);
      const [line] = await running.logged("tool.call", { tool: "files.fail" });
      expect(line).toMatchObject({ level: "warn", fields: { outcome: "failed" } });
    });

    test("a tool server on stdio that dies in the middle, and others that work", async () => {
      const { running, sid } = await ask(provider, {
        answers: [
          { toolCalls: [call("files__die"), call("remind", { action: "list" })] },
          { text: "I do not know whether it worked." },
        ],
        agent: { mcp_servers: { files: FILES } },
      });
      expect(await reply(running)).toBe("I do not know whether it worked.");
      const { turn } = await running.message(sid);
      expect(turn.calls).toMatchObject([
        { tool: "files.die", outcome: "failed", reason: expect.stringContaining("not known") },
        { tool: "remind", outcome: "done" },
      ]);
      const [down] = await running.logged("mcp.down");
      expect(down?.fields.reason).toContain("exited with 9");
      const [alert] = await running.logged("alert");
      expect(alert?.fields).toMatchObject({
        cause: "mcp.down/assistant/files",
        reason: expect.stringContaining("exited with 9"),
      });
    });

    test("a tool server over HTTP that dies in the middle", async () => {
      const tools = closing(
        scriptedServer({
          "tools/call": () => {
            tools?.stop();
            return new Promise<never>(() => {});
          },
        }),
      );
      const { running, sid } = await ask(provider, {
        answers: [{ toolCalls: [call("home__lamp")] }, { text: "The lamp does not answer." }],
        agent: { mcp_servers: { home: { url: tools.url } } },
      });
      expect(await reply(running)).toBe("The lamp does not answer.");
      const { turn } = await running.message(sid);
      expect(turn.calls).toMatchObject([{ tool: "home.lamp", outcome: "failed" }]);
      expect(turn.calls[0].reason).toMatch(/not known/);
    });

    test("a provider that answers 429, then 500, then well", async () => {
      const { running, sid } = await ask(provider, {
        clock: manualClock(),
        answers: [
          { status: 429, headers: { "retry-after": "2" }, body: { error: { message: "slow down" } } },
          { status: 500, body: { error: { message: "oops" } } },
          { text: "Here I am." },
        ],
      });
      expect(await reply(running)).toBe("Here I am.");
      expect((await running.message(sid)).state).toBe("handled");
      const retries = await running.logged("agent.retry", {}, 2);
      expect(retries.map(({ fields }) => fields.reason)).toEqual(["429", "500"]);
    });

    test("a provider that never answers", async () => {
      const clock = manualClock();
      const { running, sid, model } = await ask(provider, { clock, answers: ["hang"] });
      await model.received(1);
      await clock.advance(60_000);
      await running.eventually(async () => (await running.message(sid)).state === "failed", "the time-out");
      await expectFailure(running, sid, /within 1m|60 ?s|minute/);
    });

    test("an answer that is empty once, and one that is empty again", async () => {
      const { running, sid } = await ask(provider, {
        answers: [{ text: "" }, { text: "Pardon? Here." }, { text: "" }, { text: " " }],
      });
      expect(await reply(running)).toBe("Pardon? Here.");
      expect((await running.message(sid)).state).toBe("handled");
      const second = await running.admitted(PHONE, "and now?");
      await running.received(PHONE, 2);
      await running.app.idle();
      expect(await running.inbox(PHONE)).toHaveLength(2);
      const message = await running.message(second);
      expect(message.error).toMatchObject({
        meaning: expect.stringContaining("answered nothing, twice"),
        fix: expect.any(String),
      });
      expect((await running.logged("alert"))[0]?.fields.cause).toBe("agent.failed/assistant");
    });

    test("an answer in Arabic with an emoji, which arrives letter by letter", async () => {
      const { running } = await ask(provider, { answers: [{ text: ARABIC }] });
      expect(await reply(running)).toBe(ARABIC);
    });
  });

describe("an answer of 20,000 characters", () => {
  const LONG = words(20_000);

  test("comes in one text, and the rest with MORE, nothing lost and no part over the limit", async () => {
    const { running, model } = await ask("openai-compatible", { answers: [{ text: LONG }] });
    expect(await reply(running)).toEndWith("[MORE?]");
    const parts = [await reply(running)];
    while (parts.at(-1)?.endsWith("[MORE?]")) {
      await running.text(PHONE, "more");
      const all = await running.received(PHONE, parts.length + 1);
      parts.push(all.at(-1)?.text ?? "");
    }
    expect(parts.map((part) => part.replace("[MORE?]", "").trim()).join(" ")).toBe(LONG);
    for (const { segments } of await running.inbox(PHONE)) expect(segments).toBeLessThanOrEqual(10);
    const told = running.logs.filter(({ event }) => event === "alert");
    expect(told.map(({ fields }) => fields.cause)).toEqual(["limits.segments_per_reply/assistant/sms"]);
    expect(told[0]?.fields.reason).toContain("the rest waits for MORE");
    expect(model.requests).toHaveLength(1);
  });

  test("comes in numbered texts with split, as far as segments_per_reply goes", async () => {
    const { running, sid } = await ask("openai-compatible", {
      answers: [{ text: LONG }],
      channel: { reply: { overflow: "split" } },
      limits: { segments_per_reply: 40 },
    });
    const first = (await running.received(PHONE, 1))[0];
    const count = Number(/^1\/(\d+) /.exec(first?.text ?? "")?.[1]);
    const texts = await running.received(PHONE, count);
    await running.app.idle();
    expect(await running.inbox(PHONE)).toHaveLength(count);
    expect(texts.map(({ text }) => text?.slice(0, 3))).toEqual(
      Array.from({ length: count }, (_, i) => `${i + 1}/${count}`),
    );
    expect(count).toBeGreaterThan(3);
    expect(texts.reduce((sum, text) => sum + text.segments, 0)).toBeLessThanOrEqual(40);
    expect(texts.at(-1)?.text).toEndWith("...");
    expect((await running.message(sid)).state).toBe("handled");
  });

  test("is cut off with truncate", async () => {
    const { running } = await ask("openai-compatible", {
      answers: [{ text: LONG }],
      channel: { reply: { overflow: "truncate" } },
    });
    const text = await reply(running);
    expect(text).toEndWith("...");
    expect(text.length).toBeGreaterThan(1_400);
    expect(LONG).toStartWith(text.slice(0, -3));
    expect((await running.inbox(PHONE))[0]?.segments).toBeLessThanOrEqual(10);
  });
});
