import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { type Hook, openHook } from "../support/hook.ts";
import {
  inboundParameters,
  PHONE,
  type Service,
  type ServiceOptions,
  SMS,
  STRANGER,
  startService,
} from "../support/service.ts";

setDefaultTimeout(20_000);

async function start(
  channels: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    sms: { ...SMS, allow_all_senders: true },
  },
  options: ServiceOptions = {},
): Promise<{ running: Service; agent: Hook }> {
  const agent = closing(openHook());
  const running = closing(
    await startService({
      ...options,
      config: {
        channels: Object.fromEntries(
          Object.entries(channels).map(([id, channel]) => [id, { ...channel, agent: "hook" }]),
        ),
        agents: { hook: { type: "http", url: agent.url } },
        ...options.config,
      },
    }),
  );
  return { running, agent };
}

/** A text that the simulated carrier knows nothing of, so that it answers no keyword. */
async function webhook(
  running: Service,
  body: string,
  changes: Readonly<Record<string, string>> = {},
): Promise<string> {
  const parameters = inboundParameters(running, { Body: body, ...changes });
  expect((await running.webhook(parameters)).status).toBe(200);
  return parameters.MessageSid ?? "";
}

async function outbound(running: Service) {
  await running.app.idle();
  return (await running.api("GET", "/messages?direction=outbound&limit=200")).body.items;
}

async function send(running: Service, to = PHONE) {
  const { body } = await running.api("POST", "/messages", {
    channel: "sms",
    to,
    body: "a word from the operator",
  });
  return body;
}

describe("STOP", () => {
  test("and its synonyms, in any case, opt out: no turn, no reply from us, no sends", async () => {
    const { running, agent } = await start();
    const words = [
      "STOP",
      "stop",
      " Stop\n",
      "STOPALL",
      "unsubscribe",
      "CANCEL",
      "End",
      "QUIT",
      "revoke",
      "OptOut",
    ];
    for (const [i, word] of words.entries()) {
      const from = `+1555765100${i}`;
      const sid = await webhook(running, word, { From: from });
      expect(await running.message(sid)).toMatchObject({ route: "command", state: "handled", text: word });
      const sent = await send(running, from);
      expect([word, sent.state]).toEqual([word, "suppressed"]);
    }
    expect(agent.requests).toHaveLength(0);
    for (const message of await outbound(running)) {
      expect(message.state).toBe("suppressed");
      expect(message.error.fix).toContain("START");
    }
  });

  test("counts only alone in the body", async () => {
    const { running, agent } = await start();
    for (const [i, text] of [
      "please stop",
      "STOP it",
      "cancel my order",
      "the end",
      "STOP.",
      "unstoppable",
    ].entries()) {
      await webhook(running, text);
      expect((await agent.request(i + 1)).body.text).toBe(text);
      await running.logged("turn.done", {}, i + 1);
    }
  });

  test("counts by OptOutType too, whatever the words are", async () => {
    const { running, agent } = await start();
    await webhook(running, "Bitte keine Nachrichten mehr", { OptOutType: "STOP" });
    expect((await send(running)).state).toBe("suppressed");
    await webhook(running, "Doch wieder", { OptOutType: "START" });
    expect((await send(running)).state).toBe("pending");
    expect(agent.requests).toHaveLength(0);
  });

  test("cancels the turn that runs and suppresses what waits to be sent", async () => {
    const { running, agent } = await start();
    agent.hold();
    const first = await webhook(running, "a long job");
    const request = await agent.request(1);
    await running.simulator.addFault({ on: "send", kind: "throttle" });
    const waiting = await send(running);
    await running.logged("send.retry");
    await webhook(running, "STOP");
    await running.simulator.clearFaults();
    request.answer("too late");
    await running.logged("inbound.admitted", { action: "opt_out" });
    await running.until(
      async () => (await running.api("GET", `/messages/${waiting.id}`)).body.state === "suppressed",
      "the waiting text to be suppressed",
    );
    expect(await running.message(first)).toMatchObject({ state: "dropped" });
    expect(await running.inbox(PHONE)).toEqual([]);
  });

  test("lasts: later texts are kept, reach no agent, and say why", async () => {
    const { running, agent } = await start();
    await webhook(running, "STOP");
    const sid = await webhook(running, "are you there?");
    const message = await running.message(sid);
    expect(message).toMatchObject({ state: "dropped", route: "message" });
    expect(message.error.meaning).toContain("STOP");
    for (const text of ["/status", "MORE", "/new", "HELP"]) await webhook(running, text);
    expect(await outbound(running)).toEqual([]);
    const again = await running.restart();
    await again.admitted(PHONE, "and now?");
    expect((await send(again)).state).toBe("suppressed");
    expect(agent.requests).toHaveLength(0);
  });

  test("holds for its channel only", async () => {
    const second = { ...SMS, from_number: "+15550100002", allow_all_senders: true };
    const { running } = await start({ sms: { ...SMS, allow_all_senders: true }, second });
    await webhook(running, "STOP");
    await running.text(PHONE, "hello", second.from_number);
    expect((await running.received(PHONE, 1))[0]?.text).toBe("re: hello");
  });

  test("of a paired phone silences the agent, and keeps the pairing", async () => {
    const { running, agent } = await start({ sms: SMS });
    await running.pair();
    await running.admitted(PHONE, "STOP");
    const sid = await running.admitted(PHONE, "hello?");
    expect(await running.message(sid)).toMatchObject({ route: "message", state: "dropped" });
    for (const command of ["/status", "/help", "/new"]) await running.admitted(PHONE, command);
    const sent = await outbound(running);
    expect(sent.map(({ text }: { text: string }) => text.slice(0, 20))).toEqual(["This phone is paired"]);
    expect((await running.api("GET", "/channels/sms")).body.paired_addresses).toBe(1);
    await running.admitted(PHONE, "START");
    await running.admitted(PHONE, "hello again");
    expect((await agent.request(1)).body.text).toBe("hello again");
  });

  test("of a stranger is obeyed, and leaves no more than any dropped text", async () => {
    const { running } = await start({ sms: SMS });
    await running.pair();
    const sid = await running.admitted(STRANGER, "STOP");
    const message = await running.message(sid);
    expect(message).toMatchObject({ state: "dropped", from: "+1555***3333" });
    expect(message.text).toBeUndefined();
    const sent = await running.api("POST", "/messages", { channel: "sms", to: STRANGER, body: "hello" });
    expect(sent.body.state).toBe("suppressed");
  });

  test("opts out on a signal channel as well", async () => {
    const { running } = await start({ sms: { ...SMS, mode: "signal" } });
    await webhook(running, "STOP");
    expect((await send(running)).state).toBe("suppressed");
    await webhook(running, "UNSTOP");
    expect((await send(running)).state).toBe("pending");
  });
});

