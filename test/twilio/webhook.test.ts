import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { InboundEvent } from "../../src/message.ts";
import { parseForm } from "../../src/twilio/form.ts";
import { createWebhookReader } from "../../src/twilio/reader.ts";
import { sign } from "../../src/twilio/signature.ts";
import { attemptQuery, attemptRef, parseInbound, parseStatus } from "../../src/twilio/webhook.ts";
import type { WebhookRequest } from "../../src/webhook.ts";
import { ACCOUNT_SID, AUTH_TOKEN, channel, NUMBER } from "./support.ts";

const NOW = Date.UTC(2026, 0, 1);
const SID = "SM00000000000000000000000000000001";
const CORE = {
  MessageSid: SID,
  SmsSid: SID,
  SmsMessageSid: SID,
  AccountSid: ACCOUNT_SID,
  From: "+15557654321",
  To: NUMBER,
  Body: "Hello",
  NumMedia: "0",
  NumSegments: "1",
  FromCity: "",
  SmsStatus: "received",
  ApiVersion: "2010-04-01",
};

function encoded(params: Record<string, string>): string {
  return new URLSearchParams(params).toString();
}

function inbound(changes: Record<string, string> = {}): InboundEvent {
  const event = parseInbound(parseForm(encoded({ ...CORE, ...changes })), NOW);
  if (event.kind === "malformed") throw new Error(JSON.stringify(event.problems));
  return event;
}

function problems(params: Record<string, string>): readonly string[] {
  const event = parseInbound(parseForm(encoded(params)), NOW);
  return event.kind === "malformed" ? event.problems.map((problem) => problem.path) : [];
}

describe("form bodies", () => {
  test("a plus is a space and %2B is a plus", () => {
    expect(parseForm("Body=a+b%2Bc%20d").get("Body")).toEqual(["a b+c d"]);
  });

  test("percent-encoded bytes are decoded together as UTF-8", () => {
    expect(parseForm("Body=%F0%9F%98%80+%C3%A9+%EF%BB%BF").get("Body")).toEqual(["\u{1F600} é \uFEFF"]);
  });

  test("blank values and repeated names are kept", () => {
    const params = parseForm("a=&b&a=2&a=1&=x");
    expect([...params]).toEqual([
      ["a", ["", "2", "1"]],
      ["b", [""]],
      ["", ["x"]],
    ]);
  });

  test("names are those of this body, however like the body before it is", () => {
    for (const name of [
      "Body",
      "Bod",
      "Bodyx",
      "body",
      "Bo%64y",
      "B+dy",
      "",
      "Body",
      "%42ody",
      "x".repeat(100),
    ])
      for (const body of [`${name}=1&To=2`, `To=1&${name}=2`, `${name}&${name}=&To`])
        expect([...parseForm(body).keys()], body).toEqual([...new Set(new URLSearchParams(body).keys())]);
  });

  test("a form is read alike, whichever forms came before it", () => {
    const name = fc.constantFrom("a", "ab", "b", "To", "_");
    const value = fc.constantFrom(
      "",
      "1",
      "=",
      "+",
      "%2B",
      "%26",
      "%C3%A9",
      "%zz",
      "%ff",
      "é",
      "a=b",
      "&",
      "&&",
    );
    const bodies = fc.array(
      fc
        .tuple(fc.array(fc.tuple(name, fc.constantFrom("=", "=", "=", ""), value), { maxLength: 4 }), value)
        .map(([pairs, rest]) => pairs.map((pair) => pair.join("")).join("&") + rest),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(bodies, (all) => {
        for (const body of all) {
          const read = new URLSearchParams(`&${body}`);
          const params = parseForm(body);
          expect([...params], body).toEqual([...new Set(read.keys())].map((key) => [key, read.getAll(key)]));
          for (const key of [...read.keys(), "none"])
            expect(params.first(key)).toBe(read.get(key) ?? undefined);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("a leading question mark belongs to the first name", () => {
    expect(parseForm("?a=1").get("?a")).toEqual(["1"]);
  });

  test("any pairs survive encoding, whichever of the two ways spaces are written", () => {
    const text = fc.string({ unit: "binary", maxLength: 20 });
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 8 }), fc.boolean(), (pairs, plus) => {
        const part = (value: string) => {
          const percent = encodeURIComponent(value);
          return plus ? percent.replaceAll("%20", "+") : percent;
        };
        const body = pairs.map(([name, value]) => `${part(name)}=${part(value)}`).join("&");
        const expected = new Map<string, string[]>();
        for (const [name, value] of pairs) expected.set(name, [...(expected.get(name) ?? []), value]);
        expect([...parseForm(body)]).toEqual([...expected]);
      }),
    );
  });

  test("no bytes make the parsers fail", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const params = parseForm(bytes);
        expect(["inbound", "malformed"]).toContain(parseInbound(params, NOW).kind);
        expect(["status", "malformed"]).toContain(parseStatus(params, "", NOW).kind);
      }),
      { numRuns: 500 },
    );
  });
});

