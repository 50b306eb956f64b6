import { describe, expect, test } from "bun:test";
import type { ConnectOutcome } from "../../src/carrier.ts";
import type { ChannelSettings } from "../../src/settings.ts";
import { createTwilioCarrier } from "../../src/twilio/carrier.ts";
import { CONNECTION_OVERRIDES, sameWebhook, unusable } from "../../src/twilio/inbound-url.ts";
import { manualClock, systemClock } from "../support/clock.ts";
import {
  ACCOUNT_SID,
  AUTH_TOKEN,
  channel,
  NEVER,
  NUMBER,
  type Received,
  recordingLog,
  refusal,
  SERVICE_SID,
  scripted,
  service,
} from "./support.ts";

const HOOK = "https://sms.example.com/webhooks/twilio/sms";
const PN = "PN00000000000000000000000000000001";
const NUMBERS = `/2010-04-01/Accounts/${ACCOUNT_SID}/IncomingPhoneNumbers.json`;
const NUMBER_PATH = `/2010-04-01/Accounts/${ACCOUNT_SID}/IncomingPhoneNumbers/${PN}.json`;
const SERVICES = "/v1/Services";
const SERVICE_PATH = `${SERVICES}/${SERVICE_SID}`;

function numberRow(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    sid: PN,
    phone_number: NUMBER,
    capabilities: { voice: true, sms: true, mms: true, fax: false },
    sms_url: "",
    sms_method: "POST",
    sms_fallback_url: "",
    sms_fallback_method: "POST",
    sms_application_sid: "",
    ...changes,
  };
}

function serviceRow(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    sid: SERVICE_SID,
    friendly_name: "Mine",
    inbound_request_url: null,
    inbound_method: "POST",
    fallback_url: null,
    fallback_method: "POST",
    use_inbound_webhook_on_number: false,
    ...changes,
  };
}

const FIELD: Readonly<Record<string, string>> = {
  SmsUrl: "sms_url",
  SmsMethod: "sms_method",
  SmsFallbackUrl: "sms_fallback_url",
  SmsFallbackMethod: "sms_fallback_method",
  SmsApplicationSid: "sms_application_sid",
  InboundRequestUrl: "inbound_request_url",
  InboundMethod: "inbound_method",
  FallbackUrl: "fallback_url",
  FallbackMethod: "fallback_method",
};

/** An account with one number, and Messaging Services where the test has some. */
function twilio(
  numbers: Record<string, unknown>[],
  services: readonly { row: Record<string, unknown>; members: Record<string, unknown>[] }[] = [],
) {
  const update = (row: Record<string, unknown> | undefined, request: Received) => {
    if (row === undefined) return undefined;
    for (const [name, value] of request.form) row[FIELD[name] ?? name] = value;
    return Response.json(row);
  };
  return scripted((request) => {
    const { method, path } = request;
    if (path === NUMBERS) {
      const part = request.query.get("PhoneNumber") ?? "";
      const rows = numbers.filter((row) => String(row.phone_number).includes(part));
      return Response.json({ incoming_phone_numbers: rows, next_page_uri: null });
    }
    if (method === "POST") {
      const number = numbers.find((row) => path.endsWith(`/IncomingPhoneNumbers/${row.sid}.json`));
      const one = services.find(({ row }) => path === `${SERVICES}/${row.sid}`);
      return update(number ?? one?.row, request);
    }
    if (path === SERVICES)
      return Response.json({ services: services.map(({ row }) => row), meta: { next_page_url: null } });
    for (const { row, members } of services) {
      if (path === `${SERVICES}/${row.sid}`) return Response.json(row);
      if (path === `${SERVICES}/${row.sid}/PhoneNumbers`)
        return Response.json({ phone_numbers: members, meta: { next_page_url: null } });
      const member = members.find(({ sid }) => path === `${SERVICES}/${row.sid}/PhoneNumbers/${sid}`);
      if (member !== undefined) return Response.json(member);
    }
    return undefined;
  });
}

function connect(
  settings: ChannelSettings,
  request: { webhookUrl?: string; register?: boolean; publicUrl?: string } = {},
  log = recordingLog(),
): Promise<ConnectOutcome> {
  const { register = true, publicUrl, ...rest } = request;
  const carrier = createTwilioCarrier({
    settings,
    ...(publicUrl === undefined ? {} : { publicUrl }),
    fetch: (input, init) => fetch(input, init),
    clock: systemClock,
    log,
  });
  return carrier.connect({ ...rest, register }, NEVER);
}

