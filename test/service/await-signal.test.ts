import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { type ModelServer, scriptedAgent, startModelServer } from "../support/model-server.ts";
import { NUMBER, PHONE, type Service, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

const CODES = "+15550100002";

async function start(): Promise<{ service: Service; model: ModelServer }> {
  const model = closing(await startModelServer());
  const service = closing(
    await startService({
      config: {
        channels: {
          sms: { provider: "simulator", from_number: NUMBER, agent: "assistant", debounce: "0s" },
          codes: { provider: "simulator", from_number: CODES, mode: "signal" },
        },
        agents: {
          assistant: scriptedAgent(model, {
            tools: ["await_signal"],
          }),
        },
      },
    }),
  );
  await service.pair();
  return { service, model };
}

const ASK = {
  toolCalls: [{ name: "await_signal", arguments: { from: ["22000"], timeout: "10m" } }],
};

/** The texts of the tool results in a request to the model. */
function told(model: ModelServer): string {
  const last = model.requests.at(-1)?.body.messages ?? [];
  return JSON.stringify(last.filter((message) => message.role === "tool"));
}

describe("an llm agent that waits for a code", () => {
  test("gets it from another channel and finishes its reply with it", async () => {
    const { service, model } = await start();
    model.script(ASK, { text: "Your code is 482913." });
    await service.text(PHONE, "log me in");
    await model.received(1);
    await service.until(
      () => service.logs.some((line) => line.event === "tool.parked"),
      "the turn to be parked",
    );
    await service.text("22000", "482913 is your login code", CODES);
    const texts = await service.received(PHONE, 2);
    expect(texts[1]?.text).toBe("Your code is 482913.");
    expect(told(model)).toContain("482913");
    // The sender may not text the agent, so the agent does not get its words.
    expect(told(model)).not.toContain("is your login code");
    const { body } = await service.api("GET", "/messages?channel=codes");
    expect(body.items[0]).toMatchObject({ route: "signal", state: "handled" });
  });

  test("gets it after a restart in between", async () => {
    const { service: first, model } = await start();
    model.script(ASK);
    await first.text(PHONE, "log me in");
    await first.until(() => first.logs.some((line) => line.event === "tool.parked"), "the turn to be parked");
    const service = await first.restart();
    model.script({ text: "It is 482913." });
    await service.text("22000", "482913 is your login code", CODES);
    const texts = await service.received(PHONE, 1);
    expect(texts[0]?.text).toBe("It is 482913.");
    expect(told(model)).toContain("482913");
    expect(model.requests).toHaveLength(2);
  });

  test("lets the conversation go on meanwhile", async () => {
    const { service, model } = await start();
    model.script(ASK, { text: "Four." }, { text: "The code is 482913." });
    await service.text(PHONE, "log me in");
    await service.until(
      () => service.logs.some((line) => line.event === "tool.parked"),
      "the turn to be parked",
    );
    await service.text(PHONE, "what is two and two?");
    expect((await service.received(PHONE, 2))[1]?.text).toBe("Four.");
    await service.text("22000", "482913 is your login code", CODES);
    expect((await service.received(PHONE, 3))[2]?.text).toBe("The code is 482913.");
  });

  test("waits for two codes at once with parallel calls", async () => {
    const { service, model } = await start();
    model.script(
      {
        toolCalls: [
          { name: "await_signal", arguments: { from: ["22000"] } },
          { name: "await_signal", arguments: { from: ["MYBANK"] } },
        ],
      },
      { text: "Both are here." },
    );
    await service.text(PHONE, "log me in twice");
    await service.until(
      () => service.logs.filter((line) => line.event === "tool.parked").length === 2,
      "both calls to be parked",
    );
    await service.text("MYBANK", "Your code: 771204", CODES);
    await service.text("22000", "482913 is your login code", CODES);
    expect((await service.received(PHONE, 2))[1]?.text).toBe("Both are here.");
    expect(told(model)).toContain("482913");
    expect(told(model)).toContain("771204");
  });

  test("is told when the time is over, and when the sender texts /stop nothing waits any more", async () => {
    const { service, model } = await start();
    model.script(
      { toolCalls: [{ name: "await_signal", arguments: { from: ["22000"], timeout: "1s" } }] },
      { text: "No code came." },
      ASK,
    );
    await service.text(PHONE, "log me in");
    expect((await service.received(PHONE, 2))[1]?.text).toBe("No code came.");
    expect(told(model)).toContain("timeout");
    await service.text(PHONE, "try again");
    await service.until(
      () => service.logs.filter((line) => line.event === "tool.parked").length === 2,
      "the second wait",
    );
    await service.text(PHONE, "/stop");
    await service.received(PHONE, 3);
    const { body } = await service.api("GET", "/watches?state=pending");
    expect(body.items).toEqual([]);
  });
});
