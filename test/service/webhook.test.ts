import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { connect } from "node:net";
import { closing } from "../support/cleanup.ts";
import { lockDatabase, rowsOnDisk } from "../support/database.ts";
import {
  formOf,
  inboundParameters,
  NUMBER,
  newSid,
  PHONE,
  type Service,
  type ServiceOptions,
  SMS,
  STRANGER,
  signatureOf,
  startService,
} from "../support/service.ts";

setDefaultTimeout(20_000);

async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = closing(await startService(options));
  return service;
}

/** A channel anyone may text, so that what is admitted is answered. */
const OPEN = { config: { channels: { sms: { ...SMS, allow_all_senders: true } } } };

const FORM = "application/x-www-form-urlencoded";

async function kept(running: Service): Promise<readonly { provider_sid?: string }[]> {
  return (await running.api("GET", "/messages?direction=inbound&limit=200")).body.items;
}

function raw(url: string, init: RequestInit = {}): Promise<Response> {
  return fetch(url, { method: "POST", ...init, signal: AbortSignal.timeout(10_000) });
}

/** Nothing the carrier could text to the person. */
async function expectSilentXml(response: Response): Promise<void> {
  expect(response.headers.get("content-type")).toStartWith("text/xml");
  const xml = (await response.text()).replace(/<\?xml[^>]*\?>/, "").replace(/<!--.*?-->/gs, "");
  expect(xml).toBe("<Response/>");
}

