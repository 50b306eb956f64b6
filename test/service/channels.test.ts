import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  ACCOUNT_SID,
  AUTH_TOKEN,
  type Carrier,
  openCarrier,
  restOf,
  routedFetch,
  TWILIO_SMS,
  twilioSection,
} from "../support/carrier.ts";
import { closing } from "../support/cleanup.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import { openProxy, type ReverseProxy } from "../support/proxy.ts";
import {
  inboundParameters,
  NUMBER,
  PHONE,
  type Service,
  type ServiceOptions,
  STRANGER,
  startService,
} from "../support/service.ts";

setDefaultTimeout(20_000);

interface Setting extends Pick<ServiceOptions, "seams"> {
  readonly clock?: ManualClock;
  readonly outside?: Carrier;
  readonly channel?: Readonly<Record<string, unknown>>;
  readonly channels?: Readonly<Record<string, unknown>>;
  readonly twilio?: Readonly<Record<string, unknown>>;
  /** False: the tunnel is not up when the service starts. */
  readonly tunnel?: boolean;
}

async function start(
  setting: Setting = {},
): Promise<{ running: Service; outside: Carrier; front: ReverseProxy }> {
  const { clock } = setting;
  const outside = setting.outside ?? openCarrier(clock === undefined ? {} : { clock });
  const front = closing(openProxy());
  closing(outside);
  const service = closing(
    await startService({
      config: {
        server: { listen: "127.0.0.1:0", public_url: front.url },
        twilio: { ...twilioSection(outside), ...setting.twilio },
        channels: setting.channels ?? { sms: { ...TWILIO_SMS, allow_all_senders: true, ...setting.channel } },
      },
      carrier: outside,
      onListening: (url) => front.pointTo(setting.tunnel === false ? undefined : url),
      ...(clock === undefined ? {} : { clock }),
      ...(setting.seams === undefined ? {} : { seams: setting.seams }),
    }),
  );
  return { running: service, outside, front };
}

async function channel(running: Service, id = "sms") {
  return (await running.api("GET", `/channels/${id}`)).body;
}

async function becomes(running: Service, status: string): Promise<void> {
  await running.eventually(
    async () => (await channel(running)).status === status,
    `the channel to be ${status}`,
  );
}

async function numberRow(outside: Carrier): Promise<Record<string, unknown>> {
  const { incoming_phone_numbers: rows } = await restOf(outside, "IncomingPhoneNumbers.json");
  return (rows as Record<string, unknown>[])[0] ?? {};
}

