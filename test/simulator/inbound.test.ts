import { afterEach, describe, expect, test } from "bun:test";
import { manualClock } from "../support/clock.ts";
import {
  ACCOUNT,
  isSigned,
  NUMBER,
  PHONE,
  type Receiver,
  receive,
  SERVICE,
  startSimulator,
  within,
  xml,
} from "./support.ts";

let simulator = startSimulator();

afterEach(() => simulator.stop());

const text = (body: string, more: Record<string, unknown> = {}) =>
  simulator.control.inbound({ from: PHONE, to: NUMBER, body, ...more });

describe("an inbound text", () => {
  test("is posted to the number's webhook, signed, with all core parameters", async () => {
    const hook = receive();
    simulator = startSimulator({ numbers: [{ number: NUMBER, smsUrl: `${hook.url}/in?a=b&c=` }] });
    const { sid } = await text("héllo + 漢 😀 &=%");
    const [call] = await hook.until(1);
    if (!call) throw new Error("no call");
    expect(call.method).toBe("POST");
    expect(call.url).toBe(`${hook.url}/in?a=b&c=`);
    expect(isSigned(call)).toBe(true);
    expect(isSigned(call, "other")).toBe(false);
    expect(call.headers.get("I-Twilio-Idempotency-Token")).toMatch(/^[0-9a-f]{32}$/);
    const blank = ["City", "State", "Zip", "Country"].flatMap((field) => [`From${field}`, `To${field}`]);
    expect(call.params).toEqual({
      ...Object.fromEntries(blank.map((name) => [name, ""])),
      SmsMessageSid: sid,
      SmsSid: sid,
      MessageSid: sid,
      AccountSid: ACCOUNT,
      From: PHONE,
      To: NUMBER,
      Body: "héllo + 漢 😀 &=%",
      NumMedia: "0",
      NumSegments: "1",
      SmsStatus: "received",
      ApiVersion: "2010-04-01",
      ReferralNumMedia: "0",
    });
    expect((await simulator.api("/Messages.json")).json.messages).toMatchObject([
      {
        sid,
        direction: "inbound",
        status: "received",
        from: PHONE,
        to: NUMBER,
        date_sent: expect.any(String),
      },
    ]);
  });

  test("comes from short codes and names as well, and may be blank", async () => {
    const hook = receive();
    simulator = startSimulator({ numbers: [{ number: NUMBER, smsUrl: `${hook.url}/in` }] });
    await simulator.control.inbound({ from: "22000", to: NUMBER, body: "Your code is 123456" });
    await simulator.control.inbound({ from: "MYBANK", to: NUMBER, body: "" });
    const calls = await hook.until(2);
    expect(calls.map((call) => [call.form.get("From"), call.form.get("Body")]).sort()).toEqual([
      ["22000", "Your code is 123456"],
      ["MYBANK", ""],
    ]);
    expect(calls.every((call) => isSigned(call))).toBe(true);
  });

  test("is in the list also when nobody is told of it", async () => {
    simulator = startSimulator();
    await text("one");
    expect(
      (await simulator.api(`/Messages.json?To=${encodeURIComponent(NUMBER)}`)).json.messages,
    ).toMatchObject([{ body: "one", direction: "inbound" }]);
  });

  test("is swallowed by an application on the number", async () => {
    const hook = receive();
    simulator = startSimulator({
      numbers: [{ number: NUMBER, smsUrl: `${hook.url}/in`, smsApplicationSid: "AP1" }],
    });
    await text("one");
    await simulator.settled();
    expect(hook.calls).toEqual([]);
    expect((await simulator.api("/Messages.json")).json.messages).toHaveLength(1);
    expect(simulator.log.lines).toContainEqual(
      expect.objectContaining({ event: "simulator.inbound_swallowed" }),
    );
  });

  test("texts of one phone arrive in the order in which they were sent", async () => {
    const hook = receive(async (_call, index) => {
      // The first answers take longest, so that only waiting keeps the order.
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, 20 - 5 * index)));
      return xml("<Response/>");
    });
    simulator = startSimulator({ numbers: [{ number: NUMBER, smsUrl: `${hook.url}/in` }] });
    for (let i = 0; i < 8; i++) await text(String(i));
    const calls = await hook.until(8);
    expect(calls.map((call) => call.form.get("Body"))).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]);
  });

  test.each([
    [{ from: "" }, "from", "must be an address"],
    [{ to: "+15550000000" }, "to", NUMBER],
    [{ body: "a".repeat(1601) }, "body", "1601"],
    [{ from: `whatsapp:${PHONE}` }, "from", "whatsapp:"],
    [{ from: `whatsapp:${PHONE}`, to: `whatsapp:${NUMBER}` }, "to", "WhatsApp"],
    [{ from: NUMBER }, "from", "the number itself"],
    [{ mediaUrls: ["file:///etc/passwd"] }, "media_urls[0]", "data: URL"],
  ])("%j is refused with the field", async (wrong, path, message) => {
    simulator = startSimulator();
    await expect(text("x", wrong)).rejects.toMatchObject({
      code: "invalid",
      problems: [{ path, message: expect.stringContaining(message) }],
    });
  });
});