describe("the inbound webhook", () => {
  test("answers an admitted text with an empty TwiML response", async () => {
    const running = await start(OPEN);
    const response = await running.webhook(inboundParameters(running));
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/xml");
    expect(await response.text()).toBe("<Response/>");
    expect(await kept(running)).toHaveLength(1);
  });

  test("takes POST only, and says so before it looks at anything else", async () => {
    const running = await start();
    for (const method of ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const response = await raw(`${running.publicUrl}/webhooks/twilio/sms`, { method });
      expect([method, response.status]).toEqual([method, 405]);
      expect(response.headers.get("allow")).toBe("POST");
      await expectSilentXml(response);
    }
    expect((await raw(`${running.publicUrl}/webhooks/twilio/sms`, { method: "HEAD" })).status).toBe(405);
  });

  test("refuses other content types before it reads the body", async () => {
    const running = await start();
    for (const type of [
      "text/plain",
      "multipart/form-data; boundary=x",
      "application/xml",
      "application/json",
      "",
    ]) {
      const response = await raw(`${running.publicUrl}/webhooks/twilio/sms`, {
        body: new TextEncoder().encode("x".repeat(70_000)),
        headers: { "content-type": type },
      });
      expect([type, response.status]).toEqual([type, 415]);
      // The reason is a comment, in which XML allows no two hyphens in a row: a media type is legible all the same.
      expect(await response.clone().text()).toContain("Webhooks are application/x-www-form-urlencoded.");
      await expectSilentXml(response);
    }
  });

  test("refuses a body over 64 KiB before it checks the signature, however the length is announced", async () => {
    const running = await start(OPEN);
    const url = `${running.publicUrl}/webhooks/twilio/sms`;
    const tooMuch = `Body=${"x".repeat(64 * 1024)}`;
    const announced = await raw(url, { body: tooMuch, headers: { "content-type": FORM } });
    expect(announced.status).toBe(413);
    const stream = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 70; i++) controller.enqueue(new TextEncoder().encode("x".repeat(1024)));
        controller.close();
      },
    });
    const chunked = await raw(url, { body: stream, headers: { "content-type": FORM } });
    expect(chunked.status).toBe(413);
    const huge = await raw(url, { body: "x".repeat(300_000), headers: { "content-type": FORM } }).then(
      ({ status }) => status,
      () => "cut",
    );
    expect([413, "cut"]).toContain(huge);
    const most = inboundParameters(running, { Unknown: "" });
    const filled = { ...most, Unknown: "x".repeat(64 * 1024 - formOf(most).length) };
    expect(formOf(filled).length).toBe(64 * 1024);
    expect((await running.webhook(filled)).status).toBe(200);
  });

  test("gives up on a body that does not come within 5 s", async () => {
    const running = await start();
    const { hostname, port } = new URL(running.publicUrl);
    const started = performance.now();
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write(
          `POST /webhooks/twilio/sms HTTP/1.1\r\nHost: x\r\nContent-Type: ${FORM}\r\nContent-Length: 100\r\n\r\nBody=`,
        );
      });
      socket.setTimeout(9_000, () => reject(new Error("no answer")));
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString();
        if (text.includes("\r\n\r\n")) {
          resolve(text);
          socket.destroy();
        }
      });
      socket.on("error", reject);
      socket.on("close", () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 (408|413) /);
    expect(performance.now() - started).toBeGreaterThan(4_500);
    expect(performance.now() - started).toBeLessThan(8_000);
  });

  test("refuses a text without a signature, counts it in the log, and keeps nothing", async () => {
    const running = await start(OPEN);
    const response = await running.webhook(inboundParameters(running, { Body: "unsigned words" }), {
      signature: null,
    });
    expect(response.status).toBe(403);
    await expectSilentXml(response);
    const [line] = await running.logged("webhook.signature", { channel: "sms", signed: false });
    expect(JSON.stringify(line)).not.toContain("unsigned words");
    expect(await kept(running)).toEqual([]);
  });

  test("refuses a forged signature and parameters that were changed after signing", async () => {
    const running = await start(OPEN);
    const parameters = inboundParameters(running);
    const url = `${running.publicUrl}/webhooks/twilio/sms`;
    const token = running.settings.channels.sms?.account.authToken ?? "";
    const right = signatureOf(token, url, parameters);
    const forgeries = [
      "",
      "forged",
      right.slice(0, -1),
      `${right}=`,
      right.toLowerCase(),
      signatureOf("another token", url, parameters),
      signatureOf("", url, parameters),
      createHmac("sha256", token).update(url).digest("base64"),
    ];
    for (const signature of forgeries)
      expect((await running.webhook(parameters, { signature })).status).toBe(403);
    const changed = [
      { ...parameters, Body: "something else" },
      { ...parameters, From: STRANGER },
      { ...parameters, Extra: "1" },
      Object.fromEntries(Object.entries(parameters).filter(([name]) => name !== "FromCity")),
    ];
    for (const changedParameters of changed)
      expect((await running.webhook(changedParameters, { signature: right })).status).toBe(403);
    expect(await kept(running)).toEqual([]);
    expect((await running.webhook(parameters, { signature: right })).status).toBe(200);
  });

  test("refuses a true signature that is replayed on another channel, path or query", async () => {
    const running = await start({
      config: {
        channels: {
          sms: { ...SMS, allow_all_senders: true },
          second: { ...SMS, from_number: "+15550100002", allow_all_senders: true },
        },
      },
    });
    const parameters = inboundParameters(running);
    const token = running.settings.channels.sms?.account.authToken ?? "";
    expect(running.settings.channels.second?.account.authToken).toBe(token);
    const signature = signatureOf(token, `${running.publicUrl}/webhooks/twilio/sms`, parameters);
    expect((await running.webhook(parameters, { signature, channel: "second" })).status).toBe(403);
    expect((await running.webhook(parameters, { signature, status: true })).status).toBe(403);
    expect((await running.webhook(parameters, { signature, query: "x=1" })).status).toBe(403);
    expect(await kept(running)).toEqual([]);
  });

  test("signs the query byte for byte", async () => {
    const running = await start(OPEN);
    const query = "b=%20x&a=1%2B1&empty=&a=%41";
    expect((await running.webhook(inboundParameters(running), { query })).status).toBe(200);
    const other = `${running.publicUrl}/webhooks/twilio/sms?b=+x&a=1%2B1&empty=&a=A`;
    expect((await running.webhook(inboundParameters(running), { query, signedUrl: other })).status).toBe(403);
  });

  test("checks a JSON body by its hash in the signed URL, and then finds no text in it", async () => {
    const running = await start(OPEN);
    const body = JSON.stringify({ MessageSid: newSid() });
    const hash = createHash("sha256").update(body).digest("hex");
    const url = `${running.publicUrl}/webhooks/twilio/sms?bodySHA256=${hash}`;
    const token = running.settings.channels.sms?.account.authToken ?? "";
    const headers = {
      "content-type": "application/json",
      "x-twilio-signature": signatureOf(token, url, {}),
    };
    expect((await raw(url, { body, headers })).status).toBe(400);
    expect((await raw(url, { body: body.replace("SM", "MM"), headers })).status).toBe(403);
  });

  test("accepts the previous auth token while the token is rotated", async () => {
    const running = await start({
      config: {
        channels: { sms: { ...SMS, allow_all_senders: true, auth_token_previous: "the old token" } },
      },
    });
    const parameters = inboundParameters(running);
    expect((await running.webhook(parameters, { token: "the old token" })).status).toBe(200);
    expect((await running.webhook(inboundParameters(running), { token: "the older token" })).status).toBe(
      403,
    );
  });

  test("refuses a signed text of another account or to another number", async () => {
    const running = await start(OPEN);
    const wrong = [
      { AccountSid: "AC00000000000000000000000000000000" },
      { To: "+15550109999" },
      { To: `whatsapp:${NUMBER}` },
    ];
    for (const changes of wrong) {
      const response = await running.webhook(inboundParameters(running, changes));
      expect([changes, response.status]).toEqual([changes, 403]);
      await expectSilentXml(response);
    }
    expect(await kept(running)).toEqual([]);
  });

  test("answers 400 naming the field when a signed text lacks what tells which text it is", async () => {
    const running = await start(OPEN);
    const { From: _from, ...rest } = inboundParameters(running);
    const response = await running.webhook(rest);
    expect(response.status).toBe(400);
    expect(await response.clone().text()).toContain("From");
    await expectSilentXml(response);
    expect(await kept(running)).toEqual([]);
  });

  test("ignores an echo of its own number with 200", async () => {
    const running = await start(OPEN);
    const response = await running.webhook(inboundParameters(running, { From: NUMBER }));
    expect(response.status).toBe(200);
    await expectSilentXml(response);
    expect(await kept(running)).toEqual([]);
  });

  test("answers 404 for a channel that is not configured", async () => {
    const running = await start();
    for (const channel of ["other", "SMS", "sms%00", "__proto__", "constructor", "..%2fsms"]) {
      const response = await running.webhook(inboundParameters(running), { channel });
      expect([channel, response.status]).toEqual([channel, 404]);
    }
    expect(
      (await running.webhook(inboundParameters(running), { channel: "other", status: true })).status,
    ).toBe(404);
  });

  test("keeps blank values, emoji, plus signs and unknown parameters as they came", async () => {
    const running = await start(OPEN);
    const body = "1 + 1 = 2 ☕️ 👩‍👩‍👧 naïve %2B ünï\r\nline two & more=x";
    const parameters = inboundParameters(running, {
      Body: body,
      FromZip: "",
      BrandNewParameter: " kept, untrimmed ",
      "Odd[Name]": "ß",
    });
    expect((await running.webhook(parameters)).status).toBe(200);
    const message = await running.message(parameters.MessageSid ?? "");
    expect(message.text).toBe(body);
    const texts = await running.received(PHONE, 1);
    expect(texts[0]?.text).toContain("1 + 1 = 2 ");
    const stored = rowsOnDisk(running, "select parameters from raw_parameters");
    expect(JSON.parse(String(stored[0]?.parameters))).toEqual({ ...parameters });
  });

  test("verifies a value that is written with %20 instead of +, and one with %2B", async () => {
    const running = await start(OPEN);
    const parameters = inboundParameters(running, { Body: "a + b c" });
    const url = `${running.publicUrl}/webhooks/twilio/sms`;
    const token = running.settings.channels.sms?.account.authToken ?? "";
    const body = formOf(parameters).replaceAll("+", "%20");
    expect(body).toContain("a%20%2B%20b%20c");
    const response = await raw(url, {
      body,
      headers: { "content-type": FORM, "x-twilio-signature": signatureOf(token, url, parameters) },
    });
    expect(response.status).toBe(200);
    expect((await running.message(parameters.MessageSid ?? "")).text).toBe("a + b c");
  });

  test("keeps the media a text came with", async () => {
    const running = await start(OPEN);
    const url = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1";
    const parameters = inboundParameters(running, {
      NumMedia: "1",
      MediaUrl0: url,
      MediaContentType0: "image/jpeg",
      Body: "",
    });
    expect((await running.webhook(parameters)).status).toBe(200);
    expect((await running.message(parameters.MessageSid ?? "")).media).toEqual([
      { url, content_type: "image/jpeg" },
    ]);
  });

  test("answers 503 when a text cannot be made durable, keeps nothing of it, and takes it the next time", async () => {
    const running = await start(OPEN);
    const parameters = inboundParameters(running, { Body: "the disk is busy" });
    const release = lockDatabase(running);
    const refused = await running.webhook(parameters);
    release();
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("1");
    await expectSilentXml(refused);
    expect(await kept(running)).toEqual([]);
    expect((await running.webhook(parameters)).status).toBe(200);
    await running.received(PHONE, 1);
    expect(await kept(running)).toHaveLength(1);
  });

  test("has the text on disk when it answers", async () => {
    const running = await start(OPEN);
    const parameters = inboundParameters(running, { Body: "on disk" });
    await running.webhook(parameters);
    const rows = rowsOnDisk(
      running,
      "select text from messages where provider_sid = ?",
      parameters.MessageSid ?? "",
    );
    expect(rows).toEqual([{ text: "on disk" }]);
  });
});