function sent(request: Received | undefined): Record<string, string> {
  return Object.fromEntries(request?.form ?? []);
}

describe("connecting a number", () => {
  test("looks it up by exact match and points webhook and fallback at us, with retries", async () => {
    using server = twilio([numberRow({ sid: "PN9", phone_number: `${NUMBER}9` }), numberRow()]);
    const outcome = await connect(channel(server.url), { webhookUrl: HOOK });
    expect(outcome).toEqual({ kind: "ready", numbers: [NUMBER], warnings: [] });
    expect(server.of("GET", NUMBERS)[0]?.search).toContain("PhoneNumber=%2B15551234567");
    expect(sent(server.of("POST", NUMBER_PATH)[0])).toEqual({
      SmsUrl: HOOK + CONNECTION_OVERRIDES,
      SmsFallbackUrl: HOOK + CONNECTION_OVERRIDES,
    });
  });

  test("asks Twilio to retry time-outs and 5xx within its 15 s", () => {
    const overrides = new URLSearchParams(CONNECTION_OVERRIDES.slice(1));
    expect(overrides.get("rp")?.split(",")).toEqual(["ct", "rt", "5xx"]);
    const tries = Number(overrides.get("rc")) + 1;
    expect(tries).toBeGreaterThan(1);
    expect(Number(overrides.get("rt")) * tries).toBeLessThanOrEqual(15_000);
    expect(Number(overrides.get("tt"))).toBeLessThanOrEqual(15_000);
  });

  test("changes nothing when everything is set already", async () => {
    const url = HOOK + CONNECTION_OVERRIDES;
    using server = twilio([numberRow({ sms_url: url, sms_fallback_url: url })]);
    expect(await connect(channel(server.url), { webhookUrl: HOOK })).toMatchObject({ kind: "ready" });
    expect(server.of("POST", NUMBER_PATH)).toHaveLength(0);
  });

  test("is done by the second time, whatever the number was set to", async () => {
    using server = twilio([
      numberRow({ sms_url: "https://demo.twilio.com/x", sms_method: "GET", sms_application_sid: "AP1" }),
    ]);
    const log = recordingLog();
    await connect(channel(server.url), { webhookUrl: HOOK }, log);
    await connect(channel(server.url), { webhookUrl: HOOK }, log);
    expect(server.of("POST", NUMBER_PATH)).toHaveLength(1);
    expect(sent(server.of("POST", NUMBER_PATH)[0])).toMatchObject({
      SmsMethod: "POST",
      SmsApplicationSid: "",
    });
    const line = log.lines.find(({ event }) => event === "twilio.webhook_registered");
    expect(line?.fields).toMatchObject({ replaced: "https://demo.twilio.com/x", application: "AP1" });
  });

  test("fails when the account has no such number", async () => {
    using server = twilio([numberRow({ phone_number: `${NUMBER}9` })]);
    const outcome = await connect(channel(server.url), { webhookUrl: HOOK });
    expect(outcome).toMatchObject({ kind: "failed" });
    if (outcome.kind === "failed") {
      expect(outcome.reason).toContain(`${NUMBER} is not in the Twilio account ${ACCOUNT_SID}`);
      expect(outcome.fix).toContain("from_number");
    }
  });

  test("fails when the number cannot do SMS, and leaves it alone", async () => {
    using server = twilio([numberRow({ capabilities: { sms: false, voice: true } })]);
    const outcome = await connect(channel(server.url), { webhookUrl: HOOK });
    expect(outcome).toMatchObject({
      kind: "failed",
      reason: expect.stringContaining("cannot send or receive SMS"),
    });
    expect(server.of("POST", NUMBER_PATH)).toHaveLength(0);
  });

  test("fails on wrong credentials and says which settings to copy, without repeating them", async () => {
    using server = scripted(() => refusal(401, 20003, `Authenticate ${AUTH_TOKEN}`));
    const outcome = await connect(channel(server.url), { webhookUrl: HOOK });
    expect(outcome).toMatchObject({ kind: "failed", reason: expect.stringContaining("20003") });
    expect(outcome).toMatchObject({ fix: expect.stringContaining("auth_token") });
    expect(JSON.stringify(outcome)).not.toContain(AUTH_TOKEN);
  });

  test("passes by itself while Twilio is throttled, down or not reachable", async () => {
    for (const response of [
      () => Response.json({ code: 20429 }, { status: 429 }),
      () => new Response("", { status: 503 }),
      () => new Response("<html>", { status: 200 }),
    ]) {
      using server = scripted(response);
      expect(await connect(channel(server.url), { webhookUrl: HOOK })).toMatchObject({ kind: "unreachable" });
    }
    const gone = scripted(() => undefined);
    gone[Symbol.dispose]();
    const outcome = await connect(channel(gone.url), { webhookUrl: HOOK });
    expect(outcome).toMatchObject({ kind: "unreachable", reason: expect.stringContaining("no connection") });
  });

  test("fails when Twilio refuses the webhook, and waits when setting it broke off", async () => {
    const answers = [() => refusal(400, 21502, "no such"), () => new Response("", { status: 500 })];
    const kinds: string[] = [];
    for (const answer of answers) {
      using server = scripted((request) =>
        request.method === "POST"
          ? answer()
          : Response.json({ incoming_phone_numbers: [numberRow()], next_page_uri: null }),
      );
      kinds.push((await connect(channel(server.url), { webhookUrl: HOOK })).kind);
    }
    expect(kinds).toEqual(["failed", "unreachable"]);
  });

  test("with register_webhook: false only compares and reports", async () => {
    using server = twilio([
      numberRow({ sms_url: "https://other.example/x?key=secret", sms_application_sid: "AP7" }),
    ]);
    const outcome = await connect(channel(server.url), { webhookUrl: HOOK, register: false });
    if (outcome.kind !== "ready") throw new Error(outcome.kind);
    expect(outcome.warnings).toHaveLength(2);
    expect(outcome.warnings).toMatchObject([
      { detail: expect.stringContaining("application AP7"), fix: expect.stringContaining("Remove it") },
      { fix: expect.stringContaining(`Set "A message comes in" to ${HOOK}`) },
    ]);
    expect(JSON.stringify(outcome.warnings)).not.toContain("secret");
    expect(server.requests.filter(({ method }) => method === "POST")).toHaveLength(0);
  });

  test("with register_webhook: false is content with our URL, whatever its overrides", async () => {
    using server = twilio([numberRow({ sms_url: `${HOOK}#rc=1` })]);
    const outcome = await connect(channel(server.url), { webhookUrl: HOOK, register: false });
    expect(outcome).toEqual({ kind: "ready", numbers: [NUMBER], warnings: [] });
    using get = twilio([numberRow({ sms_url: HOOK, sms_method: "GET" })]);
    const warned = await connect(channel(get.url), { webhookUrl: HOOK, register: false });
    expect(warned).toMatchObject({ warnings: [{ fix: expect.stringContaining("HTTP POST") }] });
  });

  test("for polling only checks, and tells who else gets the texts", async () => {
    using server = twilio([numberRow({ sms_url: "https://demo.twilio.com/welcome/sms/reply/" })]);
    const polled = await connect(channel(server.url, { inbound: "poll" }));
    expect(polled).toMatchObject({
      kind: "ready",
      warnings: [
        {
          detail: expect.stringContaining("demo.twilio.com"),
          fix: expect.stringContaining("Clear the number's"),
        },
      ],
    });
    const sendOnly = await connect(channel(server.url, { inbound: "none" }));
    expect(sendOnly).toEqual({ kind: "ready", numbers: [NUMBER], warnings: [] });
    expect(server.requests.filter(({ method }) => method === "POST")).toHaveLength(0);
  });
});

