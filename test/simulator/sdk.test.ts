import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import twilio from "twilio";
import type RequestClient from "twilio/lib/base/RequestClient.js";
import { ACCOUNT, NUMBER, PHONE, SERVICE, startReceiver, startSimulator, TOKEN } from "./support.ts";

/** Twilio's own Node SDK against the simulator: only the origin of its requests is replaced. */
class Rewriting extends twilio.RequestClient {
  constructor(private readonly origin: string) {
    super();
  }
  override request<TData>(options: RequestClient.RequestOptions<TData>) {
    const uri = options.uri.replace(/^https:\/\/(api|messaging)\.twilio\.com/, this.origin);
    return super.request({ ...options, uri });
  }
}

const hook = startReceiver();
const simulator = startSimulator({
  services: [{ sid: SERVICE, numbers: [NUMBER], useInboundWebhookOnNumber: true }],
});
let client: ReturnType<typeof twilio>;
beforeAll(() => {
  client = twilio(ACCOUNT, TOKEN, { httpClient: new Rewriting(simulator.origin) });
});
afterAll(async () => {
  await simulator.stop();
  await hook.stop();
});

describe("Twilio's Node SDK", () => {
  test("creates, fetches, redacts and removes a message", async () => {
    const made = await client.messages.create({ to: PHONE, from: NUMBER, body: "hello 😀" });
    expect(made).toMatchObject({
      status: "queued",
      numSegments: "1",
      numMedia: "0",
      direction: "outbound-api",
    });
    expect(made.dateCreated).toBeInstanceOf(Date);
    await simulator.settled();
    const fetched = await client.messages(made.sid).fetch();
    expect(fetched).toMatchObject({ status: "delivered", body: "hello 😀" });
    expect(fetched.dateSent).toBeInstanceOf(Date);
    expect((await fetched.update({ body: "" })).body).toBe("");
    expect(await fetched.remove()).toBe(true);
    await expect(client.messages(made.sid).fetch()).rejects.toMatchObject({ status: 404, code: 20_404 });
  });

  test("lists with filters, over several pages, both ways", async () => {
    const to = "+15559990077";
    for (let i = 0; i < 7; i++) await client.messages.create({ to, from: NUMBER, body: String(i) });
    await simulator.settled();
    const bodies = (messages: readonly { body: string }[]) => messages.map((message) => message.body);
    expect(bodies(await client.messages.list({ to, pageSize: 2 }))).toEqual([
      "6",
      "5",
      "4",
      "3",
      "2",
      "1",
      "0",
    ]);
    expect(bodies(await client.messages.list({ to, limit: 3 }))).toEqual(["6", "5", "4"]);
    const each: string[] = [];
    await new Promise<void>((resolve, reject) => {
      client.messages.each(
        { to, from: NUMBER, pageSize: 3, done: (error?: Error) => (error ? reject(error) : resolve()) },
        (message) => each.push(message.body),
      );
    });
    expect(each).toEqual(["6", "5", "4", "3", "2", "1", "0"]);
    const page = await client.messages.page({ to, pageSize: 4 });
    const next = await page.nextPage();
    expect(bodies(next?.instances ?? [])).toEqual(["2", "1", "0"]);
    expect(bodies((await next?.previousPage())?.instances ?? [])).toEqual(["6", "5", "4", "3"]);

    const minute = 60_000;
    const ago = new Date(Date.now() - minute);
    const ahead = new Date(Date.now() + minute);
    expect(await client.messages.list({ to, dateSentAfter: ago, dateSentBefore: ahead })).toHaveLength(7);
    expect(await client.messages.list({ to, dateSentAfter: ahead })).toHaveLength(0);
    expect(await client.messages.list({ to, dateSentBefore: ago })).toHaveLength(0);
    expect(await client.messages.list({ to, dateSent: ago })).toHaveLength(0);
  });

  test("gets its own kind of errors", async () => {
    await expect(client.messages.create({ to: "nobody", from: NUMBER, body: "x" })).rejects.toMatchObject({
      status: 400,
      code: 21_211,
      moreInfo: "https://www.twilio.com/docs/errors/21211",
    });
    const stranger = twilio(ACCOUNT, "wrong", { httpClient: new Rewriting(simulator.origin) });
    await expect(stranger.messages.list()).rejects.toMatchObject({ status: 401, code: 20_003 });
  });

  test("sends media, templates and by a service", async () => {
    const mms = await client.messages.create({
      to: PHONE,
      from: NUMBER,
      mediaUrl: ["http://x/a.png", "http://x/b.gif"],
    });
    expect(mms.sid).toMatch(/^MM/);
    expect(mms.numMedia).toBe("2");
    const media = await client.messages(mms.sid).media.list();
    expect(media.map((item) => item.contentType)).toEqual(["image/png", "image/gif"]);
    expect(
      await client
        .messages(mms.sid)
        .media(media[0]?.sid ?? "")
        .fetch(),
    ).toMatchObject({ parentSid: mms.sid });
    const byService = await client.messages.create({
      to: PHONE,
      messagingServiceSid: SERVICE,
      contentSid: `HX${"a".repeat(32)}`,
      contentVariables: '{"1":"x"}',
    });
    expect(byService).toMatchObject({ status: "accepted", from: null, messagingServiceSid: SERVICE });
  });

  test("finds a number, sets its webhook, and accepts the signature of what comes in", async () => {
    const [number] = await client.incomingPhoneNumbers.list({ phoneNumber: NUMBER, limit: 20 });
    expect(number).toMatchObject({ phoneNumber: NUMBER, capabilities: { sms: true } });
    const smsUrl = `${hook.url}/sms?channel=a%20b#rc=2&rp=all`;
    const updated = await client
      .incomingPhoneNumbers(number?.sid ?? "")
      .update({ smsUrl, smsMethod: "POST", smsFallbackUrl: `${hook.url}/fallback`, smsApplicationSid: "" });
    expect(updated).toMatchObject({ smsUrl, smsMethod: "POST", smsApplicationSid: "" });
    await simulator.control.inbound({ from: PHONE, to: NUMBER, body: "Grüße + 100 % 😀" });
    const [call] = await hook.until(1);
    const signature = call?.headers.get("X-Twilio-Signature") ?? "";
    const url = `${hook.url}/sms?channel=a%20b`;
    expect(twilio.validateRequest(TOKEN, signature, url, call?.params ?? {})).toBe(true);
    expect(twilio.validateRequest("wrong", signature, url, call?.params ?? {})).toBe(false);
    expect(await client.messages.list({ to: NUMBER })).toMatchObject([
      { direction: "inbound", body: "Grüße + 100 % 😀" },
    ]);
  });

  test("reads the account, the service and its numbers", async () => {
    expect(await client.api.accounts(ACCOUNT).fetch()).toMatchObject({
      sid: ACCOUNT,
      status: "active",
      type: "Full",
    });
    expect(await client.api.accounts.list()).toMatchObject([{ sid: ACCOUNT }]);
    const service = await client.messaging.v1.services(SERVICE).fetch();
    expect(service).toMatchObject({ sid: SERVICE, inboundRequestUrl: null, useInboundWebhookOnNumber: true });
    expect(service.dateCreated).toBeInstanceOf(Date);
    expect((await service.update({ inboundRequestUrl: "http://x/in" })).inboundRequestUrl).toBe(
      "http://x/in",
    );
    expect(await service.phoneNumbers().list()).toMatchObject([
      { phoneNumber: NUMBER, capabilities: ["MMS", "SMS"] },
    ]);
    for (let i = 0; i < 4; i++) await client.messaging.v1.services.create({ friendlyName: `s${i}` });
    expect(await client.messaging.v1.services.list({ pageSize: 2 })).toHaveLength(5);
  });
});