describe("a channel with insecure_no_signature", () => {
  const insecure = {
    config: { channels: { sms: { ...SMS, allow_all_senders: true, insecure_no_signature: true } } },
  };

  test("takes unsigned texts that come directly", async () => {
    const running = await start(insecure);
    const response = await running.webhook(inboundParameters(running), { signature: null });
    expect(response.status).toBe(200);
  });

  test("refuses whatever came through a proxy", async () => {
    const running = await start(insecure);
    const headers = [
      ["X-Forwarded-For", "203.0.113.9"],
      ["X-Forwarded-Proto", "https"],
      ["X-Forwarded-Host", "sms.example.com"],
      ["Forwarded", "for=203.0.113.9"],
      ["CF-Connecting-IP", "203.0.113.9"],
      ["Cf-Ray", "8f"],
    ] as const;
    for (const [name, value] of headers) {
      const response = await running.webhook(inboundParameters(running), {
        signature: null,
        headers: { [name]: value },
      });
      expect([name, response.status]).toEqual([name, 403]);
    }
    expect(await kept(running)).toEqual([]);
  });

  test("still checks account and number", async () => {
    const running = await start(insecure);
    const parameters = inboundParameters(running, { To: "+15550109999" });
    expect((await running.webhook(parameters, { signature: null })).status).toBe(403);
  });
});