describe("a number in a Messaging Service", () => {
  const member = { sid: PN, phone_number: NUMBER, capabilities: ["SMS"] };

  test("is warned about when the service sends its texts elsewhere", async () => {
    const row = serviceRow({ inbound_request_url: "https://other.example/in" });
    using server = twilio([numberRow()], [{ row, members: [member] }]);
    const outcome = await connect(channel(server.url), { webhookUrl: HOOK });
    expect(outcome).toMatchObject({
      kind: "ready",
      warnings: [
        {
          detail: expect.stringContaining("https://other.example/in"),
          fix: expect.stringContaining("Defer to sender's webhook"),
        },
      ],
    });
    expect(server.of("POST", SERVICE_PATH)).toHaveLength(0);
  });

  test("fails when the service drops its texts, which then are not even listed", async () => {
    using server = twilio([numberRow()], [{ row: serviceRow(), members: [member] }]);
    for (const inbound of ["webhook", "poll"] as const) {
      const outcome = await connect(
        channel(server.url, { inbound }),
        inbound === "webhook" ? { webhookUrl: HOOK } : {},
      );
      expect(outcome).toMatchObject({
        kind: "failed",
        reason: expect.stringContaining("drops inbound texts"),
      });
      expect(outcome).toMatchObject({ fix: expect.stringContaining("Defer to sender's webhook") });
    }
    expect(await connect(channel(server.url, { inbound: "none" }))).toMatchObject({ kind: "ready" });
  });

  test("is fine when the service defers, calls our webhook itself, or is not this number's", async () => {
    const rows = [
      { row: serviceRow({ use_inbound_webhook_on_number: true }), members: [member] },
      { row: serviceRow({ inbound_request_url: HOOK }), members: [member] },
      { row: serviceRow(), members: [{ ...member, sid: "PN2", phone_number: "+15550000000" }] },
    ];
    for (const one of rows) {
      using server = twilio([numberRow()], [one]);
      expect(await connect(channel(server.url), { webhookUrl: HOOK })).toEqual({
        kind: "ready",
        numbers: [NUMBER],
        warnings: [],
      });
    }
  });
});

