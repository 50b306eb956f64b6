import { expect, setDefaultTimeout, test } from "bun:test";
import { openCarrier, restOf, TWILIO_SMS, twilioSection } from "../support/carrier.ts";
import { closing } from "../support/cleanup.ts";
import { openProxy } from "../support/proxy.ts";
import { startService } from "../support/service.ts";

setDefaultTimeout(20_000);

test("a channel's test looks at number, webhook and public URL, and says how the channel is", async () => {
  const service = closing(await startService());
  const { status, body } = await service.api("POST", "/channels/sms/test");
  expect(status).toBe(200);
  expect(body.ok).toBe(true);
  expect(body.findings.map(({ name, status }: { name: string; status: string }) => [name, status])).toEqual([
    ["channel sms", "ok"],
    ["channel sms", "ok"],
  ]);
  expect((await service.api("POST", "/channels/nope/test")).status).toBe(404);
});

test("a webhook that somebody else took over is found by the test, and left as it is", async () => {
  const carrier = closing(openCarrier());
  const front = closing(openProxy());
  const service = closing(
    await startService({
      config: {
        server: { listen: "127.0.0.1:0", public_url: front.url },
        twilio: twilioSection(carrier),
        channels: { sms: { ...TWILIO_SMS, register_webhook: false } },
      },
      onListening: (url) => front?.pointTo(url),
    }),
  );
  const before = await restOf(carrier, "IncomingPhoneNumbers.json");
  const { body } = await service.api("POST", "/channels/sms/test");
  const warnings = body.findings.filter(({ status }: { status: string }) => status === "warn");
  expect(warnings).toEqual([
    {
      name: "channel sms",
      status: "warn",
      detail: "Texts to +15550100001 go to nobody.",
      fix: expect.stringContaining(`${front.url}/webhooks/twilio/sms (HTTP POST) in the console`),
    },
  ]);
  expect(await restOf(carrier, "IncomingPhoneNumbers.json")).toEqual(before);
});

test("only a token with admin may ask for it", async () => {
  const service = closing(await startService());
  const made = await service.api("POST", "/tokens", { name: "reader", scopes: ["read"] });
  const response = await fetch(`${service.adminUrl}/api/v1/channels/sms/test`, {
    method: "POST",
    headers: { authorization: `Bearer ${made.body.token}` },
  });
  expect(response.status).toBe(403);
});
