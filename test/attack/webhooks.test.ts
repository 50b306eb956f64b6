import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  inboundParameters,
  newSid,
  PHONE,
  type Service,
  SMS,
  signatureOf,
  startService,
} from "../support/service.ts";

setDefaultTimeout(30_000);

const SECOND = "+15550100002";
let service: Service | undefined;
afterEach(async () => {
  await service?.close();
  service = undefined;
});

async function start(): Promise<Service> {
  service = await startService({
    config: {
      channels: {
        sms: { ...SMS, allow_all_senders: true },
        other: { ...SMS, from_number: SECOND, allow_all_senders: true },
      },
    },
  });
  return service;
}

const texts = async (running: Service) =>
  (await running.api("GET", "/messages?direction=inbound&limit=200")).body.items.map(
    ({ text }: { text?: string }) => text,
  );

describe("a webhook that was signed once", () => {
  test("is worth one text, whatever is put into its repetition", async () => {
    const running = await start();
    const parameters = inboundParameters(running, { Body: "the first" });
    expect((await running.webhook(parameters)).status).toBe(200);
    // Recorded on its way, and sent again.
    for (let times = 0; times < 3; times++) expect((await running.webhook(parameters)).status).toBe(200);
    // By somebody who can sign, too: the sid is what counts.
    expect((await running.webhook({ ...parameters, Body: "another" })).status).toBe(200);
    await running.received(PHONE, 1);
    await running.app.idle();
    expect(await texts(running)).toEqual(["the first"]);
    expect(await running.inbox(PHONE)).toHaveLength(1);
  });

  test("is no text of another channel, under that one's path or with its number", async () => {
    const running = await start();
    const parameters = inboundParameters(running);
    const path = `${running.publicUrl}/webhooks/twilio/sms`;
    expect((await running.webhook(parameters, { channel: "other", signedUrl: path })).status).toBe(403);
    expect((await running.webhook(parameters, { channel: "other" })).status).toBe(403);
    expect((await running.webhook({ ...parameters, To: SECOND })).status).toBe(403);
    expect((await running.webhook({ ...parameters, AccountSid: `AC${"f".repeat(32)}` })).status).toBe(403);
    expect(await texts(running)).toEqual([]);
  });

  test("by a service that is not the channel's is not taken for one of its own", async () => {
    const running = await start();
    const parameters = inboundParameters(running, {
      MessagingServiceSid: `MG${"a".repeat(32)}`,
      To: "+15550199999",
    });
    expect((await running.webhook(parameters)).status).toBe(403);
    expect(await texts(running)).toEqual([]);
  });

  test("does not verify with a value moved, doubled, joined with its name, or put into the query", async () => {
    const running = await start();
    const token = running.settings.channels.sms?.account.authToken ?? "";
    const url = `${running.publicUrl}/webhooks/twilio/sms`;
    const parameters = inboundParameters(running, { Body: "pay 100" });
    const signature = signatureOf(token, url, parameters);
    const { Body, ...others } = parameters;
    for (const changed of [
      { ...others, Body: ["pay 100", "pay 900"] },
      { ...others, Bod: "ypay 100", Body: "pay 900" },
      { ...parameters, Extra: "" },
      others,
    ])
      expect((await running.webhook(changed, { signature })).status, JSON.stringify(changed)).toBe(403);
    expect(
      (await running.webhook(others, { signature, query: `Body=${encodeURIComponent(Body ?? "")}` })).status,
    ).toBe(403);
    expect((await running.webhook(parameters, { signature, query: "x=1" })).status).toBe(403);
    expect((await running.webhook(parameters, { signature: `${signature}, ${signature}` })).status).toBe(403);
    expect((await running.webhook(parameters, { signature: signature.toLowerCase() })).status).toBe(403);
    expect((await running.webhook(parameters, { token: "" })).status).toBe(403);
    expect(await texts(running)).toEqual([]);
    // The scheme does not tell where a name ends and its value begins; the sid is then still the same text's.
    expect((await running.webhook(parameters)).status).toBe(200);
    expect((await running.webhook({ ...others, Bodypay: " 100" }, { signature })).status).toBe(200);
    expect(await texts(running)).toEqual(["pay 100"]);
  });
});

describe("a sender of a strange form", () => {
  test("is never answered, never paired and stops nobody", async () => {
    const running = await start();
    for (const from of [
      "client:admin",
      "sip:a@b.c",
      "__proto__",
      "+1",
      "+155500000000000000000",
      "00015557654321",
      "whatsapp:__proto__",
      "rcs:x",
      "+15557654321,+15550003333",
      "+15557654321 ",
      "＋15557654321",
      "*",
      "' or 1=1 --",
    ]) {
      const answer = await running.webhook(inboundParameters(running, { From: from, Body: "STOP" }));
      expect(answer.status, from).toBeOneOf([200, 400]);
    }
    await running.app.idle();
    await running.admitted(PHONE, "hello");
    expect((await running.received(PHONE, 1))[0]?.text).toContain("hello");
    expect(running.logs.filter(({ level }) => level === "error")).toEqual([]);
  });
});

describe("an opt-out", () => {
  test("counts for the channel it was sent to, and not because a status or another channel says so", async () => {
    const running = await start();
    const stop = inboundParameters(running, { Body: "STOP", OptOutType: "STOP" }, "other");
    expect((await running.webhook(stop, { channel: "other" })).status).toBe(200);
    expect((await running.webhook(stop)).status).toBe(403);
    const status = { MessageSid: newSid(), MessageStatus: "undelivered", ErrorCode: "21610", To: PHONE };
    expect((await running.webhook(status, { status: true })).status).toBe(204);
    const sent = async (channel: string) => {
      const { body } = await running.api("POST", "/messages", { channel, to: PHONE, body: "hi" });
      await running.app.idle();
      return (await running.api("GET", `/messages/${body.id}`)).body.state;
    };
    expect(await sent("other")).toBe("suppressed");
    expect(await sent("sms")).not.toBe("suppressed");
  });
});

test("the simulator's routes are not there where nothing is simulated", async () => {
  service = await startService({
    awaitChannels: false,
    config: {
      server: { listen: "127.0.0.1:0", public_url: "https://sms.example.com" },
      twilio: { account_sid: `AC${"0".repeat(32)}`, auth_token: "secret", api_url: "http://127.0.0.1:9" },
      channels: { sms: { provider: "twilio", from_number: "+15550100001", agent: "parrot" } },
    },
  });
  for (const [method, path, body] of [
    ["GET", "/simulator/phones", undefined],
    ["GET", `/simulator/phones/${encodeURIComponent(PHONE)}/messages`, undefined],
    ["POST", "/simulator/inbound", { from: PHONE, channel: "sms", body: "x" }],
    ["GET", "/simulator/faults", undefined],
    ["POST", "/simulator/faults", {}],
    ["DELETE", "/simulator/faults", undefined],
  ] as const)
    expect((await service.api(method, path, body)).status, `${method} ${path}`).toBeOneOf([404, 400]);
  expect(
    (await service.api("POST", "/simulator/inbound", { from: PHONE, channel: "sms", body: "x" })).status,
  ).toBe(404);
});
