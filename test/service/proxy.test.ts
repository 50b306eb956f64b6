import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { openCarrier, routedFetch, TWILIO_SMS, twilioSection } from "../support/carrier.ts";
import { closing } from "../support/cleanup.ts";
import { openProxy, type ReverseProxy } from "../support/proxy.ts";
import { PHONE, type Service, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

/** Pairing, one text, its reply and its delivery, with this public URL and this proxy before the service. */
async function scenario(
  publicUrl: string,
  strip?: string,
): Promise<{ readonly running: Service; readonly front: ReverseProxy }> {
  const front = closing(openProxy(strip === undefined ? {} : { strip }));
  const reachable = routedFetch({ [new URL(publicUrl).origin]: front.url });
  const carrier = closing(openCarrier({ fetch: reachable }));
  const service = closing(
    await startService({
      config: {
        server: { listen: "127.0.0.1:0", public_url: publicUrl },
        twilio: twilioSection(carrier),
        channels: { sms: TWILIO_SMS },
      },
      carrier,
      seams: { fetch: reachable },
      onListening: (url) => front.pointTo(url),
    }),
  );
  const { body: channel } = await service.api("GET", "/channels/sms");
  expect(channel.reason).toBe("Nobody may text the agent yet.");
  expect(channel.warnings).toBeUndefined();
  await service.pair();
  await service.text(PHONE, "hello 👋 1+1 &=?#%");
  const texts = await service.received(PHONE, 2);
  expect(texts[1]?.text).toBe("hello 👋 1+1 &=?#%");
  const reply = await deliveredReply(service, texts[1]?.sid ?? "");
  const states = reply.events.map((event: { state: string }) => event.state);
  expect([...new Set(states)]).toEqual(["pending", "sending", "queued", "sent", "delivered"]);
  return { running: service, front };
}

async function deliveredReply(running: Service, sid: string) {
  await running.logged("delivery.status", { sid, status: "delivered" });
  return running.message(sid);
}

describe("with a proxy in front", () => {
  test("that changes host, scheme and port, signatures are checked over the configured URL", async () => {
    const { front } = await scenario("https://sms.example.com");
    expect(front.requests.find(({ method }) => method === "POST")?.headers.get("host")).toBe(
      "sms.example.com",
    );
  });

  test("that strips the path prefix of the public URL, texts and callbacks arrive", async () => {
    const { front } = await scenario("https://sms.example.com/agent/sms", "/agent/sms");
    expect(front.requests.find(({ method }) => method === "POST")?.path).toBe(
      "/agent/sms/webhooks/twilio/sms",
    );
  });

  test("that keeps the path prefix of the public URL, texts and callbacks arrive", async () => {
    const { running } = await scenario("https://sms.example.com/agent/sms");
    expect((await fetch(`${running.publicUrl}/agent/sms/healthz`)).status).toBe(200);
  });

  test("on another port, the port is part of what is signed", async () => {
    await scenario("http://sms.example.com:8443/");
  });

  test("that asks for a password, the password is sent and not signed", async () => {
    const { running, front } = await scenario("https://user:s3cret%21@sms.example.com:443/hooks/");
    const called = front.requests.find(({ method }) => method === "POST");
    expect(called?.headers.get("authorization")).toBe(`Basic ${btoa("user:s3cret!")}`);
    expect(JSON.stringify(running.logs)).not.toContain("s3cret");
  });

  test("a text signed for what the proxy calls itself is refused", async () => {
    const { running, front } = await scenario("https://sms.example.com");
    for (const signedUrl of [
      `${running.publicUrl}/webhooks/twilio/sms`,
      "http://internal.invalid:3000/webhooks/twilio/sms",
      `${front.url}/webhooks/twilio/sms`,
      "http://sms.example.com/webhooks/twilio/sms",
      "https://sms.example.com.evil.example/webhooks/twilio/sms",
    ]) {
      const response = await running.webhook({ MessageSid: "SM1" }, { signedUrl });
      expect([signedUrl, response.status]).toEqual([signedUrl, 403]);
    }
    const right = await running.webhook(
      { MessageSid: "SM1" },
      { signedUrl: "https://sms.example.com:443/webhooks/twilio/sms" },
    );
    expect(right.status).toBe(400);
  });
});