describe("connecting a Messaging Service", () => {
  const members = [
    { sid: "PN3", phone_number: "+15550000003", capabilities: ["Voice"] },
    { sid: PN, phone_number: NUMBER, capabilities: ["SMS", "MMS"] },
    { sid: "PN4", phone_number: "not a number", capabilities: ["SMS"] },
  ];
  const settings = (url: string, changes: Partial<ChannelSettings> = {}) =>
    channel(url, { sender: service, ...changes });

  test("points the service's own webhook at us and knows its SMS-capable numbers", async () => {
    using server = twilio([], [{ row: serviceRow(), members }]);
    const outcome = await connect(settings(server.url), { webhookUrl: HOOK });
    expect(outcome).toEqual({ kind: "ready", numbers: [NUMBER], warnings: [] });
    expect(sent(server.of("POST", SERVICE_PATH)[0])).toEqual({
      InboundRequestUrl: HOOK + CONNECTION_OVERRIDES,
      FallbackUrl: HOOK + CONNECTION_OVERRIDES,
    });
    await connect(settings(server.url), { webhookUrl: HOOK });
    expect(server.of("POST", SERVICE_PATH)).toHaveLength(1);
  });

  test("that defers to its numbers sets the webhook of each number", async () => {
    const row = serviceRow({ use_inbound_webhook_on_number: true });
    using server = twilio([numberRow()], [{ row, members }]);
    const outcome = await connect(settings(server.url), { webhookUrl: HOOK });
    expect(outcome).toEqual({ kind: "ready", numbers: [NUMBER], warnings: [] });
    expect(sent(server.of("POST", NUMBER_PATH)[0])).toMatchObject({ SmsUrl: HOOK + CONNECTION_OVERRIDES });
    expect(server.of("POST", SERVICE_PATH)).toHaveLength(0);
  });

  test("fails without a sender that can do SMS, and without the service itself", async () => {
    using empty = twilio([], [{ row: serviceRow(), members: [] }]);
    expect(await connect(settings(empty.url), { webhookUrl: HOOK })).toMatchObject({
      kind: "failed",
      reason: expect.stringContaining("has no sender"),
    });
    using voice = twilio([], [{ row: serviceRow(), members: members.slice(0, 1) }]);
    expect(await connect(settings(voice.url), { webhookUrl: HOOK })).toMatchObject({
      kind: "failed",
      reason: expect.stringContaining("can do SMS"),
    });
    using none = twilio([]);
    expect(await connect(settings(none.url), { webhookUrl: HOOK })).toMatchObject({
      kind: "failed",
      reason: expect.stringContaining(`no Messaging Service ${SERVICE_SID}`),
    });
  });

  test("with a short code or a WhatsApp sender only has that one to text to", async () => {
    using server = scripted(({ path }) => {
      if (path === SERVICE_PATH) return Response.json(serviceRow());
      if (path === `${SERVICE_PATH}/PhoneNumbers`) return Response.json({ phone_numbers: [], meta: {} });
      if (path === `${SERVICE_PATH}/ShortCodes`)
        return Response.json({ short_codes: [{ sid: "SC1", short_code: "22000" }], meta: {} });
      if (path === `${SERVICE_PATH}/ChannelSenders`)
        return Response.json({ senders: [{ sid: "XE1", sender: `whatsapp:${NUMBER}` }], meta: {} });
      return undefined;
    });
    const outcome = await connect(settings(server.url, { inbound: "none" }));
    expect(outcome).toEqual({ kind: "ready", numbers: ["22000", `whatsapp:${NUMBER}`], warnings: [] });
  });

  test("with register_webhook: false warns about another URL and fails where texts are dropped", async () => {
    using other = twilio(
      [],
      [{ row: serviceRow({ inbound_request_url: "https://other.example/" }), members }],
    );
    expect(await connect(settings(other.url), { webhookUrl: HOOK, register: false })).toMatchObject({
      kind: "ready",
      warnings: [
        { detail: expect.stringContaining("https://other.example/"), fix: expect.stringContaining(HOOK) },
      ],
    });
    using dropping = twilio([], [{ row: serviceRow(), members }]);
    expect(await connect(settings(dropping.url), { webhookUrl: HOOK, register: false })).toMatchObject({
      kind: "failed",
    });
    expect(await connect(settings(dropping.url, { inbound: "poll" }))).toMatchObject({ kind: "failed" });
    expect(await connect(settings(dropping.url, { inbound: "none" }))).toMatchObject({ kind: "ready" });
  });

  test("reads all pages of members, at the configured address only", async () => {
    using elsewhere = scripted(() => Response.json({ phone_numbers: [], meta: {} }));
    using server = scripted(({ path, query }) => {
      if (path === SERVICE_PATH) return Response.json(serviceRow());
      if (path !== `${SERVICE_PATH}/PhoneNumbers`) return undefined;
      const last = query.get("Page") === "1";
      return Response.json({
        phone_numbers: [{ sid: last ? "PN2" : "PN1", phone_number: last ? "+15550000002" : "+15550000001" }],
        meta: { next_page_url: last ? null : `${elsewhere.url}${SERVICE_PATH}/PhoneNumbers?Page=1` },
      });
    });
    const outcome = await connect(settings(server.url, { inbound: "none" }));
    expect(outcome).toMatchObject({ kind: "ready", numbers: ["+15550000001", "+15550000002"] });
    expect(elsewhere.requests).toHaveLength(0);
  });
});

