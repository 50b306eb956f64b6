import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { type ModelServer, scriptedAgent, startModelServer } from "../support/model-server.ts";
import { PHONE, type Service, type ServiceOptions, SMS, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

const CODES = "+15550100002";

async function start(options: ServiceOptions): Promise<Service> {
  const service = closing(await startService(options));
  return service;
}

/** A service whose agent has the tool, paired with PHONE, and a channel for codes. */
async function withAgent(): Promise<{ running: Service; model: ModelServer }> {
  const model = closing(await startModelServer());
  const running = await start({
    config: {
      channels: {
        sms: { ...SMS, agent: "assistant" },
        codes: { provider: "simulator", from_number: CODES, mode: "signal" },
      },
      agents: {
        assistant: scriptedAgent(model, {
          tools: ["await_signal"],
        }),
      },
    },
  });
  await running.pair();
  return { running, model };
}

describe("who waits", () => {
  test("is asked receive_signal with the sender as it is: a forbid for paired senders holds", async () => {
    const running = await start({
      files: {
        "policies/rules.cedar": `@id("no-paired-to-api")
forbid (principal == Policy::Agent::"api", action == Policy::Action::"receive_signal", resource)
when { resource.sender.paired };`,
      },
    });
    await running.pair();
    const wait = running.api("POST", "/signals/await", { match: "777123", timeout: "2s" });
    await running.until(
      async () => (await running.api("GET", "/watches?state=pending")).body.items.length === 1,
      "the wait",
    );
    await running.admitted(PHONE, "777123 is your login code");
    expect((await wait).body).toEqual({ status: "timeout" });
  });

  test("as an agent is not content with the words of the person who asked", async () => {
    const { running, model } = await withAgent();
    model.script(
      { toolCalls: [{ name: "await_signal", arguments: { match: "mybank", timeout: "10m" } }] },
      { text: "It is 482913." },
    );
    await running.text(PHONE, "wait for the mybank code");
    await running.logged("tool.parked");
    await running.text("22000", "mybank: 482913 is your login code", CODES);
    expect((await running.received(PHONE, 2))[1]?.text).toBe("It is 482913.");
  });

  test("as an agent must say for what, and null says nothing", async () => {
    const { running, model } = await withAgent();
    model.script(
      { toolCalls: [{ name: "await_signal", arguments: { origin: null } }] },
      { text: "I need to know more." },
    );
    await running.text(PHONE, "wait for a code");
    expect((await running.received(PHONE, 2))[1]?.text).toBe("I need to know more.");
    expect((await running.api("GET", "/watches")).body.items).toEqual([]);
  });

  test("is forgotten with the turn", async () => {
    const { running, model } = await withAgent();
    model.script({ toolCalls: [{ name: "await_signal", arguments: { from: ["22000"], timeout: "1s" } }] });
    await running.text(PHONE, "log me in");
    await running.logged("tool.parked");
    await running.text(PHONE, "/stop");
    await running.received(PHONE, 2);
    // A wait of somebody else that ends later shows that the time of the first one is over.
    const other = await running.api("POST", "/signals/await", { from: "33000", timeout: "2s" });
    expect(other.body).toEqual({ status: "timeout" });
    expect((await running.api("GET", "/watches?state=pending")).body.items).toEqual([]);
  });
});
