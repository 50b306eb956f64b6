import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  inboundParameters,
  newSid,
  type Service,
  SMS,
  signatureOf,
  startService,
} from "../support/service.ts";

setDefaultTimeout(30_000);

let service: Service | undefined;
afterEach(async () => {
  await service?.close();
  service = undefined;
});

async function start(): Promise<Service> {
  service = await startService({
    config: { channels: { sms: { ...SMS, allow_all_senders: true, agent: "parrot" } } },
  });
  return service;
}

/** Posts these very bytes, signed as the carrier would sign what they say. */
async function post(
  running: Service,
  body: string | Uint8Array<ArrayBuffer>,
  signed: Record<string, string | string[]>,
) {
  const url = `${running.publicUrl}/webhooks/twilio/sms`;
  const token = running.settings.channels.sms?.account.authToken ?? "";
  return fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      "x-twilio-signature": signatureOf(token, url, signed),
    },
    body,
  });
}

describe("parameters nobody expects", () => {
  test("unsigned by the thousand cost little and leave nothing", async () => {
    const running = await start();
    const many = Array.from({ length: 13_000 }, (_, n) => `p${n}`)
      .join("&")
      .slice(0, 64_000);
    const began = performance.now();
    for (let times = 0; times < 20; times++) {
      const response = await fetch(`${running.publicUrl}/webhooks/twilio/sms?${"a=%C3%A9&".repeat(800)}`, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", "x-twilio-signature": "AAAA" },
        body: many,
      });
      expect(response.status).toBe(403);
    }
    // About 20 ms each on a small machine.
    expect(performance.now() - began).toBeLessThan(10_000);
    expect((await running.api("GET", "/messages")).body.items).toEqual([]);
    expect(running.logs.filter(({ event }) => event === "webhook.signature")).toHaveLength(1);
  });

  test("signed are kept as data: repeated, without end, and with the names of JavaScript's own", async () => {
    const running = await start();
    const sid = newSid();
    const parameters: Record<string, string | string[]> = {
      ...inboundParameters(running, { MessageSid: sid, NumMedia: "1000000000", Body: "hello" }),
      constructor: "x",
      toString: "y",
      MediaUrl99: "http://127.0.0.1/",
      "Body[]": "z",
      "Body[constructor]": "z",
    };
    const form = new URLSearchParams();
    for (const [name, value] of Object.entries(parameters)) form.append(name, String(value));
    form.append("__proto__", "polluted");
    for (let n = 0; n < 2_000; n++) form.append("Body", `more ${n}`);
    const signed: Record<string, string | string[]> = Object.assign(Object.create(null), parameters, {
      Body: ["hello", ...Array.from({ length: 2_000 }, (_, n) => `more ${n}`)],
    });
    Object.defineProperty(signed, "__proto__", { value: "polluted", enumerable: true });
    expect((await post(running, form.toString(), signed)).status).toBe(200);
    const message = await running.message(sid);
    expect(message.text).toBe("hello");
    expect(message.media).toEqual([]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test("that are no UTF-8, or nothing that can be seen, arrive as what they can be read as", async () => {
    const running = await start();
    const texts: readonly (readonly [bytes: string, text: string])[] = [
      ["%C0%AF", "\ufffd\ufffd"],
      ["%ED%A0%80", "\ufffd\ufffd\ufffd"],
      ["%F8%88%80%80%80", "\ufffd".repeat(5)],
      ["a%00b", "a\0b"],
      ["%EF%BB%BFa", "\ufeffa"],
      ["%F4%90%80%80", "\ufffd".repeat(4)],
      ["%E2%80%AEa", "\u202ea"],
    ];
    for (const [bytes, text] of texts) {
      const sid = newSid();
      const parameters = inboundParameters(running, { MessageSid: sid, Body: text });
      const { Body: _, ...others } = parameters;
      const body = `${new URLSearchParams(others)}&Body=${bytes}`;
      expect((await post(running, body, parameters)).status, bytes).toBe(200);
      expect((await running.message(sid)).text, bytes).toBe(text);
    }
  });
});

describe("JSON nobody expects", () => {
  const BODIES: Record<string, string> = {
    "nested a hundred thousand deep": `${"[".repeat(100_000)}${"]".repeat(100_000)}`,
    "objects nested deep": `${'{"a":'.repeat(40_000)}1${"}".repeat(40_000)}`,
    "nested where a value is wanted": `{"channel":"sms","to":${"[".repeat(50_000)}${"]".repeat(50_000)},"body":"x"}`,
    "a prototype": '{"__proto__":{"polluted":1},"channel":"sms","to":"+15557654321","body":"y"}',
    "a constructor":
      '{"constructor":{"prototype":{"polluted":1}},"channel":"sms","to":"+15557654321","body":"y"}',
    "a number without end": `{"timeout":${"9".repeat(10_000)}}`,
    "an exponent without end": '{"timeout":1e99999}',
    "a duration with two to the forty ways to read it": `{"timeout":"${"9".repeat(39)}é","backfill":"${"9".repeat(39)}é"}`,
    "half a character": '{"channel":"sms","to":"+15557654321","body":"a\\ud800b"}',
    "an array": "[]",
    "a word": "null",
    nothing: "",
    "no JSON": "{'a':1}",
    "two of them": "{}{}",
  };
  for (const [name, body] of Object.entries(BODIES))
    test(`is a problem with words, and at once: ${name}`, async () => {
      const running = await start();
      for (const path of [
        "/messages",
        "/signals/await",
        "/watches",
        "/tokens",
        "/policies/check",
        "/notify",
      ]) {
        const began = performance.now();
        const response = await fetch(`${running.adminUrl}/api/v1${path}`, {
          method: "POST",
          headers: { authorization: `Bearer ${running.token}`, "content-type": "application/json" },
          body,
        });
        expect(response.status, path).toBe(400);
        expect(response.headers.get("content-type")).toBe("application/problem+json");
        const problem = await response.text();
        expect(problem.length).toBeLessThan(5_000);
        expect(problem).not.toMatch(/at \S+:\d+|stack|RangeError|TypeError/);
        expect(performance.now() - began).toBeLessThan(2_000);
      }
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
      expect(running.logs.filter(({ level }) => level === "error")).toEqual([]);
    });

  test("is refused as a key, too: an Idempotency-Key has a length", async () => {
    const running = await start();
    for (const [path, body] of [
      ["/messages", { channel: "sms", to: "+15557654321", body: "x" }],
      ["/signals/await", { timeout: 0 }],
      ["/watches", {}],
    ] as const) {
      const answer = await running.api("POST", path, body, { "idempotency-key": "k".repeat(256) });
      expect([answer.status, answer.body.errors[0].path]).toEqual([400, "idempotency-key"]);
    }
  });

  test("names a channel by what every object has, and finds none", async () => {
    const running = await start();
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"]) {
      expect((await running.api("GET", `/channels/${name}`)).status).toBe(404);
      expect(
        (await running.api("POST", "/messages", { channel: name, to: "+15557654321", body: "x" })).status,
      ).toBe(400);
      expect((await running.api("POST", "/signals/await", { channel: name, timeout: 0 })).status).toBe(400);
      expect((await running.webhook(inboundParameters(running), { channel: name })).status).toBe(404);
    }
  });
});