describe("inbound texts", () => {
  test("the core parameters are read and everything is kept raw", () => {
    expect(inbound({ Body: "Grüße \u{1F600} 1+1", SomethingNew: "x" })).toEqual({
      kind: "inbound",
      sid: SID,
      accountSid: ACCOUNT_SID,
      from: "+15557654321",
      to: NUMBER,
      body: "Grüße \u{1F600} 1+1",
      media: [],
      segments: 1,
      receivedAt: NOW,
      late: false,
      raw: { ...CORE, Body: "Grüße \u{1F600} 1+1", SomethingNew: "x" },
    });
  });

  test("short codes, names, WhatsApp and RCS senders are read as they come", () => {
    for (const From of ["22000", "12345", "MYBANK", "T-Mobile", "whatsapp:+15557654321", "rcs:my_agent"])
      expect(inbound({ From }).from).toBe(From);
  });

  test("media come with their types, as many as NumMedia says", () => {
    const event = inbound({
      NumMedia: "2",
      MediaUrl0: "https://api.twilio.com/a",
      MediaContentType0: "image/jpeg",
      MediaUrl1: "https://api.twilio.com/b",
      MediaUrl2: "https://api.twilio.com/c",
    });
    expect(event.media).toEqual([
      { url: "https://api.twilio.com/a", contentType: "image/jpeg" },
      { url: "https://api.twilio.com/b", contentType: "application/octet-stream" },
    ]);
  });

  test("ten media are read, and a medium without a usable URL does not lose the text", () => {
    const urls = Object.fromEntries(
      Array.from({ length: 10 }, (_, i) => [`MediaUrl${i}`, `https://api.twilio.com/${i}`]),
    );
    expect(inbound({ NumMedia: "10", ...urls }).media).toHaveLength(10);
    expect(inbound({ NumMedia: "2", MediaUrl0: "file:///etc/passwd" }).media).toEqual([]);
  });

  test("a repeated parameter is kept with all its values and the first one counts", () => {
    const event = parseInbound(parseForm(`${encoded(CORE)}&Body=second`), NOW);
    expect(event).toMatchObject({ body: "Hello", raw: { Body: ["Hello", "second"] } });
  });

  test("a name like __proto__ is an ordinary parameter", () => {
    const event = inbound({ ["__proto__"]: "x" });
    expect(Object.keys(event.raw)).toContain("__proto__");
    expect(JSON.parse(JSON.stringify(event.raw))).toHaveProperty("To", NUMBER);
  });

  test("the Messaging Service and the opt-out type are read, blank ones are absent", () => {
    const event = inbound({ MessagingServiceSid: "MG1", OptOutType: "stop" });
    expect(event).toMatchObject({ messagingServiceSid: "MG1", optOutType: "STOP" });
    expect(inbound({ MessagingServiceSid: "", OptOutType: "" }).messagingServiceSid).toBeUndefined();
    expect(inbound({ OptOutType: "MAYBE" }).optOutType).toBeUndefined();
  });

  test("ids of test tools are taken as long as they are letters and digits", () => {
    expect(inbound({ MessageSid: "SMtest1" }).sid).toBe("SMtest1");
    expect(problems({ ...CORE, MessageSid: "SM1/../x" })).toEqual(["MessageSid"]);
    expect(problems({ ...CORE, MessageSid: "x".repeat(65) })).toEqual(["MessageSid"]);
  });

  test("a text without MessageSid is known by its other ids", () => {
    const { MessageSid: _, ...rest } = CORE;
    const event = parseInbound(parseForm(encoded(rest)), NOW);
    expect(event).toMatchObject({ kind: "inbound", sid: SID });
  });

  test("what is missing or wrong is named, all of it at once", () => {
    expect(problems({})).toEqual(["MessageSid", "AccountSid", "From", "To"]);
    expect(problems({ ...CORE, From: "a\nb" })).toEqual(["From"]);
  });

  test("a text is not lost for a number of media that is none: those that are there count", () => {
    for (const NumMedia of ["11", "-1", "one"]) {
      const event = parseInbound(
        parseForm(encoded({ ...CORE, NumMedia, MediaUrl0: "https://m.test/0" })),
        NOW,
      );
      expect(event.kind === "inbound" && event.media.map((media) => media.url)).toEqual(["https://m.test/0"]);
    }
  });

  test("a number that is none is never quoted", () => {
    const event = parseInbound(parseForm(encoded({ ...CORE, From: "+15557654321\n" })), NOW);
    expect(JSON.stringify(event)).not.toContain("7654321");
  });

  test("a problem quotes at most a little of the value", () => {
    const event = parseInbound(parseForm(encoded({ ...CORE, From: `\u0000${"9".repeat(500)}` })), NOW);
    expect(event.kind).toBe("malformed");
    if (event.kind === "malformed") expect(event.problems[0]?.message.length).toBeLessThan(120);
  });
});

