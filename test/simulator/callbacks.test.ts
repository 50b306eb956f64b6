import { afterEach, describe, expect, test } from "bun:test";
import twilio from "twilio";
import { manualClock } from "../support/clock.ts";
import {
  ACCOUNT,
  type HookCall,
  NUMBER,
  PHONE,
  SERVICE,
  startReceiver,
  startSimulator,
  TOKEN,
} from "./support.ts";

let simulator = startSimulator();
let receiver = startReceiver(() => new Response(null, { status: 204 }));
function start(...options: Parameters<typeof startSimulator>) {
  simulator = startSimulator(...options);
  receiver = startReceiver(() => new Response(null, { status: 204 }));
  return simulator;
}
afterEach(async () => {
  await simulator.stop();
  await receiver.stop();
});

const states = (calls: readonly HookCall[]) => calls.map((call) => call.form.get("MessageStatus"));
const send = (form: Record<string, string> = {}) =>
  simulator.send({ StatusCallback: `${receiver.url}/status?m=msg_1.1`, ...form });

describe("status callbacks", () => {
  test("report every state in order, signed, with Twilio's fields", async () => {
    start();
    const { sid } = (await send()).json;
    await receiver.until(4);
    await simulator.settled();
    expect(states(receiver.calls)).toEqual(["queued", "sending", "sent", "delivered"]);
    for (const call of receiver.calls) {
      expect(call.url).toBe(`${receiver.url}/status?m=msg_1.1`);
      const signature = call.headers.get("X-Twilio-Signature") ?? "";
      expect(twilio.validateRequest(TOKEN, signature, call.url, call.params)).toBe(true);
    }
    const { RawDlrDoneDate, ...rest } = receiver.calls[3]?.params ?? {};
    expect(RawDlrDoneDate).toMatch(/^\d{10}$/);
    expect(rest).toEqual({
      SmsSid: sid,
      SmsStatus: "delivered",
      MessageStatus: "delivered",
      To: PHONE,
      MessageSid: sid,
      AccountSid: ACCOUNT,
      From: NUMBER,
      ApiVersion: "2010-04-01",
    });
    expect((await simulator.api(`/Messages/${sid}.json`)).json).toMatchObject({
      status: "delivered",
      date_sent: expect.any(String),
    });
  });

  test("a service adds accepted in front, without a sender yet", async () => {
    start({ services: [{ sid: SERVICE, numbers: [NUMBER] }] });
    await send({ From: "", MessagingServiceSid: SERVICE });
    await receiver.until(5);
    expect(states(receiver.calls)).toEqual(["accepted", "queued", "sending", "sent", "delivered"]);
    expect(receiver.calls[0]?.form.get("From")).toBeNull();
    expect(receiver.calls[1]?.params).toMatchObject({ From: NUMBER, MessagingServiceSid: SERVICE });
  });

  test("go to the service's own URL when the message names none", async () => {
    start();
    await simulator.stop();
    const { url } = receiver;
    simulator = startSimulator({
      services: [{ sid: SERVICE, numbers: [NUMBER], statusCallback: `${url}/service` }],
    });
    await simulator.send({ From: SERVICE });
    expect((await receiver.until(1))[0]?.url).toBe(`${url}/service`);
  });

  test("the states follow the clock", async () => {
    const clock = manualClock();
    start({ clock, delays: { sending: 1_000, sent: 1_000, delivered: 60_000 } });
    const { sid } = (await send()).json;
    const status = async () => (await simulator.api(`/Messages/${sid}.json`)).json.status;
    expect(await status()).toBe("queued");
    await clock.advance(2_500);
    expect(await status()).toBe("sent");
    expect(await simulator.control.messages(PHONE)).toMatchObject([{ state: "sent" }]);
    expect((await simulator.control.messages(PHONE))[0]).not.toHaveProperty("arrivedAt");
    await clock.advance(60_000);
    expect(await status()).toBe("delivered");
    expect((await simulator.control.messages(PHONE))[0]?.arrivedAt).toBeNumber();
  });

  test("only the wanted states are reported", async () => {
    start({ callbackStates: ["sent", "delivered"] });
    await send();
    await receiver.until(2);
    await simulator.settled();
    expect(states(receiver.calls)).toEqual(["sent", "delivered"]);
  });

  test("a callback nobody takes is given up and does not hold the message", async () => {
    start();
    await receiver.stop();
    const { sid } = (await send()).json;
    await simulator.settled();
    expect((await simulator.api(`/Messages/${sid}.json`)).json.status).toBe("delivered");
    expect(simulator.log.lines).toContainEqual(
      expect.objectContaining({ event: "simulator.callback_failed", code: 11_205 }),
    );
  });
});