describe("connecting a WhatsApp sender", () => {
  const sender = { kind: "number", number: `whatsapp:${NUMBER}` } as const;

  test("checks the credentials and says where the webhook is set by hand", async () => {
    using server = scripted(() => Response.json({ messages: [], next_page_uri: null }));
    const outcome = await connect(channel(server.url, { sender }), { webhookUrl: HOOK });
    expect(outcome).toMatchObject({ kind: "ready", numbers: [`whatsapp:${NUMBER}`] });
    expect(outcome).toMatchObject({ warnings: [{ fix: expect.stringContaining(HOOK) }] });
    expect(server.requests.every(({ method }) => method === "GET")).toBe(true);
  });

  test("fails on wrong credentials", async () => {
    using server = scripted(() => refusal(401, 20003, "no"));
    expect(await connect(channel(server.url, { sender }), { webhookUrl: HOOK })).toMatchObject({
      kind: "failed",
    });
  });
});

describe("the public URL", () => {
  async function probed(answer: () => Response) {
    using server = twilio([numberRow()]);
    using edge = scripted(answer);
    const outcome = await connect(channel(server.url), { webhookUrl: HOOK, publicUrl: `${edge.url}/base` });
    expect(edge.requests[0]?.path).toBe("/base/healthz");
    expect(edge.requests[0]?.headers.get("authorization")).toBeNull();
    return outcome;
  }

  test("that answers connects the channel", async () => {
    expect(await probed(() => new Response("ok"))).toEqual({
      kind: "ready",
      numbers: [NUMBER],
      warnings: [],
    });
  });

  test("that answers like a login page or another server is a warning", async () => {
    for (const status of [302, 401, 404])
      expect(await probed(() => new Response("", { status, headers: { location: "/login" } }))).toMatchObject(
        {
          kind: "ready",
          warnings: [
            {
              detail: expect.stringContaining(`answers ${status}`),
              fix: expect.stringContaining("server.public_url"),
            },
          ],
        },
      );
  });

  test("behind which nothing runs is unreachable, and passes by itself", async () => {
    for (const status of [500, 502, 503, 504, 521, 530]) {
      const outcome = await probed(() => new Response("bad gateway", { status }));
      expect(outcome).toMatchObject({
        kind: "unreachable",
        reason: expect.stringContaining(`answers ${status}`),
      });
      expect(outcome).toMatchObject({ fix: expect.stringContaining("tunnel") });
    }
    const ngrok = () => new Response("", { status: 404, headers: { "ngrok-error-code": "ERR_NGROK_3200" } });
    expect(await probed(ngrok)).toMatchObject({
      kind: "unreachable",
      reason: expect.stringContaining("NGROK"),
    });
  });

  test("that nobody serves is unreachable, with the webhook registered all the same", async () => {
    using server = twilio([numberRow()]);
    const edge = scripted(() => undefined);
    edge[Symbol.dispose]();
    const outcome = await connect(channel(server.url), { webhookUrl: HOOK, publicUrl: edge.url });
    expect(outcome).toMatchObject({
      kind: "unreachable",
      reason: expect.stringContaining("does not answer"),
    });
    expect(server.of("POST", NUMBER_PATH)).toHaveLength(1);
  });

  test("that is silent is given up after five seconds", async () => {
    using server = twilio([numberRow()]);
    const clock = manualClock();
    let asked = () => {};
    const reached = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const carrier = createTwilioCarrier({
      settings: channel(server.url),
      publicUrl: "https://sms.example.com",
      fetch(input, init) {
        if (!input.startsWith("https://sms.example.com")) return fetch(input, init);
        asked();
        return new Promise((_, reject) =>
          init?.signal?.addEventListener("abort", () => reject(new DOMException("", "AbortError"))),
        );
      },
      clock,
      log: recordingLog(),
    });
    const outcome = carrier.connect({ webhookUrl: HOOK, register: true }, NEVER);
    await reached;
    await clock.advance(5_000);
    expect(await outcome).toMatchObject({
      kind: "unreachable",
      reason: expect.stringContaining("within 5 s"),
    });
  });

  test("is not asked when nothing is delivered to it", async () => {
    using server = twilio([numberRow()]);
    using edge = scripted(() => new Response("", { status: 503 }));
    const outcome = await connect(channel(server.url, { inbound: "poll" }), { publicUrl: edge.url });
    expect(outcome).toMatchObject({ kind: "ready" });
    expect(edge.requests).toHaveLength(0);
  });

  test("with a password is asked with it, and the password is not shown", async () => {
    using server = twilio([numberRow()]);
    using edge = scripted(() => new Response("", { status: 503 }));
    const outcome = await connect(channel(server.url), {
      webhookUrl: HOOK,
      publicUrl: edge.url.replace("//", "//me:s%40cret@"),
    });
    expect(edge.requests[0]?.headers.get("authorization")).toBe(`Basic ${btoa("me:s@cret")}`);
    expect(JSON.stringify(outcome)).not.toContain("cret@");
  });
});