describe("status callbacks", () => {
  const params = { MessageSid: SID, SmsSid: SID, MessageStatus: "delivered", AccountSid: ACCOUNT_SID };

  test("the attempt is read from the callback's query", () => {
    expect(parseStatus(parseForm(encoded(params)), "m=msg_01abc.3", NOW)).toEqual({
      kind: "status",
      sid: SID,
      accountSid: ACCOUNT_SID,
      ref: { messageId: "msg_01abc", attempt: 3 },
      status: "delivered",
      at: NOW,
    });
  });

  test("an error code is read, a blank or zero one is none", () => {
    const read = (ErrorCode: string) =>
      parseStatus(parseForm(encoded({ ...params, MessageStatus: "failed", ErrorCode })), "", NOW);
    expect(read("30003")).toMatchObject({ status: "failed", errorCode: 30003 });
    expect(read("")).not.toHaveProperty("errorCode");
    expect(read("0")).not.toHaveProperty("errorCode");
  });

  test("a callback with a foreign or missing query still counts by its sid", () => {
    for (const query of ["", "m=", "m=../x.1", "m=msg_1", "m=msg_1.x", "other=1"])
      expect(parseStatus(parseForm(encoded(params)), query, NOW)).not.toHaveProperty("ref");
  });

  test("SmsStatus stands in for MessageStatus, and without either it is malformed", () => {
    expect(parseStatus(parseForm(`MessageSid=${SID}&SmsStatus=sent`), "", NOW)).toMatchObject({
      status: "sent",
    });
    expect(parseStatus(parseForm(`MessageSid=${SID}`), "", NOW)).toMatchObject({
      kind: "malformed",
      problems: [{ path: "MessageStatus" }],
    });
    expect(parseStatus(parseForm("MessageStatus=sent"), "", NOW)).toMatchObject({
      problems: [{ path: "MessageSid" }],
    });
  });

  test("what names an attempt reads back as the same attempt", () => {
    const ref = { messageId: "msg_01h2x3", attempt: 12 };
    expect(attemptRef(attemptQuery(ref))).toEqual(ref);
  });
});

