import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { openCarrier, TWILIO_SMS, twilioSection } from "../support/carrier.ts";
import { afterTest, closing } from "../support/cleanup.ts";
import { NUMBER, PHONE } from "../support/service.ts";
import { scripted } from "../twilio/support.ts";
import { startWithModel } from "./support.ts";

setDefaultTimeout(20_000);

const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
  "base64",
);

/** A picture that the carrier redirects to another host for, as Twilio does, texted to a model that sees. */
async function texted() {
  const elsewhere = scripted(() => new Response(PNG, { headers: { "content-type": "image/png" } }));
  afterTest(() => elsewhere[Symbol.dispose]());
  const carrier = closing(openCarrier());
  const { running, model } = await startWithModel([{ text: "I see." }], {
    channel: { ...TWILIO_SMS, agent: "assistant", inbound: "poll", poll_interval: "1s" },
    config: { twilio: twilioSection(carrier) },
    options: { carrier },
  });
  const mediaUrls = [`${elsewhere.url}/picture.png`];
  await carrier.control.inbound({ from: PHONE, to: NUMBER, body: "look", mediaUrls });
  await running.received(PHONE, 1);
  return { elsewhere, shown: JSON.stringify(model.requests.at(-1)?.body.messages) };
}

describe("a picture behind a redirect to another host", () => {
  test("is fetched and shown to the model", async () => {
    const { shown } = await texted();
    expect(shown).toContain(PNG.toString("base64"));
  });

  test("is fetched there without the account's credentials", async () => {
    const { elsewhere } = await texted();
    expect(elsewhere.requests).toHaveLength(1);
    expect(elsewhere.requests[0]?.headers.has("authorization")).toBe(false);
  });
});