describe("connecting a channel", () => {
  test("sets the number's webhook and its fallback, with overrides that make the carrier try again", async () => {
    const { running, outside, front } = await start();
    expect(await channel(running)).toMatchObject({ status: "connected", number: NUMBER });
    const row = await numberRow(outside);
    const url = `${front.url}/webhooks/twilio/sms`;
    for (const name of ["sms_url", "sms_fallback_url"]) {
      const [plain, overrides = ""] = String(row[name]).split("#");
      expect(plain).toBe(url);
      const values = new URLSearchParams(overrides);
      expect(Number(values.get("rc"))).toBeGreaterThan(0);
      expect(values.get("rp")?.split(",").sort()).toEqual(["5xx", "ct", "rt"]);
      expect(Number(values.get("tt") ?? 15_000)).toBeLessThanOrEqual(15_000);
    }
    expect([row.sms_method, row.sms_fallback_method]).toEqual(["POST", "POST"]);
  });

  test("only checks with register_webhook: false, and says what is to be set", async () => {
    const { running, outside, front } = await start({ channel: { register_webhook: false } });
    expect((await numberRow(outside)).sms_url).toBe("");
    const shown = await channel(running);
    expect(shown.status).toBe("connected");
    expect(shown.warnings).toMatchObject([
      {
        detail: expect.stringContaining("go to nobody"),
        fix: expect.stringContaining(`${front.url}/webhooks/twilio/sms`),
      },
    ]);
  });

  test("fails for a number that is not in the account, with what to do", async () => {
    const { running } = await start({ channel: { from_number: "+15550109999" } });
    const shown = await channel(running);
    expect(shown).toMatchObject({ status: "failed" });
    expect(shown.reason).toContain("+15550109999");
    expect(shown.fix).toBeString();
    expect((await fetch(`${running.publicUrl}/readyz`)).status).toBe(503);
  });

  test("fails with wrong credentials, never showing them, and is tried again every five minutes", async () => {
    const clock = manualClock();
    const outside = openCarrier({ clock });
    await outside.control.addFault({
      on: "request",
      kind: "error",
      code: 20003,
      status: 401,
      message: "Authenticate",
    });
    const { running } = await start({ clock, outside });
    const shown = await channel(running);
    expect(shown.status).toBe("failed");
    expect(shown.reason).toContain("20003");
    expect(shown.fix).toContain("auth_token");
    expect(JSON.stringify([shown, running.logs])).not.toContain(AUTH_TOKEN);
    await outside.control.clearFaults();
    await clock.advance(4 * 60_000);
    await running.until(async () => (await channel(running)).status === "failed", "still failed");
    await clock.advance(60_000);
    await becomes(running, "connected");
  });

  test("fails for a real mismatch of the auth token", async () => {
    const { running } = await start({ twilio: { auth_token: "not-the-token" } });
    expect(await channel(running)).toMatchObject({ status: "failed" });
    expect(JSON.stringify(running.logs)).not.toContain("not-the-token");
  });

  test("is reconnecting while the carrier does not answer, with growing pauses, until it does", async () => {
    const clock = manualClock();
    const outside = openCarrier({ clock });
    await outside.control.addFault({ on: "request", kind: "server_error", times: 3 });
    const { running } = await start({ clock, outside });
    const shown = await channel(running);
    expect(shown.status).toBe("reconnecting");
    expect(shown.reason).toBeString();
    expect(shown.fix).toBeString();
    const started = clock.now();
    await becomes(running, "connected");
    expect(clock.now() - started).toBeGreaterThanOrEqual(1_000 + 2_000 + 4_000 - 1);
  });

  test("is reconnecting while the public URL does not answer: a tunnel may come up later", async () => {
    const clock = manualClock();
    const { running, front } = await start({ clock, tunnel: false });
    const shown = await channel(running);
    expect(shown.status).toBe("reconnecting");
    expect(shown.reason).toContain("502");
    expect(shown.fix).toContain("tunnel");
    front.pointTo(running.publicUrl);
    await becomes(running, "connected");
    await running.text(PHONE, "hello");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("hello");
  });

  test("removes an application that would swallow the texts", async () => {
    const outside = openCarrier({
      seeds: {
        accounts: [{ sid: ACCOUNT_SID, authToken: AUTH_TOKEN }],
        numbers: [
          {
            number: NUMBER,
            account: ACCOUNT_SID,
            smsApplicationSid: "AP0123456789abcdef0123456789abcdef",
            smsUrl: "https://other.example.com/sms?key=secret-of-another",
          },
        ],
      },
    });
    const { running } = await start({ outside });
    expect((await numberRow(outside)).sms_application_sid).toBe("");
    await running.text(PHONE, "hello");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("hello");
    expect(JSON.stringify(running.logs)).not.toContain("secret-of-another");
  });

  test("fails for a number that cannot do SMS", async () => {
    const outside = openCarrier({
      seeds: {
        accounts: [{ sid: ACCOUNT_SID, authToken: AUTH_TOKEN }],
        numbers: [{ number: NUMBER, account: ACCOUNT_SID, sms: false }],
      },
    });
    const { running } = await start({ outside });
    const shown = await channel(running);
    expect(shown.status).toBe("failed");
    expect(shown.reason).toContain("SMS");
  });
});

describe("a failed channel", () => {
  test("admits texts; their turns and sends wait until it is connected", async () => {
    const clock = manualClock();
    const outside = openCarrier({ clock });
    await outside.control.addFault({ on: "request", kind: "error", code: 20003, status: 401 });
    const { running } = await start({ clock, outside });
    const parameters = inboundParameters(running, { Body: "while failed" });
    expect(
      (
        await running.webhook(parameters, {
          signedUrl: `${running.settings.server.publicUrl}/webhooks/twilio/sms`,
        })
      ).status,
    ).toBe(200);
    const { body: sent } = await running.api("POST", "/messages", {
      channel: "sms",
      to: STRANGER,
      body: "hello",
    });
    await clock.advance(60_000);
    expect(await running.message(parameters.MessageSid ?? "")).toMatchObject({ state: "queued" });
    expect((await running.api("GET", `/messages/${sent.id}`)).body.state).toBe("pending");
    await outside.control.clearFaults();
    await clock.advance(4 * 60_000);
    expect((await running.received(PHONE, 1))[0]?.text).toBe("while failed");
    await running.received(STRANGER, 1);
  });
});