describe("the public listener", () => {
  test("serves health and webhooks and nothing of the admin listener, whatever the credential", async () => {
    const running = await start();
    const paths = [
      "/",
      "/api/v1/channels",
      "/api/v1/messages",
      "/api/v1/simulator/phones",
      "/openapi.json",
      "/metrics",
      "/mcp",
      "/login",
      "/console",
      "/webhooks/twilio",
      "/2010-04-01/Accounts/AC1/Messages.json",
      "/simulator/phones",
      "/webhooks/twilio/sms/../../../api/v1/channels",
      "/webhooks/twilio/sms/status/more",
    ];
    for (const path of paths) {
      for (const method of ["GET", "POST"]) {
        const response = await raw(running.publicUrl + path, {
          method,
          headers: { authorization: `Bearer ${running.token}` },
        });
        expect([method, path, response.status]).toEqual([method, path, 404]);
        expect(await response.text()).not.toContain("sms");
      }
    }
    expect((await raw(`${running.publicUrl}/healthz`, { method: "GET" })).status).toBe(200);
  });

  test("says only whether it is ready", async () => {
    const running = await start();
    const response = await raw(`${running.publicUrl}/readyz`, { method: "GET" });
    expect([response.status, await response.text()]).toEqual([200, "ready"]);
    const release = lockDatabase(running);
    // What was found out a moment ago counts until something was refused.
    expect((await running.webhook(inboundParameters(running))).status).toBe(503);
    const locked = await raw(`${running.publicUrl}/readyz`, { method: "GET" });
    expect([locked.status, await locked.text()]).toEqual([503, "not ready"]);
    const details = await fetch(`${running.adminUrl}/readyz`, {
      headers: { authorization: `Bearer ${running.token}` },
    });
    expect(details.status).toBe(503);
    expect(await details.text()).toContain("SQLITE_BUSY");
    release();
    expect((await running.webhook(inboundParameters(running))).status).toBe(200);
    expect((await raw(`${running.publicUrl}/readyz`, { method: "GET" })).status).toBe(200);
  });
});
