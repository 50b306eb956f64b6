import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openCarrier, TWILIO_SMS, twilioSection } from "../support/carrier.ts";
import { closing } from "../support/cleanup.ts";
import { inboundParameters, PHONE, type Service, STRANGER, startService } from "../support/service.ts";
import { OTHER, startWithHook } from "./support.ts";

setDefaultTimeout(20_000);

const SECRET = "xylophone";

/** Everything that makes a line of the log, each with the secret word and a whole number in it. */
async function everything(): Promise<Service> {
  const { running, agent } = await startWithHook({
    channel: { allow_all_senders: false },
  });
  await running.pair();
  await running.text(PHONE, `${SECRET} ${OTHER}`);
  await running.received(PHONE, 2);
  await running.admitted(STRANGER, `your ${SECRET} code is 482913`);
  agent.respond(() => ({ status: 400 }));
  await running.text(PHONE, `fail, ${SECRET}`);
  await running.logged("turn.failed");
  for (const [code, message] of [
    [21_211, undefined],
    [29_999, `The number ${OTHER} is odd`],
  ] as const) {
    const fault = {
      on: "send",
      kind: "error",
      code,
      times: 1,
      ...(message === undefined ? {} : { message }),
    };
    await running.simulator.addFault({ ...fault, match: { to: OTHER } });
    await running.api("POST", "/messages", { channel: "sms", to: OTHER, body: SECRET });
  }
  await running.logged("send.refused", {}, 2);
  await running.api("POST", "/signals/await", { from: OTHER, match: SECRET, timeout: 0 });
  await running.api("POST", "/messages", { channel: SECRET, to: OTHER, body: SECRET });
  await running.webhook(inboundParameters(running, { Body: SECRET }), { signature: SECRET });
  await running.webhook(inboundParameters(running, { Body: SECRET, To: OTHER }));
  await running.webhook(inboundParameters(running, { Body: SECRET, From: OTHER }));
  await running.webhook(inboundParameters(running, { Body: "STOP" }));
  await running.api("POST", "/messages", { channel: "sms", to: PHONE, body: SECRET });
  await running.logged("send.suppressed");
  return running;
}

test("no line of the log holds a word of a text, at whatever level, whatever goes wrong", async () => {
  const running = await everything();
  expect(running.logs.length).toBeGreaterThan(20);
  for (const line of running.logs) {
    const text = JSON.stringify(line);
    expect([text, text.includes(SECRET)]).toEqual([text, false]);
    expect([text, text.includes("482913")]).toEqual([text, false]);
  }
});

test("no line of the log holds a person's whole number, at whatever level, whatever goes wrong", async () => {
  const running = await everything();
  for (const line of running.logs) {
    const text = JSON.stringify(line);
    for (const phone of [PHONE, STRANGER, OTHER])
      expect([text, text.includes(phone.slice(1))]).toEqual([text, false]);
  }
  expect(JSON.stringify(running.logs)).toContain("+1555***4321");
});

test("what a sentence says of a number is whole for the operator, and redacted in the log", async () => {
  const carrier = closing(openCarrier());
  const lost = { ...TWILIO_SMS, inbound: "poll", from_number: OTHER };
  const config = { twilio: twilioSection(carrier), channels: { lost } };
  const running = closing(await startService({ config }));
  const [alert] = await running.logged("alert", { cause: "channel.failed/lost" });
  expect(alert?.fields.reason).toContain("number +1555***0002 is not in the Twilio account");
  expect((await running.api("GET", "/channels/lost")).body.reason).toContain(OTHER);
  writeFileSync(
    join(running.folder, "sms.yaml"),
    `channels:
  sms: { provider: simulator, agent: a, from_number: "whatsapp:${OTHER}" }
  two: { provider: simulator, agent: a, from_number: ${OTHER.slice(1)} }
  three: { provider: simulator, agent: a, from_number: "+1 (555) 765-0002" }
  four: { provider: simulator, agent: a, from_number: "+15550100004", allowed_senders: ["${PHONE.slice(1)}"] }
agents: { a: { type: echo } }
`,
  );
  await running.app.configuration.reload();
  expect(running.logs.filter(({ event }) => event === "config.problem").length).toBeGreaterThan(2);
  expect(running.app.configuration.error()?.message).toContain(OTHER);
  for (const line of running.logs)
    for (const phone of [PHONE, OTHER])
      expect([
        line,
        JSON.stringify(line)
          .replace(/[ ().-]/g, "")
          .includes(phone.slice(2)),
      ]).toEqual([line, false]);
});