describe("a Messaging Service", () => {
  const withService = (service: Record<string, unknown>, hook: Receiver) => {
    simulator = startSimulator({
      numbers: [{ number: NUMBER, smsUrl: `${hook.url}/number` }],
      services: [{ sid: SERVICE, numbers: [NUMBER], ...service }],
    });
  };

  test("takes inbound texts to its own URL", async () => {
    const hook = receive();
    withService({ inboundRequestUrl: `${hook.url}/service` }, hook);
    await text("hi");
    const [call] = await hook.until(1);
    expect(call?.url).toBe(`${hook.url}/service`);
    expect(call?.form.get("MessagingServiceSid")).toBe(SERVICE);
  });

  test("leaves them to the number's webhook where told to", async () => {
    const hook = receive();
    withService({ inboundRequestUrl: `${hook.url}/service`, useInboundWebhookOnNumber: true }, hook);
    await text("hi");
    expect((await hook.until(1))[0]?.url).toBe(`${hook.url}/number`);
  });

  test("without a URL neither delivers nor lists them", async () => {
    const hook = receive();
    withService({}, hook);
    const { sid } = await text("hi");
    await simulator.settled();
    expect(hook.calls).toEqual([]);
    expect((await simulator.api("/Messages.json")).json.messages).toEqual([]);
    expect((await simulator.api(`/Messages/${sid}.json`)).status).toBe(404);
  });
});

describe("inbound faults", () => {
  const start = (respond?: Parameters<typeof receive>[0]) => {
    const hook = receive(respond);
    simulator = startSimulator({ numbers: [{ number: NUMBER, smsUrl: `${hook.url}/in` }] });
    return hook;
  };
  const order = (fault: Record<string, unknown>) =>
    simulator.control.addFault({ on: "inbound", times: 1, ...fault });

  test("a lost webhook leaves the text in the list", async () => {
    const hook = start();
    await order({ kind: "lost" });
    await text("one");
    await text("two");
    expect((await hook.until(1))[0]?.form.get("Body")).toBe("two");
    expect((await simulator.api("/Messages.json")).json.messages).toHaveLength(2);
  });

  test("a slow one is overtaken by the next text", async () => {
    const hook = start();
    await order({ kind: "slow", delay: "200ms" });
    await text("one");
    await text("two");
    expect((await hook.until(2)).map((call) => call.form.get("Body"))).toEqual(["two", "one"]);
  });

  test("duplicates come all at once with one MessageSid", async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const hook = start(async () => {
      await held;
      return xml("<Response/>");
    });
    await order({ kind: "duplicate", count: 20 });
    const { sid } = await text("one");
    // None of them is answered yet, so all twenty are open at the same time.
    const calls = await hook.until(20);
    release();
    expect(new Set(calls.map((call) => call.form.get("MessageSid")))).toEqual(new Set([sid]));
    await simulator.settled();
  });

  test("a forged signature does not verify", async () => {
    const hook = start();
    await order({ kind: "bad_signature" });
    await text("one");
    const [call] = await hook.until(1);
    expect(call && isSigned(call)).toBe(false);
    expect(call?.headers.get("X-Twilio-Signature")).toBeTruthy();
  });

  test("a listing that lags behind", async () => {
    const clock = manualClock();
    simulator = startSimulator({ clock });
    await order({ kind: "list_lag", delay: "30s" });
    await text("one");
    const listed = async () => (await simulator.api("/Messages.json")).json.messages.length;
    expect(await listed()).toBe(0);
    await clock.advance(30_000);
    expect(await listed()).toBe(1);
  });
});

test("subscribers hear of every text and every state", async () => {
  simulator = startSimulator();
  const heard: string[] = [];
  const delivered = new Promise<void>((resolve) => {
    simulator.control.subscribe((message) => {
      heard.push(`${message.direction} ${message.text} ${message.state}`);
      if (message.arrivedAt !== undefined) resolve();
    });
  });
  await text("hi");
  await simulator.send({ Body: "ho" });
  await within(delivered, "delivery");
  expect(heard).toEqual([
    "inbound hi received",
    "outbound ho queued",
    "outbound ho sending",
    "outbound ho sent",
    "outbound ho delivered",
  ]);
});