describe("callback faults", () => {
  test("lost ones are not sent, the others are", async () => {
    start();
    await simulator.control.addFault({ on: "callback", kind: "lost", states: ["sent", "delivered"] });
    await send();
    await receiver.until(2);
    await simulator.settled();
    expect(states(receiver.calls)).toEqual(["queued", "sending"]);
  });

  test("duplicates come as often as ordered", async () => {
    start();
    await simulator.control.addFault({ on: "callback", kind: "duplicate", count: 3, states: ["delivered"] });
    await send();
    await receiver.until(6);
    await simulator.settled();
    expect(states(receiver.calls)).toEqual([
      "queued",
      "sending",
      "sent",
      "delivered",
      "delivered",
      "delivered",
    ]);
    expect(new Set(receiver.calls.slice(3).map((call) => call.form.get("MessageSid"))).size).toBe(1);
  });

  test("reordered ones come in reverse", async () => {
    start();
    await simulator.control.addFault({ on: "callback", kind: "reorder", times: 1 });
    await send();
    await receiver.until(4);
    expect(states(receiver.calls)).toEqual(["delivered", "sent", "sending", "queued"]);
  });

  test("a late one is overtaken by the next", async () => {
    start();
    await simulator.control.addFault({ on: "callback", kind: "late", delay: "300ms", states: ["sent"] });
    await send();
    await receiver.until(4);
    expect(states(receiver.calls)).toEqual(["queued", "sending", "delivered", "sent"]);
  });

  test("a callback may come before the answer of the request that made the message", async () => {
    const order: string[] = [];
    start();
    await receiver.stop();
    receiver = startReceiver((call) => {
      order.push(`callback ${call.form.get("MessageStatus")}`);
      return new Response(null, { status: 204 });
    });
    await simulator.control.addFault({ on: "callback", kind: "before_answer", state: "delivered", times: 1 });
    await send();
    order.push("answer");
    expect(order).toEqual([
      "callback queued",
      "callback sending",
      "callback sent",
      "callback delivered",
      "answer",
    ]);
    // A state that the message never reaches must not hold the answer for ever.
    await simulator.control.addFault({ on: "callback", kind: "before_answer", state: "read", times: 1 });
    expect((await send()).status).toBe(201);
  });

  test("a fault hits as many messages as it says", async () => {
    start();
    await simulator.control.addFault({ on: "callback", kind: "lost", times: 1, match: { to: "+1555999*" } });
    await send();
    await simulator.settled();
    expect(receiver.calls).toEqual([]);
    await send();
    await receiver.until(4);
    expect(await simulator.control.faults()).toEqual([]);
  });
});

describe("how a message ends", () => {
  test.each([
    ["undelivered", 30_005, ["queued", "sending", "sent", "undelivered"]],
    ["failed", 30_007, ["queued", "failed"]],
  ] as const)("%s carries its error code", async (kind, code, expected) => {
    start();
    await simulator.control.addFault({ on: "send", kind, code, times: 1 });
    const { sid } = (await send()).json;
    await receiver.until(expected.length);
    await simulator.settled();
    expect(states(receiver.calls)).toEqual([...expected]);
    expect(receiver.calls.at(-1)?.form.get("ErrorCode")).toBe(String(code));
    expect((await simulator.api(`/Messages/${sid}.json`)).json).toMatchObject({
      status: kind,
      error_code: code,
    });
    const [message] = await simulator.control.messages(PHONE);
    expect(message).toMatchObject({ state: kind, errorCode: code });
    expect(message).not.toHaveProperty("arrivedAt");
  });

  test("a message may be read", async () => {
    start();
    await simulator.control.addFault({ on: "send", kind: "read", times: 1 });
    await send();
    await receiver.until(5);
    expect(states(receiver.calls).slice(-2)).toEqual(["delivered", "read"]);
  });
});
