import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { manualClock } from "../support/clock.ts";
import { type ApiMessage, PHONE, type Service } from "../support/service.ts";
import { start } from "./support.ts";

setDefaultTimeout(20_000);

async function send(running: Service, body: string): Promise<string> {
  const answer = await running.api("POST", "/messages", { channel: "sms", to: PHONE, body });
  expect(answer.status).toBe(202);
  return answer.body.id;
}

async function reaches(running: Service, id: string, state: string): Promise<ApiMessage> {
  const get = async () => (await running.api("GET", `/messages/${id}`)).body;
  await running.eventually(async () => (await get()).state === state, `${id} to be ${state}`);
  return get();
}

function states(message: ApiMessage): string[] {
  return message.events.map((event: { state: string }) => event.state);
}

describe("a callback", () => {
  test("that says failed after delivered is kept, and does not overwrite it", async () => {
    const running = await start();
    const id = await send(running, "hello");
    const { provider_sid: sid } = await reaches(running, id, "delivered");
    const account = running.settings.channels.sms?.account.accountSid ?? "";
    const late = { MessageSid: sid, MessageStatus: "failed", ErrorCode: "30008", AccountSid: account };
    expect((await running.webhook(late, { status: true })).status).toBe(204);
    const message = await reaches(running, id, "delivered");
    expect(message.error).toBeUndefined();
    expect(states(message).at(-1)).toBe("failed");
  });

  test("that comes before the API has answered the send is not lost", async () => {
    const running = await start();
    await running.simulator.addFault({ on: "callback", kind: "before_answer", state: "delivered" });
    const id = await send(running, "hello");
    await running.logged("send.accepted", { message: id });
    const message = await reaches(running, id, "delivered");
    expect(message.provider_sid).toBeString();
    expect([...new Set(states(message))]).toEqual(["pending", "sending", "queued", "sent", "delivered"]);
  });
});

describe("a callback that names no attempt of ours", () => {
  test("and comes before the API has answered the send is not lost either", async () => {
    const running = await start();
    await running.simulator.addFault({ on: "callback", kind: "lost" });
    await running.simulator.addFault({ on: "send", kind: "slow", delay: "500ms", times: 1 });
    const id = await send(running, "hello");
    await running.until(
      async () => (await running.simulator.messages(PHONE)).length > 0,
      "the carrier to have it",
    );
    const sid = (await running.simulator.messages(PHONE))[0]?.sid ?? "";
    const account = running.settings.channels.sms?.account.accountSid ?? "";
    const early = { MessageSid: sid, MessageStatus: "undelivered", ErrorCode: "30005", AccountSid: account };
    expect((await running.webhook(early, { status: true })).status).toBe(204);
    expect(running.logs.some(({ event }) => event === "send.accepted")).toBe(false);
    await running.logged("send.accepted", { message: id });
    const message = await reaches(running, id, "undelivered");
    expect(message.error.code).toBe(30_005);
  });
});

describe("a send whose answer never comes", () => {
  for (const [kind, fate] of [
    ["timeout_after", "taken by the carrier: it is found in its list"],
    ["timeout_before", "never taken: it is sent again"],
    ["cut_after", "taken by the carrier: it is found in its list"],
    ["cut_before", "never taken: it is sent again"],
  ] as const) {
    test(`reaches its person once, where it was ${fate} (${kind})`, async () => {
      const clock = manualClock();
      const running = await start({ clock });
      await running.simulator.addFault({ on: "callback", kind: "lost" });
      await running.simulator.addFault({ on: "send", kind, times: 1 });
      const id = await send(running, "once");
      await running.eventually(async () => (await running.inbox(PHONE)).length > 0, "the text");
      await running.eventually(
        async () => (await running.api("GET", `/messages/${id}`)).body.provider_sid !== undefined,
        "its sid",
      );
      await clock.advance(10 * 60_000);
      await running.app.idle();
      expect((await running.inbox(PHONE)).map(({ text }) => text)).toEqual(["once"]);
      expect((await running.api("GET", `/messages/${id}`)).body.provider_sid).toBe(
        (await running.inbox(PHONE))[0]?.sid,
      );
    });
  }
});