describe("START, UNSTOP and YES", () => {
  test("lift an opt-out without a reply from us, and the agent does not see them", async () => {
    const { running, agent } = await start();
    for (const word of ["START", "yes", " Unstop "]) {
      await webhook(running, "STOP");
      expect((await send(running)).state).toBe("suppressed");
      const sid = await webhook(running, word);
      expect(await running.message(sid)).toMatchObject({ route: "command", state: "handled" });
      expect((await send(running)).state).toBe("pending");
      await running.app.idle();
    }
    expect(agent.requests).toHaveLength(0);
  });

  test("are answers to the agent while nobody has opted out", async () => {
    const { running, agent } = await start();
    for (const [i, word] of ["YES", "Start", "unstop"].entries()) {
      await webhook(running, word);
      expect((await agent.request(i + 1)).body.text).toBe(word);
      await running.logged("turn.done", {}, i + 1);
    }
  });
});

describe("HELP and INFO", () => {
  test("are left to the carrier: one answer, and it is not ours", async () => {
    const { running, agent } = await start();
    for (const word of ["HELP", "info"]) {
      const sid = await running.admitted(PHONE, word);
      expect(await running.message(sid)).toMatchObject({ route: "command", state: "handled" });
    }
    await running.received(PHONE, 2);
    expect(await outbound(running)).toEqual([]);
    expect(await running.inbox(PHONE)).toHaveLength(2);
    expect(agent.requests).toHaveLength(0);
  });
});

describe("a recipient the carrier knows as opted out (21610)", () => {
  test("is marked, and nothing more is tried until START", async () => {
    const { running } = await start();
    await running.simulator.addFault({ on: "send", kind: "error", code: 21610, times: 1 });
    const first = await send(running);
    await running.logged("send.refused", { code: 21610 });
    await running.app.idle();
    const { body } = await running.api("GET", `/messages/${first.id}`);
    expect(body).toMatchObject({ state: "suppressed", error: { code: 21610 } });
    expect(body.error.fix).toContain("START");
    expect((await send(running)).state).toBe("suppressed");
    await running.admitted(PHONE, "START");
    expect((await send(running)).state).toBe("pending");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("a word from the operator");
  });

  test("is marked by a callback with that code as well", async () => {
    const { running } = await start();
    await running.simulator.addFault({ on: "send", kind: "failed", code: 21610, times: 1 });
    const first = await send(running);
    await running.logged("delivery.status", { code: 21610 });
    expect((await running.api("GET", `/messages/${first.id}`)).body).toMatchObject({ state: "failed" });
    expect((await send(running)).state).toBe("suppressed");
  });
});