describe("a Messaging Service", () => {
  const SERVICE = "MG0123456789abcdef0123456789abcdef";
  const SECOND = "+15550100002";

  async function withService(service: Readonly<Record<string, unknown>>): Promise<Service> {
    const outside = openCarrier({
      seeds: {
        accounts: [{ sid: ACCOUNT_SID, authToken: AUTH_TOKEN, numbers: [NUMBER, SECOND] }],
        services: [{ sid: SERVICE, account: ACCOUNT_SID, numbers: [NUMBER, SECOND], ...service }],
      },
    });
    const { from_number: _none, ...common } = TWILIO_SMS;
    const { running } = await start({
      outside,
      channels: { sms: { ...common, messaging_service_sid: SERVICE } },
    });
    return running;
  }

  for (const defers of [true, false]) {
    test(`that ${defers ? "defers to its numbers" : "has its own webhook"} does the whole scenario`, async () => {
      const running = await withService({ useInboundWebhookOnNumber: defers });
      const shown = await channel(running);
      expect(shown.status).toBe("pairing");
      expect(shown.pairing.number).toBe(NUMBER);
      expect(shown.pairing.sms_uri).toContain(NUMBER);
      await running.pair();
      await running.text(PHONE, "hello", SECOND);
      // From the number that was texted, whichever the service would have chosen.
      const [, answer] = await running.received(PHONE, 2);
      expect([answer?.from, answer?.text]).toEqual([SECOND, "hello"]);
      const { body } = await running.api("GET", "/messages?direction=outbound&limit=1");
      await running.until(
        async () => (await running.api("GET", `/messages/${body.items[0].id}`)).body.state === "delivered",
        "the delivery",
      );
    });
  }

  test("whose numbers are not known has no pairing link, and says what is missing", async () => {
    const clock = manualClock();
    const outside = openCarrier({ clock });
    const { from_number: _none, ...common } = TWILIO_SMS;
    const { running } = await start({
      outside,
      clock,
      channels: { sms: { ...common, messaging_service_sid: SERVICE } },
    });
    await becomes(running, "failed");
    const shown = await channel(running);
    expect(shown.pairing).toBeUndefined();
    expect(JSON.stringify(shown)).not.toContain("sms:");
    const [line] = await running.logged("pairing.code");
    expect(line?.fields.code).toBeString();
    const refused = await running.api("POST", "/channels/sms/pairing");
    expect(refused.status).toBe(409);
    expect(refused.body.detail).toContain("is not known yet");
    expect(refused.body.detail).toContain(shown.reason);
    expect(refused.body.fix).toBe(shown.fix);
    expect(running.logs.filter(({ event }) => event === "pairing.code")).toHaveLength(1);
  });

  test("refuses texts of another service, and ignores echoes of all its numbers", async () => {
    const running = await withService({});
    const url = { signedUrl: `${running.settings.server.publicUrl}/webhooks/twilio/sms` };
    const other = inboundParameters(running, { MessagingServiceSid: "MG00000000000000000000000000000000" });
    expect((await running.webhook(other, url)).status).toBe(403);
    const nobody = inboundParameters(running, { To: "+15550109999" });
    expect((await running.webhook(nobody, url)).status).toBe(403);
    for (const From of [NUMBER, SECOND]) {
      const echo = inboundParameters(running, { From, To: SECOND, MessagingServiceSid: SERVICE });
      expect((await running.webhook(echo, url)).status).toBe(200);
    }
    expect((await running.api("GET", "/messages?direction=inbound")).body.items).toEqual([]);
  });
});

