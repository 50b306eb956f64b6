import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { closing } from "../support/cleanup.ts";
import { openHook } from "../support/hook.ts";
import {
  formOf,
  inboundParameters,
  NUMBER,
  newSid,
  PHONE,
  type Service,
  type ServiceOptions,
  SMS,
  signatureOf,
  startService,
} from "../support/service.ts";

setDefaultTimeout(20_000);

const SECOND = "+15550100002";
const OTHER_PHONE = "+15557654322";

async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = closing(await startService(options));
  return service;
}

function accountOf(running: Service, channel: string): { accountSid: string; authToken: string } {
  const account = running.settings.channels[channel]?.account;
  if (account === undefined) throw new Error(`there is no channel ${channel}`);
  return account;
}

/** What a listener answers to these very bytes. */
function spoken(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.setTimeout(5_000, () => socket.destroy(new Error("no answer")));
    socket.on("data", (data) => {
      answer += data.toString("latin1");
      if (answer.includes("\r\n\r\n")) socket.end();
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });
}

describe("people who share a conversation", () => {
  test("are stopped one by one: a STOP of one leaves the other's turn alone", async () => {
    const hook = closing(openHook());
    const running = await start({
      config: {
        channels: { sms: { ...SMS, agent: "hook", session: "shared" } },
        agents: { hook: { type: "http", url: hook.url } },
      },
    });
    await running.pair(PHONE);
    const { body } = await running.api("POST", "/channels/sms/pairing");
    await running.text(OTHER_PHONE, body.code);
    await running.received(OTHER_PHONE, 1);
    hook.hold();
    await running.text(PHONE, "what is the weather?");
    const asked = await hook.request(1);
    await running.admitted(OTHER_PHONE, "STOP");
    asked.answer("sunny");
    expect((await running.received(PHONE, 2))[1]?.text).toBe("sunny");
  });
});

describe("a status callback", () => {
  const TWO = {
    config: {
      channels: { sms: { ...SMS, allow_all_senders: true }, other: { ...SMS, from_number: SECOND } },
    },
  };

  async function sent(running: Service): Promise<string> {
    const { body } = await running.api("POST", "/messages", { channel: "sms", to: PHONE, body: "hello" });
    await running.received(PHONE, 1);
    await running.until(
      async () => (await running.api("GET", `/messages/${body.id}`)).body.state === "delivered",
      "the delivery",
    );
    return body.id;
  }

  test("speaks for messages of its own channel only", async () => {
    const running = await start(TWO);
    const id = await sent(running);
    const before = (await running.api("GET", `/messages/${id}`)).body;
    const answer = await running.webhook(
      { MessageSid: newSid(), MessageStatus: "read", AccountSid: accountOf(running, "other").accountSid },
      { channel: "other", status: true, query: `m=${id}.1` },
    );
    expect(answer.status).toBe(204);
    expect((await running.api("GET", `/messages/${id}`)).body).toEqual(before);
  });

  test("with a sid that is not the message's, or for an attempt that was never made, changes nothing", async () => {
    const running = await start(TWO);
    const id = await sent(running);
    const before = (await running.api("GET", `/messages/${id}`)).body;
    for (const query of [`m=${id}.1`, `m=${id}.99`])
      await running.webhook(
        { MessageSid: newSid(), MessageStatus: "read", AccountSid: accountOf(running, "sms").accountSid },
        { status: true, query },
      );
    expect((await running.api("GET", `/messages/${id}`)).body).toEqual(before);
  });
});

describe("the public listener", () => {
  test("verifies a query with characters that the URL standard would encode", async () => {
    const running = await start({ config: { channels: { sms: { ...SMS, allow_all_senders: true } } } });
    for (const query of ["a='b'", "a=<b>", 'a="b"', "a=%C3%A9"]) {
      const parameters = inboundParameters(running);
      const path = `/webhooks/twilio/sms?${query}`;
      const body = formOf(parameters);
      const answer = await spoken(
        running.publicUrl,
        [
          `POST ${path} HTTP/1.1`,
          `Host: ${new URL(running.publicUrl).host}`,
          "Content-Type: application/x-www-form-urlencoded",
          `Content-Length: ${Buffer.byteLength(body)}`,
          `X-Twilio-Signature: ${signatureOf(accountOf(running, "sms").authToken, `${running.publicUrl}${path}`, parameters)}`,
          "Connection: close",
          "",
          body,
        ].join("\r\n"),
      );
      expect(answer, query).toStartWith("HTTP/1.1 200");
    }
  });

  test("does not let a broken Host header choose the route", async () => {
    const running = await start();
    for (const host of ["Host: \r\n", "Host: a#b\r\n", "Host: a b\r\n", "Host: a/healthz?\r\n"])
      expect(
        await spoken(running.publicUrl, `GET /nothing HTTP/1.1\r\n${host}Connection: close\r\n\r\n`),
      ).toMatch(/^HTTP\/1\.1 (400|404)/);
  });

  test("takes no text from a web page where signatures are switched off", async () => {
    const running = await start({
      config: {
        twilio: { account_sid: `AC${"0".repeat(32)}`, auth_token: "secret", api_url: "http://127.0.0.1:9" },
        channels: {
          sms: {
            ...SMS,
            provider: "twilio",
            allow_all_senders: true,
            insecure_no_signature: true,
            catch_up: "0s",
          },
        },
      },
    });
    const post = (headers: Record<string, string>) =>
      fetch(`${running.publicUrl}/webhooks/twilio/sms`, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
        body: formOf({
          MessageSid: newSid(),
          AccountSid: `AC${"0".repeat(32)}`,
          From: PHONE,
          To: NUMBER,
          Body: "hi",
          NumMedia: "0",
        }),
      });
    expect((await post({})).status).toBe(200);
    expect((await post({ origin: "http://evil.test" })).status).toBe(403);
    expect((await post({ "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect((await post({ host: "evil.test" })).status).toBe(403);
    expect((await post({ "fly-client-ip": "203.0.113.9" })).status).toBe(403);
  });
});

describe("the simulator inside the service", () => {
  test("gives its phones only to who has the admin token", async () => {
    const urls: string[] = [];
    const recording = ((input: string | URL | Request, init?: RequestInit) => {
      urls.push(String(input instanceof Request ? input.url : input));
      return fetch(input, init);
    }) as typeof fetch;
    const running = await start({ seams: { fetch: recording } });
    const api = urls.find((url) => url.includes("/2010-04-01/"));
    expect(api).toBeDefined();
    const answer = await fetch(`${new URL(api ?? "").origin}/simulator/phones`);
    expect(answer.status).toBe(404);
    expect((await fetch(`${running.adminUrl}/api/v1/simulator/phones`)).status).toBe(401);
  });
});
