import { expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { PHONE, type Service, SMS, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

const SERVICE = "MG00000000000000000000000000001234";
const POOL = {
  provider: "simulator",
  messaging_service_sid: SERVICE,
  agent: "parrot",
  debounce: "0s",
} as const;

async function start(pool: Readonly<Record<string, unknown>> = {}): Promise<Service> {
  return closing(
    await startService({
      config: { channels: { sms: SMS, pool: { ...POOL, ...pool } } },
    }),
  );
}

test("a simulated Messaging Service is texted by its channel's name, answers, and is read as any phone", async () => {
  const running = await start();
  const { body: channel } = await running.api("GET", "/channels/pool");
  expect(channel.number).toMatch(/^\+1555\d{7}$/);
  const sent = await running.api("POST", "/simulator/inbound", {
    from: PHONE,
    channel: "pool",
    body: channel.pairing.code,
  });
  expect(sent.status).toBe(201);
  await running.received(PHONE, 1);
  await running.api("POST", "/simulator/inbound", { from: PHONE, channel: "pool", body: "hello" });
  await running.received(PHONE, 2);
  const { body } = await running.api("GET", `/simulator/phones/${encodeURIComponent(PHONE)}/messages`);
  expect(
    body.items.map(({ from, to, text }: { from: string; to: string; text: string }) => [from, to, text]),
  ).toEqual([
    [PHONE, channel.number, channel.pairing.code],
    [channel.number, PHONE, expect.stringContaining("paired")],
    [PHONE, channel.number, "hello"],
    [channel.number, PHONE, "hello"],
  ]);
  const { body: texts } = await running.api("GET", "/messages?direction=inbound");
  expect(texts.items).toMatchObject([
    { channel: "pool", from: PHONE, to: channel.number, text: "hello" },
    { channel: "pool", to: channel.number, route: "pairing" },
  ]);
});

test("while the numbers of the service are not known, a text to it is refused with what to do", async () => {
  const running = await start({ enabled: false });
  const { status, body } = await running.api("POST", "/simulator/inbound", {
    from: PHONE,
    channel: "pool",
    body: "hello",
  });
  expect(status).toBe(409);
  expect(body).toMatchObject({
    detail: "The numbers of the Messaging Service of pool are not known yet: it is disabled.",
    fix: "Set channels.pool.enabled to true.",
  });
});

test("a text to a channel that is none, or not simulated, names the field and what to write", async () => {
  const running = await start({
    provider: "twilio",
    account_sid: "AC0123456789abcdef0123456789abcdef",
    auth_token: "the-twilio-auth-token",
    api_url: "http://127.0.0.1:1",
    messaging_url: "http://127.0.0.1:1",
    inbound: "poll",
  });
  const text = (channel: string) =>
    running.api("POST", "/simulator/inbound", { from: PHONE, channel, body: "x" });
  expect(await text("smss")).toMatchObject({
    status: 404,
    body: {
      detail: "There is no channel smss.",
      errors: [{ path: "channel", message: "Write sms." }],
    },
  });
  expect(await text("pool")).toMatchObject({
    status: 404,
    body: {
      detail: "pool is no simulated channel.",
      errors: [{ path: "channel", message: "Write sms." }],
    },
  });
});