describe("several channels in one process", () => {
  test("of different accounts keep to their own credentials, and one that fails leaves the others alone", async () => {
    const SECOND_ACCOUNT = "ACfedcba9876543210fedcba9876543210";
    const outside = openCarrier({
      seeds: {
        accounts: [
          { sid: ACCOUNT_SID, authToken: AUTH_TOKEN, numbers: [NUMBER] },
          { sid: SECOND_ACCOUNT, authToken: "the-second-token", numbers: ["+15550100002"] },
        ],
      },
    });
    const { running } = await start({
      outside,
      channels: {
        sms: { ...TWILIO_SMS, allow_all_senders: true },
        second: {
          ...TWILIO_SMS,
          from_number: "+15550100002",
          account_sid: SECOND_ACCOUNT,
          auth_token: "the-second-token",
          allow_all_senders: true,
        },
        third: { ...TWILIO_SMS, from_number: "+15550100003", allow_all_senders: true },
      },
    });
    expect((await channel(running, "third")).status).toBe("failed");
    await running.text(PHONE, "one");
    await running.received(PHONE, 1);
    await running.text(PHONE, "two", "+15550100002");
    const replies = await running.received(PHONE, 2);
    expect(replies.map(({ from, text }) => [from, text])).toEqual([
      [NUMBER, "one"],
      ["+15550100002", "two"],
    ]);
    const crossed = inboundParameters(running, {}, "second");
    const signedUrl = `${running.settings.server.publicUrl}/webhooks/twilio/second`;
    expect((await running.webhook(crossed, { channel: "second", signedUrl, token: AUTH_TOKEN })).status).toBe(
      403,
    );
    const first = { ...crossed, AccountSid: ACCOUNT_SID };
    expect((await running.webhook(first, { channel: "second", signedUrl })).status).toBe(403);
    expect((await running.webhook(crossed, { channel: "second", signedUrl })).status).toBe(200);
  });
});

describe("WhatsApp", () => {
  test("senders pair, ask and are answered on their own channel", async () => {
    const number = `whatsapp:${NUMBER}`;
    const phone = `whatsapp:${PHONE}`;
    const outside = openCarrier({
      seeds: {
        accounts: [{ sid: ACCOUNT_SID, authToken: AUTH_TOKEN }],
        numbers: [{ number, account: ACCOUNT_SID, smsUrl: "", whatsapp: true }],
      },
    });
    const { running, front } = await start({
      outside,
      channels: { sms: { ...TWILIO_SMS, from_number: number } },
    });
    expect((await channel(running)).warnings).toMatchObject([
      { detail: expect.stringContaining("console"), fix: expect.stringContaining("WhatsApp senders") },
    ]);
    // What the warning asks the operator to do.
    const row = await numberRow(outside);
    await fetch(`${outside.url}/2010-04-01/Accounts/${ACCOUNT_SID}/IncomingPhoneNumbers/${row.sid}.json`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${ACCOUNT_SID}:${AUTH_TOKEN}`)}` },
      body: new URLSearchParams({ SmsUrl: `${front.url}/webhooks/twilio/sms` }),
    });
    await running.pair(phone);
    await running.text(phone, "hello", number);
    const replies = await running.received(phone, 2);
    expect([replies[1]?.from, replies[1]?.text]).toEqual([number, "hello"]);
    await running.text(phone, "HELP", number);
    expect((await running.received(phone, 3))[2]?.text).toBe("HELP");
    const { body } = await running.api("POST", "/messages", {
      channel: "sms",
      to: "whatsapp:+15557650077",
      body: "hi",
    });
    await running.until(
      async () => (await running.api("GET", `/messages/${body.id}`)).body.state === "failed",
      "the closed window",
    );
    expect((await running.api("GET", `/messages/${body.id}`)).body.error).toMatchObject({ code: 63016 });
  });
});

test("the public URL is asked under its own name and never by a redirect", async () => {
  const outside = closing(openCarrier());
  const front = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => Response.redirect("http://127.0.0.1:1/"),
  });
  const service = closing(
    await startService({
      config: {
        server: { listen: "127.0.0.1:0", public_url: "https://sms.example.com" },
        twilio: twilioSection(outside),
        channels: { sms: { ...TWILIO_SMS, allow_all_senders: true } },
      },
      carrier: outside,
      seams: { fetch: routedFetch({ "https://sms.example.com": `http://127.0.0.1:${front.port}` }) },
    }),
  );
  const shown = await channel(service);
  expect(shown.warnings).toMatchObject([{ detail: expect.stringContaining("302") }]);
  await front.stop(true);
});