describe("the reader", () => {
  const PUBLIC = "https://sms.example.com/base";
  const PATH = "/webhooks/twilio/sms";

  function request(changes: Partial<WebhookRequest> = {}, params = CORE): WebhookRequest {
    const body = encoded(params);
    return {
      channel: channel("http://127.0.0.1"),
      canonicalPath: PATH,
      rawQuery: "",
      contentType: "application/x-www-form-urlencoded; charset=UTF-8",
      signature: sign(AUTH_TOKEN, PUBLIC + PATH, parseForm(body)),
      body: new TextEncoder().encode(body),
      receivedAt: NOW,
      ...changes,
    };
  }
  const reader = createWebhookReader({ publicUrl: () => PUBLIC });

  test("a signed text is authentic and read", () => {
    const asked = request();
    expect(reader.authentic(asked)).toBe(true);
    expect(reader.readInbound(asked)).toMatchObject({ kind: "inbound", sid: SID, receivedAt: NOW });
  });

  test("a text signed for another channel's path is not authentic", () => {
    expect(reader.authentic(request({ canonicalPath: "/webhooks/twilio/other" }))).toBe(false);
    expect(reader.authentic(request({ canonicalPath: `${PATH}/status` }))).toBe(false);
  });

  test("without a public URL nothing is authentic", () => {
    expect(createWebhookReader({ publicUrl: () => undefined }).authentic(request())).toBe(false);
  });

  test("a text signed with the previous token is authentic", () => {
    const rotated = channel("http://127.0.0.1", {
      account: { authToken: "new", authTokenPrevious: AUTH_TOKEN },
    });
    expect(reader.authentic(request({ channel: rotated }))).toBe(true);
  });

  test("the API key's secret signs nothing", () => {
    const keyed = channel("http://127.0.0.1", {
      account: { authToken: "other", apiKeySid: "SK1", apiKeySecret: AUTH_TOKEN },
    });
    expect(reader.authentic(request({ channel: keyed }))).toBe(false);
  });

  test("a status callback is authentic with the query it was given", () => {
    const rawQuery = "m=msg_1.1";
    const canonicalPath = `${PATH}/status`;
    const params = { MessageSid: SID, MessageStatus: "sent", AccountSid: ACCOUNT_SID };
    const body = encoded(params);
    const asked = request({
      canonicalPath,
      rawQuery,
      body: new TextEncoder().encode(body),
      signature: sign(AUTH_TOKEN, `${PUBLIC}${canonicalPath}?${rawQuery}`, parseForm(body)),
    });
    expect(reader.authentic(asked)).toBe(true);
    expect(reader.readStatus(asked)).toMatchObject({
      status: "sent",
      ref: { messageId: "msg_1", attempt: 1 },
    });
    expect(reader.authentic({ ...asked, rawQuery: "m=msg_2.1" })).toBe(false);
  });

  test("a JSON body can be authentic but is no text", () => {
    const body = new TextEncoder().encode("{}");
    const rawQuery = `bodySHA256=${new Bun.CryptoHasher("sha256").update(body).digest("hex")}`;
    const asked = request({
      contentType: "application/json",
      rawQuery,
      body,
      signature: sign(AUTH_TOKEN, `${PUBLIC}${PATH}?${rawQuery}`, parseForm("")),
    });
    expect(reader.authentic(asked)).toBe(true);
    expect(reader.authentic({ ...asked, body: new TextEncoder().encode("[]") })).toBe(false);
    expect(reader.readInbound(asked)).toMatchObject({ kind: "malformed" });
  });
});
