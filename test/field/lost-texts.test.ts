import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  ACCOUNT,
  AUTH_TOKEN,
  PHONE as BINARY_PHONE,
  freePorts,
  NUMBER,
  startService as startBinary,
  startCarrier,
  twilioConfig,
} from "../binary/running.ts";
import { openSandbox, type Sandbox } from "../support/binary.ts";
import { manualClock } from "../support/clock.ts";
import { formOf, inboundParameters, PHONE, STRANGER, signatureOf } from "../support/service.ts";
import { OTHER, start, startWithHook } from "./support.ts";

setDefaultTimeout(60_000);

let sandbox: Sandbox | undefined;

afterEach(async () => {
  await sandbox?.close();
  sandbox = undefined;
});

describe("a text that was answered with 200", () => {
  test("is answered by the agent after a kill -9 in the very next moment", async () => {
    sandbox = await openSandbox();
    const carrier = await startCarrier(sandbox);
    const ports = freePorts();
    // The debounce holds the turn until the process is dead.
    const config = twilioConfig(carrier, ports, { channel: "allow_all_senders: true" });
    sandbox.write("sms.yaml", config.replace("debounce: 0s", "debounce: 2s"));
    const service = await startBinary(sandbox, ports);
    await service.status("connected");
    // No text of the carrier's list, so that only what was on disk can be answered.
    const parameters = {
      MessageSid: `SM${"a".repeat(32)}`,
      AccountSid: ACCOUNT,
      From: BINARY_PHONE,
      To: NUMBER,
      Body: "do not lose me",
      NumMedia: "0",
    };
    const url = `${service.publicUrl}/webhooks/twilio/sms`;
    const { status } = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        "x-twilio-signature": signatureOf(AUTH_TOKEN, url, parameters),
      },
      body: formOf(parameters),
    });
    service.process.kill("SIGKILL");
    expect(status).toBe(200);
    await service.process.ended;
    await startBinary(sandbox, ports);
    const texts = await carrier.received(BINARY_PHONE, 1);
    expect(texts.filter(({ direction }) => direction === "outbound").map(({ text }) => text)).toEqual([
      "do not lose me",
    ]);
  });

  test("waits on disk while the agent is busy, be it one of two hundred", async () => {
    const { running, agent } = await startWithHook();
    agent.hold();
    const senders = Array.from({ length: 200 }, (_, n) => `+1555040${String(n).padStart(4, "0")}`);
    const answers = await Promise.all(
      senders.map((From) => running.webhook(inboundParameters(running, { From, Body: From }))),
    );
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    await agent.request(1);
    agent.respond(({ body }) => `re: ${body.text}`);
    for (const held of agent.requests) held.answer(`re: ${held.body.text}`);
    await running.logged("turn.done", {}, 200);
    await running.app.idle();
    expect(new Set(agent.requests.map(({ body }) => body.text))).toEqual(new Set(senders));
  });

  test("is not one more text for the agent when it is delivered twenty times at once", async () => {
    const running = await start();
    const parameters = inboundParameters(running, { Body: "only once" });
    const answers = await Promise.all(Array.from({ length: 20 }, () => running.webhook(parameters)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    await running.received(PHONE, 1);
    await running.app.idle();
    expect((await running.webhook(parameters)).status).toBe(200);
    await running.app.idle();
    expect((await running.api("GET", "/messages?direction=inbound")).body.items).toHaveLength(1);
    expect((await running.api("GET", "/messages?direction=outbound")).body.items).toHaveLength(1);
    expect((await running.inbox(PHONE)).map(({ text }) => text)).toEqual(["only once"]);
  });

  test("is taken in and answered later when its sender is over the limit, never refused", async () => {
    const clock = manualClock();
    const { running, agent } = await startWithHook({
      options: { clock },
      config: { limits: { sender_per_minute: 1 } },
    });
    const words = ["one", "two", "three", "four", "five"];
    for (const Body of words) {
      const response = await running.webhook(inboundParameters(running, { Body }));
      expect([Body, response.status]).toEqual([Body, 200]);
      if (Body === "one") await agent.request(1);
    }
    expect(
      (await running.webhook(inboundParameters(running, { From: OTHER, Body: "somebody else" }))).status,
    ).toBe(200);
    expect((await agent.request(2)).body.from).toBe(OTHER);
    await clock.advance(61_000);
    await agent.request(3);
    expect(
      agent.requests
        .filter(({ body }) => body.from === PHONE)
        .map(({ body }) => body.text)
        .join("\n"),
    ).toBe(words.join("\n"));
  });

  test("is not dropped when it comes while the conversation of the first one is being opened", async () => {
    const { running, agent } = await startWithHook({ channel: { debounce: "0s" } });
    const [first, second] = [
      inboundParameters(running, { Body: "first" }),
      inboundParameters(running, { Body: "second" }),
    ];
    const answers = await Promise.all([running.webhook(first), running.webhook(second)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    await running.eventually(
      () => agent.requests.flatMap(({ body }) => body.text.split("\n")).length === 2,
      "both texts at the agent",
    );
    const seen = agent.requests.flatMap(({ body }) => body.text.split("\n"));
    expect(seen.sort()).toEqual(["first", "second"]);
    expect(new Set(agent.requests.map(({ body }) => body.conversation_id)).size).toBe(1);
  });
});

describe("a text the agent cannot bear", () => {
  test("is set aside, and its sender's next text is answered without a wait", async () => {
    const { running, agent } = await startWithHook();
    agent.respond(({ body }) => (body.text === "poison" ? { status: 400 } : `re: ${body.text}`));
    const sid = await running.admitted(STRANGER, "poison");
    await running.logged("turn.failed");
    await running.text(STRANGER, "and this?");
    const texts = await running.received(STRANGER, 2);
    expect(texts.at(-1)?.text).toBe("re: and this?");
    const poison = await running.message(sid);
    expect(poison.state).toBe("failed");
    expect(poison.error.meaning).toBeString();
    expect(poison.error.fix).toBeString();
    expect(agent.requests.filter(({ body }) => body.text === "poison")).toHaveLength(1);
  });
});
