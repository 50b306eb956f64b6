import { afterEach, describe, expect, test } from "bun:test";
import { manualClock } from "../support/clock.ts";
import { isSigned, NUMBER, PHONE, receive, SERVICE, startSimulator, xml } from "./support.ts";

let simulator = startSimulator();

afterEach(() => simulator.stop());

const text = (body: string, more: Record<string, unknown> = {}) =>
  simulator.control.inbound({ from: PHONE, to: NUMBER, body, ...more });
const phoneTexts = async (address = PHONE) =>
  (await simulator.control.messages(address))
    .filter((message) => message.direction === "outbound")
    .map((message) => message.text);

describe("keywords", () => {
  const start = (number: Record<string, unknown> = {}) => {
    const hook = receive();
    simulator = startSimulator({ numbers: [{ number: NUMBER, smsUrl: `${hook.url}/in`, ...number }] });
    return hook;
  };
  const code = async (form: Record<string, string> = {}) => (await simulator.send(form)).json.code;

  test.each(["STOP", "stop ", "StopAll", "UNSUBSCRIBE", "cancel", "END", "QUIT", "REVOKE", "OPTOUT"])(
    "%s is answered by the carrier, blocks sends, and still reaches the webhook",
    async (word) => {
      const hook = start();
      await text(word);
      const [call] = await hook.until(1);
      expect(call?.form.get("Body")).toBe(word);
      expect(call?.form.has("OptOutType")).toBe(false);
      await simulator.settled();
      expect(await phoneTexts()).toHaveLength(1);
      expect(await code()).toBe(21_610);
      expect((await simulator.control.phones())[0]?.optedOutOf).toEqual([NUMBER]);
      // The carrier's own replies are no messages of the account.
      expect((await simulator.api("/Messages.json")).json.messages).toHaveLength(1);
      // Others still get texts.
      expect((await simulator.send({ To: "+15559990002" })).status).toBe(201);
      await text(word);
      await simulator.settled();
      expect(await phoneTexts()).toHaveLength(1);
    },
  );

  test.each(["START", "yes", "UNSTOP"])("%s lifts it", async (word) => {
    start();
    await text(word);
    await simulator.settled();
    expect(await phoneTexts()).toEqual([]); // nothing to lift
    await text("STOP");
    await text(word);
    await simulator.settled();
    expect(await phoneTexts()).toHaveLength(2);
    expect((await simulator.send()).status).toBe(201);
  });

  test("YES does not lift it on a toll-free number", async () => {
    const tollFree = "+18885550100";
    simulator = startSimulator({ numbers: [{ number: tollFree }] });
    for (const [word, expected] of [
      ["STOP", 21_610],
      ["YES", 21_610],
      ["UNSTOP", undefined],
    ] as const) {
      await simulator.control.inbound({ from: PHONE, to: tollFree, body: word });
      expect(await code({ From: tollFree })).toBe(expected);
    }
  });

  test("HELP is answered and changes nothing", async () => {
    start();
    await text("HELP");
    await simulator.settled();
    expect(await phoneTexts()).toHaveLength(1);
    expect((await simulator.send()).status).toBe(201);
  });

  test("a sentence with STOP in it is a sentence", async () => {
    start();
    await text("please stop");
    expect((await simulator.send()).status).toBe(201);
  });

  test("Advanced Opt-Out tells the webhook the type", async () => {
    const hook = start({ advancedOptOut: true });
    await text("Unsubscribe");
    await text("hello");
    const calls = await hook.until(2);
    expect(calls.map((call) => call.form.get("OptOutType"))).toEqual(["STOP", null]);
  });

  test("numbers of one service share their opt-outs", async () => {
    simulator = startSimulator({
      numbers: [{ number: NUMBER }, { number: "+15551230001" }],
      services: [{ sid: SERVICE, numbers: [NUMBER, "+15551230001"], useInboundWebhookOnNumber: true }],
    });
    await text("STOP");
    expect(await code({ From: "+15551230001" })).toBe(21_610);
    expect(await code({ From: SERVICE })).toBe(21_610);
  });

  test("a TwiML reply to somebody opted out is not sent", async () => {
    const hook = receive(() => xml("<Response><Message>bye</Message></Response>"));
    simulator = startSimulator({ numbers: [{ number: NUMBER, smsUrl: `${hook.url}/in` }] });
    await text("STOP");
    await hook.until(1);
    await simulator.settled();
    expect(await phoneTexts()).not.toContain("bye");
  });
});

describe("WhatsApp", () => {
  const from = `whatsapp:${PHONE}`;
  const to = `whatsapp:${NUMBER}`;

  test("has its own parameters and no places", async () => {
    const hook = receive();
    simulator = startSimulator({ numbers: [{ number: to, smsUrl: `${hook.url}/in` }] });
    await simulator.control.inbound({
      from,
      to,
      body: "STOP",
      profileName: "Ann",
      parameters: { ButtonPayload: "yes-1" },
    });
    const [call] = await hook.until(1);
    expect(call?.params).toMatchObject({
      From: from,
      To: to,
      ProfileName: "Ann",
      WaId: "15559990001",
      MessageType: "text",
      ButtonPayload: "yes-1",
    });
    expect(call?.form.has("FromCity")).toBe(false);
    expect(call && isSigned(call)).toBe(true);
    // Keywords are a matter of SMS.
    await simulator.settled();
    expect(await phoneTexts(from)).toEqual([]);
  });

  test("free text is delivered within 24 h of the last inbound and fails with 63016 afterwards", async () => {
    const clock = manualClock();
    const hook = receive(() => new Response(null, { status: 204 }));
    simulator = startSimulator({ clock, numbers: [{ number: to }] });
    const send = async (form: Record<string, string> = {}) => {
      const { status, json } = await simulator.send({
        From: to,
        To: from,
        StatusCallback: hook.url,
        ...form,
      });
      expect(status).toBe(201);
      await clock.advance(1_000);
      return (await simulator.api(`/Messages/${json.sid}.json`)).json;
    };
    expect(await send()).toMatchObject({ status: "failed", error_code: 63_016 });
    expect((await hook.until(2))[1]?.params).toMatchObject({
      MessageStatus: "failed",
      ErrorCode: "63016",
      ChannelPrefix: "whatsapp",
    });
    await simulator.control.inbound({ from, to, body: "hi" });
    expect(await send()).toMatchObject({ status: "delivered" });
    await clock.advance(24 * 3_600_000);
    expect(await send()).toMatchObject({ status: "failed", error_code: 63_016 });
    expect(
      await send({ ContentSid: `HX${"a".repeat(32)}`, ContentVariables: '{"1":"x"}', Body: "" }),
    ).toMatchObject({
      status: "delivered",
    });
  });
});
