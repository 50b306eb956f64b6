import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { openCarrier, routedFetch, TWILIO_SMS, twilioSection } from "../support/carrier.ts";
import { closing } from "../support/cleanup.ts";
import { openProxy } from "../support/proxy.ts";
import { inboundParameters, newSid, PHONE, type Service, startService } from "../support/service.ts";
import { OPEN, start, startWithHook } from "./support.ts";

setDefaultTimeout(20_000);

/** A channel behind this public URL, reached directly. */
async function startBehind(publicUrl: string): Promise<Service> {
  const carrier = closing(openCarrier({ fetch: refusing }));
  const running = await startService({
    config: {
      server: { listen: "127.0.0.1:0", public_url: publicUrl },
      twilio: twilioSection(carrier),
      channels: { sms: { ...TWILIO_SMS, allow_all_senders: true } },
    },
    carrier,
    awaitChannels: false,
  });
  return closing(running);
}

/** The public URL leads nowhere in these tests. */
const refusing = routedFetch({ "https://sms.example.com": "http://127.0.0.1:1" });

const PATH = "/webhooks/twilio/sms";

describe("a webhook nobody signed", () => {
  test("runs no agent and keeps nothing, whatever stands where the signature should", async () => {
    const { running, agent } = await startWithHook();
    const parameters = inboundParameters(running, { Body: "run this for me" });
    for (const signature of [null, "", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "undefined", "null"])
      expect([signature, (await running.webhook(parameters, { signature })).status]).toEqual([
        signature,
        403,
      ]);
    expect((await running.webhook(parameters, { token: "a guessed token" })).status).toBe(403);
    expect(
      (await running.webhook({ ...parameters, Body: "run that" }, { signedUrl: "http://else" })).status,
    ).toBe(403);
    await running.app.idle();
    expect(agent.requests).toHaveLength(0);
    expect((await running.api("GET", "/messages")).body.items).toEqual([]);
  });
});

describe("a true signature is recognised", () => {
  test("behind a proxy that changes host, scheme and port", async () => {
    const proxy = closing(openProxy());
    const reachable = routedFetch({ "https://sms.example.com": proxy.url });
    const carrier = closing(openCarrier({ fetch: reachable }));
    const running = await start({
      config: {
        server: { listen: "127.0.0.1:0", public_url: "https://sms.example.com" },
        twilio: twilioSection(carrier),
        channels: { sms: { ...TWILIO_SMS, allow_all_senders: true } },
      },
      carrier,
      seams: { fetch: reachable },
      onListening: (url) => proxy.pointTo(url),
    });
    await running.text(PHONE, "through the tunnel");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("through the tunnel");
  });

  test("whether the signer has written the default port or not, and over no other URL", async () => {
    const running = await startBehind("https://sms.example.com");
    const status = async (origin: string) =>
      (await running.webhook(inboundParameters(running), { signedUrl: `${origin}${PATH}` })).status;
    expect(await status("https://sms.example.com")).toBe(200);
    expect(await status("https://sms.example.com:443")).toBe(200);
    expect(await status("https://sms.example.com:8443")).toBe(403);
    expect(await status("http://sms.example.com")).toBe(403);
    expect(await status(running.publicUrl)).toBe(403);
  });

  test("with blank values among the parameters", async () => {
    const running = await start();
    const parameters = inboundParameters(running, { Body: "", FromZip: "", FromCity: "", ToState: "" });
    expect((await running.webhook(parameters)).status).toBe(200);
    const { FromZip: _, ...without } = parameters;
    const signedWithout = inboundParameters(running, { FromCity: "" });
    expect((await running.webhook(signedWithout)).status).toBe(200);
    expect((await running.webhook({ ...without, FromZip: "x" }, { signature: "wrong" })).status).toBe(403);
  });

  test("with emoji, accents and scripts of several bytes a letter", async () => {
    const running = await start();
    for (const body of ["☕️ 👩‍👩‍👧", "naïve ünï ß", "日本語", "مرحبا", "1 + 1 = 2 & 50 %"]) {
      const parameters = inboundParameters(running, { Body: body });
      expect([body, (await running.webhook(parameters)).status]).toEqual([body, 200]);
      expect((await running.message(parameters.MessageSid ?? "")).text).toBe(body);
    }
  });
});

describe("the carrier's own addresses", () => {
  test("are not throttled, however many texts come from one of them", async () => {
    const running = await start({ config: { channels: { sms: { ...OPEN, mode: "signal" } } } });
    const answers = await Promise.all(
      Array.from({ length: 400 }, (_, n) =>
        running.webhook(inboundParameters(running, { From: `+1555030${String(n).padStart(4, "0")}` })),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });

  test("are not blocked by forgeries that come from the same address", async () => {
    const running = await start();
    await Promise.all(
      Array.from({ length: 300 }, () => running.webhook(inboundParameters(running), { signature: "forged" })),
    );
    const sid = newSid();
    expect((await running.webhook(inboundParameters(running, { MessageSid: sid }))).status).toBe(200);
    expect(await running.message(sid)).toMatchObject({ route: "message" });
  });
});

describe("a sender with a short number", () => {
  test("of five digits, or with a name, is taken in like any other", async () => {
    const running = await start();
    for (const from of ["22000", "262966", "MYBANK", "Big Bank 24"]) {
      const parameters = inboundParameters(running, { From: from, Body: `from ${from}` });
      expect([from, (await running.webhook(parameters)).status]).toEqual([from, 200]);
      expect(await running.message(parameters.MessageSid ?? "")).toMatchObject({
        from,
        route: "message",
        text: `from ${from}`,
      });
    }
  });
});