describe("a webhook Twilio cannot call", () => {
  const api = "https://api.twilio.com";

  test("is on this machine or network, or has an underscore in its host", () => {
    for (const url of [
      "http://localhost:8080/x",
      "http://192.168.1.5/x",
      "https://my_host.example.com/x",
      "http://[::1]/",
    ])
      expect(unusable(url, api), url).toMatchObject({ fix: expect.stringMatching(/\S/) });
    for (const url of ["https://sms.example.com/x", "https://172.32.0.1/x", "https://10.example.com/x"])
      expect(unusable(url, api), url).toBeUndefined();
  });

  test("may be local when the API is a simulator", () => {
    expect(unusable("http://127.0.0.1:8080/x", "http://127.0.0.1:4010")).toBeUndefined();
  });

  test("is no http URL at all", () => {
    expect(unusable("sms.example.com", api)).toBeDefined();
    expect(unusable("ftp://sms.example.com/", "http://127.0.0.1:4010")).toBeDefined();
  });
});

test("webhooks are the same whatever their overrides, default port or case of the host", () => {
  expect(sameWebhook(`${HOOK}#rc=3`, HOOK.replace(".com/", ".com:443/").replace("sms.", "SMS."))).toBe(true);
  expect(sameWebhook(HOOK, `${HOOK}x`)).toBe(false);
  expect(sameWebhook("", HOOK)).toBe(false);
});
