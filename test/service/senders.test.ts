import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  ACCOUNT_SID,
  AUTH_TOKEN,
  type Carrier,
  openCarrier,
  TWILIO_SMS,
  twilioSection,
} from "../support/carrier.ts";
import { closing } from "../support/cleanup.ts";
import { cli } from "../support/cli.ts";
import { scriptedAgent, startModelServer } from "../support/model-server.ts";
import { openProxy, type ReverseProxy } from "../support/proxy.ts";
import { inboundParameters, NUMBER, PHONE, type Service, SMS, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

const SECOND_NUMBER = "+15550100002";
const SECOND_ACCOUNT = "ACfedcba9876543210fedcba9876543210";
const SECOND_TOKEN = "the-second-token";

async function start(
  outside: Carrier,
  config: Readonly<Record<string, unknown>>,
): Promise<{ running: Service; front: ReverseProxy }> {
  const front = closing(openProxy());
  closing(outside);
  const running = closing(
    await startService({
      config: {
        server: { listen: "127.0.0.1:0", public_url: front.url },
        twilio: twilioSection(outside),
        ...config,
      },
      carrier: outside,
      onListening: (url) => front.pointTo(url),
    }),
  );
  return { running, front };
}

describe("a WhatsApp sender", () => {
  const number = `whatsapp:${NUMBER}`;
  const phone = `whatsapp:${PHONE}`;
  const TEMPLATE = `HX${"a".repeat(32)}`;

  test("explains the 24-hour window, and sends a template outside of it, by API and command line", async () => {
    const outside = openCarrier({
      seeds: {
        accounts: [{ sid: ACCOUNT_SID, authToken: AUTH_TOKEN }],
        numbers: [{ number, account: ACCOUNT_SID, smsUrl: "", whatsapp: true }],
      },
    });
    const { running } = await start(outside, {
      channels: { sms: { ...TWILIO_SMS, from_number: number, allow_all_senders: true } },
    });
    const typed = await cli(running, "send", "hello", "--to", phone);
    expect(typed.code).toBe(0);
    const { items } = (await running.api("GET", "/messages?direction=outbound")).body;
    await running.until(
      async () => (await running.api("GET", `/messages/${items[0].id}`)).body.state === "failed",
      "the closed window",
    );
    expect((await running.api("GET", `/messages/${items[0].id}`)).body.error).toMatchObject({
      code: 63016,
      meaning: expect.stringContaining("24 hours"),
      fix: expect.stringContaining("content_sid"),
    });

    const template = ["--content-sid", TEMPLATE, "--content-variables", '{"1":"Ann"}'];
    const sent = await cli(running, "send", "--to", phone, ...template);
    expect(sent.code).toBe(0);
    const variables = { "1": "Ben" };
    const api = { channel: "sms", to: phone, content_sid: TEMPLATE, content_variables: variables };
    expect((await running.api("POST", "/messages", api)).status).toBe(202);
    const texts = await running.received(phone, 2);
    expect(texts.map(({ from, text }) => [from, text])).toEqual([
      [number, `[template ${TEMPLATE}] {"1":"Ann"}`],
      [number, `[template ${TEMPLATE}] {"1":"Ben"}`],
    ]);
  });
});

describe("several numbers of two accounts in one process", () => {
  test("keep the conversations of one person apart by the number that was texted", async () => {
    const scripted = closing(await startModelServer());
    const outside = openCarrier({
      seeds: {
        accounts: [
          { sid: ACCOUNT_SID, authToken: AUTH_TOKEN, numbers: [NUMBER] },
          { sid: SECOND_ACCOUNT, authToken: SECOND_TOKEN, numbers: [SECOND_NUMBER] },
        ],
      },
    });
    const common = { ...TWILIO_SMS, agent: "assistant", allow_all_senders: true };
    const { running } = await start(outside, {
      channels: {
        sms: common,
        second: {
          ...common,
          from_number: SECOND_NUMBER,
          account_sid: SECOND_ACCOUNT,
          auth_token: SECOND_TOKEN,
        },
      },
      agents: { assistant: scriptedAgent(scripted) },
    });
    const ask = async (text: string, answer: string, to: string, count: number) => {
      scripted.script({ text: answer });
      await running.text(PHONE, text, to);
      return (await running.received(PHONE, count)).at(-1);
    };
    expect(await ask("I am Ann", "Hello Ann.", NUMBER, 1)).toMatchObject({ from: NUMBER });
    expect(await ask("who am I?", "I do not know.", SECOND_NUMBER, 2)).toMatchObject({ from: SECOND_NUMBER });
    expect(JSON.stringify(scripted.requests[1]?.body.messages)).not.toContain("Ann");
    expect(await ask("and to you?", "You are Ann.", NUMBER, 3)).toMatchObject({
      from: NUMBER,
      text: "You are Ann.",
    });
    expect(JSON.stringify(scripted.requests[2]?.body.messages)).toContain("Hello Ann.");
    expect(JSON.stringify(scripted.requests[2]?.body.messages)).not.toContain("I do not know.");
    const { items } = (await running.api("GET", "/conversations")).body;
    const shown = items.map(({ channel, messages }: { channel: string; messages: number }) => [
      channel,
      messages,
    ]);
    expect(shown.sort()).toEqual([
      ["second", 2],
      ["sms", 4],
    ]);
  });
});

describe("an RCS sender", () => {
  const BANK = "rcs:example_bank_agent";

  test("is taken in as what it is: its code reaches who waits, and policies see its kind", async () => {
    const service = closing(
      await startService({
        config: { channels: { sms: { ...SMS, mode: "signal" } } },
      }),
    );
    const running = service;
    const parameters = inboundParameters(running, { From: BANK, Body: "Your code is 482913" });
    const call = running.api("POST", "/signals/await", { from: [BANK], timeout: "10s" });
    await running.until(
      async () => (await running.api("GET", "/watches?state=pending")).body.items.length === 1,
      "the wait",
    );
    expect((await running.webhook(parameters)).status).toBe(200);
    expect((await call).body).toMatchObject({ status: "matched", signal: { from: BANK, code: "482913" } });
  });

  test("is answered by the agent where a policy lets it in, and by nobody else", async () => {
    const policy = `@id("rcs") permit(principal, action == Policy::Action::"receive_message", resource)
      when { resource.sender.kind == "rcs" };`;
    const service = closing(
      await startService({
        files: { "policies/rcs.cedar": policy },
        config: { channels: { sms: { ...SMS, allowed_senders: [PHONE] } } },
      }),
    );
    const running = service;
    const parameters = inboundParameters(running, { From: BANK, Body: "hello" });
    expect((await running.webhook(parameters)).status).toBe(200);
    await running.logged("turn.done");
    expect(await running.message(parameters.MessageSid ?? "")).toMatchObject({
      from: BANK,
      route: "message",
      policies: ["rcs"],
    });
    const { items } = (await running.api("GET", "/messages?direction=outbound")).body;
    expect(items).toMatchObject([{ to: BANK, text: "hello" }]);
  });
});
