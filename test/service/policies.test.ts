import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { closing } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import {
  inboundParameters,
  PHONE,
  type Service,
  type ServiceOptions,
  SMS,
  STRANGER,
  startService,
} from "../support/service.ts";

setDefaultTimeout(20_000);

async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = closing(await startService(options));
  return service;
}

const CODES_NUMBER = "+15550100002";
const CODES = { provider: "simulator", from_number: CODES_NUMBER, mode: "signal" } as const;
const OPEN = { ...SMS, allow_all_senders: true };

/** The service with these policies as `policies/test.cedar`. */
function withPolicies(text: string, config: Readonly<Record<string, unknown>> = {}): ServiceOptions {
  return { config: { policies: "./policies", ...config }, files: { "policies/test.cedar": text } };
}

function example(name: string): string {
  return readFileSync(join(import.meta.dir, "../../docs/examples/policies", name), "utf8");
}

const NO_SIGNALS = `@id("no-signals")
forbid (principal, action == Policy::Action::"receive_signal", resource);`;
const NO_MESSAGES = `@id("no-messages")
forbid (principal, action == Policy::Action::"receive_message", resource);`;

/** Everything the service has written, as bytes. */
function onDisk(running: Service): string {
  const folder = join(running.folder, "data");
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)).toString("latin1"))
    .join("\n");
}

async function expectNothingSent(running: Service, phone: string): Promise<void> {
  await running.app.idle();
  const { body } = await running.api(
    "GET",
    `/messages?direction=outbound&address=${encodeURIComponent(phone)}`,
  );
  expect(body.items).toEqual([]);
  expect(await running.inbox(phone)).toEqual([]);
}

describe("the route of a text", () => {
  test("in message mode with receive_message allowed is a turn for the agent", async () => {
    const running = await start({ config: { channels: { sms: { ...SMS, allowed_senders: [STRANGER] } } } });
    const sid = await running.admitted(STRANGER, "hello agent");
    expect((await running.received(STRANGER, 1))[0]?.text).toBe("hello agent");
    const message = await running.message(sid);
    expect(message).toMatchObject({
      route: "message",
      state: "handled",
      from: STRANGER,
      text: "hello agent",
    });
    expect(message.policies).toEqual(["allowed-senders:sms"]);
    expect(message.turn_id).toBeString();
    expect(message.conversation_id).toBeString();
  });

  test("in message mode does not need receive_signal to reach the agent", async () => {
    const running = await start(withPolicies(NO_SIGNALS, { channels: { sms: OPEN } }));
    const sid = await running.admitted(STRANGER, "hello agent");
    expect((await running.received(STRANGER, 1))[0]?.text).toBe("hello agent");
    // Why a watch got nothing: what forbade it is named behind what let the text reach the agent.
    expect((await running.message(sid)).policies).toEqual(["allow-all:sms", "no-signals"]);
  });

  test("in message mode with receive_signal alone never reaches the agent, and its text is not kept", async () => {
    const running = await start(withPolicies(NO_MESSAGES, { channels: { sms: OPEN } }));
    const sid = await running.admitted(STRANGER, "sesame-open-7431");
    const message = await running.message(sid);
    expect(message).toMatchObject({ route: "signal", state: "dropped", from: "+1555***3333" });
    expect(message.text).toBeUndefined();
    expect(message.policies).toContain("no-messages");
    expect(message.error.meaning).toContain("no-messages");
    await expectNothingSent(running, STRANGER);
    expect(onDisk(running)).not.toContain("sesame-open-7431");
    expect(onDisk(running)).not.toContain(STRANGER);
  });

  test("in message mode with both denied is dropped: nothing but id, time, reason and a redacted sender", async () => {
    const running = await start(withPolicies(`${NO_MESSAGES}\n${NO_SIGNALS}`, { channels: { sms: OPEN } }));
    const sid = await running.admitted(STRANGER, "sesame-open-7431");
    const message = await running.message(sid);
    expect(message).toMatchObject({
      route: "dropped",
      state: "dropped",
      from: "+1555***3333",
      provider_sid: sid,
    });
    expect(message.text).toBeUndefined();
    expect(message.policies.sort()).toEqual(["no-messages", "no-signals"]);
    expect(message.created_at).toBeString();
    await expectNothingSent(running, STRANGER);
    expect(onDisk(running)).not.toContain("sesame-open-7431");
    expect(onDisk(running)).not.toContain(STRANGER);
    expect(JSON.stringify(running.logs)).not.toContain("sesame-open-7431");
    expect(JSON.stringify(running.logs)).not.toContain(STRANGER);
  });

  test("in signal mode with receive_signal allowed is kept and never answered", async () => {
    const running = await start({ config: { channels: { codes: CODES } } });
    const sid = await running.admitted("22000", "Your code is 482913", CODES_NUMBER);
    expect(await running.message(sid)).toMatchObject({
      route: "signal",
      state: "received",
      from: "22000",
      text: "Your code is 482913",
      policies: ["all-signals"],
    });
    await expectNothingSent(running, "22000");
  });

  test("in signal mode reaches no agent, even from a sender that may text it", async () => {
    const running = await start({
      config: { channels: { codes: { ...CODES, agent: "parrot", allow_all_senders: true } } },
    });
    const sid = await running.admitted(PHONE, "hello?", CODES_NUMBER);
    expect(await running.message(sid)).toMatchObject({ route: "signal", state: "received" });
    await expectNothingSent(running, PHONE);
  });

  test("in signal mode with receive_signal denied is dropped", async () => {
    const running = await start(withPolicies(NO_SIGNALS, { channels: { codes: CODES } }));
    const sid = await running.admitted("22000", "Your code is 482913", CODES_NUMBER);
    const message = await running.message(sid);
    expect(message).toMatchObject({
      route: "dropped",
      state: "dropped",
      from: "2***0",
      policies: ["no-signals"],
    });
    expect(message.text).toBeUndefined();
    expect(onDisk(running)).not.toContain("482913");
  });

  test("of a denied sender leaves no media and no parameters either", async () => {
    const running = await start();
    const parameters = inboundParameters(running, {
      From: STRANGER,
      NumMedia: "1",
      MediaUrl0: "https://api.twilio.com/media/ME-secret-picture",
      MediaContentType0: "image/png",
      FromCity: "SECRET-TOWN",
    });
    await running.webhook(parameters);
    expect((await running.message(parameters.MessageSid ?? "")).media).toEqual([]);
    expect(onDisk(running)).not.toContain("ME-secret-picture");
    expect(onDisk(running)).not.toContain("SECRET-TOWN");
  });
});

describe("the example policies", () => {
  const OWN = "+15550100009";
  const PARTNER = "+15550100001";
  const config = {
    policies: "./policies",
    channels: {
      sms: { ...SMS, from_number: OWN, agent: "assistant" },
      second: { ...SMS, from_number: CODES_NUMBER, agent: "assistant" },
      third: { ...SMS, from_number: "+15550100003", agent: "other" },
      codes: { ...CODES, from_number: "+15550100004" },
    },
    agents: { assistant: { type: "echo" }, other: { type: "echo" } },
  };
  const files = {
    "policies/partner.cedar": example("partner.cedar"),
    "policies/block-short-code.cedar": example("block-short-code.cedar"),
  };

  test("let a partner's number text one agent on one channel by address, without pairing", async () => {
    const running = await start({ config, files });
    const sid = await running.admitted(PARTNER, "order 66", OWN);
    expect((await running.received(PARTNER, 1))[0]?.text).toBe("order 66");
    expect(await running.message(sid)).toMatchObject({ route: "message", policies: ["partner-may-text"] });
    for (const elsewhere of [CODES_NUMBER, "+15550100003"]) {
      const other = await running.admitted(PARTNER, "order 67", elsewhere);
      expect(await running.message(other)).toMatchObject({ route: "signal", state: "dropped" });
    }
    const stranger = await running.admitted(STRANGER, "me too?", OWN);
    expect(await running.message(stranger)).toMatchObject({ state: "dropped" });
    await expectNothingSent(running, STRANGER);
    const { body: channel } = await running.api("GET", "/channels/sms");
    expect(channel.paired_addresses).toBe(0);
  });

  test("forbid a short code everywhere, whatever else permits it", async () => {
    const running = await start({
      config: {
        ...config,
        channels: { ...config.channels, sms: { ...config.channels.sms, allow_all_senders: true } },
      },
      files,
    });
    for (const number of [OWN, CODES_NUMBER, "+15550100004"]) {
      const sid = await running.admitted("22000", "Your code is 482913", number);
      const message = await running.message(sid);
      expect([number, message.route, message.state]).toEqual([number, "dropped", "dropped"]);
      expect(message.policies).toEqual(["block-22000"]);
      expect(message.text).toBeUndefined();
    }
    await expectNothingSent(running, "22000");
    const other = await running.admitted("22001", "Your code is 482914", OWN);
    expect(await running.message(other)).toMatchObject({ route: "message" });
  });
});

describe("starting with policies", () => {
  async function refusal(text: string): Promise<string> {
    return start(withPolicies(text)).then(
      () => "it started",
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
  }

  test("is refused when a policy names an agent or channel that is not configured, with the nearest name", async () => {
    expect(await refusal(`forbid (principal == Policy::Agent::"parot", action, resource);`)).toContain(
      "parrot",
    );
    expect(
      await refusal(
        `forbid (principal, action == Policy::Action::"receive_message", resource in Policy::Channel::"smss");`,
      ),
    ).toContain('"sms"');
  });

  test("is refused for a syntax error and for a duplicate id", async () => {
    expect(await refusal("permit (principal, action, resource")).toContain("test.cedar:1:");
    expect(await refusal(`${NO_SIGNALS}\n${NO_SIGNALS}`)).toContain("no-signals");
  });

  test("replaces a default by a policy with its id", async () => {
    const running = await start(
      withPolicies(`@id("paired-senders")
forbid (principal, action == Policy::Action::"receive_message", resource) when { false };`),
    );
    await running.pair();
    const sid = await running.admitted(PHONE, "I am paired");
    expect(await running.message(sid)).toMatchObject({ route: "signal", state: "dropped" });
    const { body } = await running.api("GET", "/policies");
    const found = body.items.filter((policy: { id: string }) => policy.id === "paired-senders");
    expect(found).toHaveLength(1);
    expect(found[0].source).toContain("test.cedar:1");
  });

  test("gives a policy without @id its file and position as name", async () => {
    const running = await start(
      withPolicies(`forbid (principal, action == Policy::Action::"receive_signal", resource);`),
    );
    const sid = await running.admitted(STRANGER, "hello");
    const message = await running.message(sid);
    expect(message.route).toBe("dropped");
    expect(message.policies).toEqual(["test.cedar:1:1"]);
  });
});

describe("just before the agent runs", () => {
  const SLOW = { ...SMS, debounce: "30s" };

  test("a sender whose pairing was revoked meanwhile is denied, and the text is erased", async () => {
    const clock = manualClock();
    const running = await start({ clock, config: { channels: { sms: SLOW } } });
    await running.pair();
    const sid = await running.admitted(PHONE, "sesame-open-7431");
    expect(await running.message(sid)).toMatchObject({
      route: "message",
      state: "queued",
      text: "sesame-open-7431",
    });
    await running.api("DELETE", `/channels/sms/addresses/${encodeURIComponent(PHONE)}`);
    await clock.advance(30_000);
    await running.logged("turn.denied");
    await running.app.idle();
    const message = await running.message(sid);
    expect(message).toMatchObject({ state: "dropped", from: "+1555***4321" });
    expect(message.text).toBeUndefined();
    expect(await running.inbox(PHONE)).toHaveLength(1);
    const { body } = await running.api("GET", "/messages?direction=outbound");
    expect(body.items).toHaveLength(1);
    await running.stop();
    expect(onDisk(running)).not.toContain("sesame-open-7431");
  });

  test("the mode of that moment counts: in signal mode the text is kept and not answered", async () => {
    const clock = manualClock();
    let running = await start({ clock, config: { channels: { sms: { ...SLOW, allow_all_senders: true } } } });
    const sid = await running.admitted(STRANGER, "is anybody there?");
    running = await running.restart({
      config: { channels: { sms: { ...SLOW, mode: "signal" } } },
    });
    await clock.advance(30_000);
    await running.logged("turn.denied");
    await running.app.idle();
    expect(await running.message(sid)).toMatchObject({
      route: "signal",
      state: "received",
      text: "is anybody there?",
      from: STRANGER,
    });
    await expectNothingSent(running, STRANGER);
  });

  test("the policies of that moment count, for each text of the turn by itself", async () => {
    const clock = manualClock();
    const shared = { ...SLOW, session: "shared", allowed_senders: [PHONE, STRANGER] };
    let running = await start({ clock, config: { channels: { sms: shared } } });
    const mine = await running.admitted(PHONE, "mine");
    const theirs = await running.admitted(STRANGER, "theirs");
    running = await running.restart({
      config: { channels: { sms: { ...shared, allowed_senders: [PHONE] } } },
    });
    await clock.advance(30_000);
    expect((await running.received(PHONE, 1))[0]?.text).toBe("mine");
    expect(await running.message(mine)).toMatchObject({ state: "handled" });
    expect(await running.message(theirs)).toMatchObject({ state: "dropped" });
    await expectNothingSent(running, STRANGER);
  });

  test("who opted out meanwhile gets no turn", async () => {
    const clock = manualClock();
    const running = await start({
      clock,
      config: { channels: { sms: { ...SLOW, allow_all_senders: true } } },
    });
    const sid = await running.admitted(STRANGER, "a question");
    await running.admitted(STRANGER, "stop");
    await clock.advance(60_000);
    await running.app.idle();
    expect(await running.message(sid)).toMatchObject({ state: "dropped" });
    const { body } = await running.api("GET", "/messages?direction=outbound");
    expect(body.items).toEqual([]);
  });
});

describe("a reply that send_message forbids", () => {
  test("is shown as suppressed with the policy that forbade it, and not sent", async () => {
    const running = await start(
      withPolicies(
        `@id("mute") forbid (principal, action == Policy::Action::"send_message", resource) when { resource.address == "${STRANGER}" };`,
        { channels: { sms: OPEN } },
      ),
    );
    const sid = await running.admitted(STRANGER, "answer me");
    await running.logged("reply.forbidden");
    await running.app.idle();
    expect(await running.message(sid)).toMatchObject({ state: "handled" });
    const { body } = await running.api("GET", "/messages?direction=outbound");
    expect(body.items).toHaveLength(1);
    expect(body.items[0]).toMatchObject({
      state: "suppressed",
      to: STRANGER,
      text: "answer me",
      policies: ["mute"],
    });
    expect(body.items[0].error.meaning).toContain("mute");
    expect(await running.inbox(STRANGER)).toEqual([]);
  });

  test("is suppressed by the default deny when no policy permits it", async () => {
    const running = await start(
      withPolicies(
        `@id("reply-and-paired") forbid (principal, action == Policy::Action::"send_message", resource) when { false };`,
        { channels: { sms: OPEN } },
      ),
    );
    await running.text(STRANGER, "answer me");
    await running.logged("reply.forbidden");
    await running.app.idle();
    const { body } = await running.api("GET", "/messages?direction=outbound");
    expect(body.items[0]).toMatchObject({ state: "suppressed" });
    const sent = await running.api("POST", "/messages", {
      channel: "sms",
      to: STRANGER,
      body: "from the operator",
    });
    expect(sent.status).toBe(202);
    expect((await running.received(STRANGER, 1))[0]?.text).toBe("from the operator");
  });
});

describe("the list of policies", () => {
  test("shows defaults, generated ones and files, with what each has decided", async () => {
    const running = await start(
      withPolicies(NO_SIGNALS, {
        channels: { sms: { ...SMS, allowed_senders: [PHONE], allow_all_senders: false } },
      }),
    );
    await running.admitted(PHONE, "one");
    await running.received(PHONE, 1);
    await running.admitted(STRANGER, "two");
    const { body } = await running.api("GET", "/policies");
    const byId = new Map(body.items.map((policy: { id: string }) => [policy.id, policy]));
    expect([...byId.keys()].sort()).toEqual([
      "all-signals",
      "allowed-senders:sms",
      "configured-tools",
      "no-signals",
      "paired-senders",
      "reply-and-paired",
    ]);
    expect(byId.get("paired-senders")).toMatchObject({ effect: "permit", source: "default" });
    expect(byId.get("allowed-senders:sms")).toMatchObject({ effect: "permit", source: "generated" });
    expect(byId.get("no-signals")).toMatchObject({ effect: "forbid", text: NO_SIGNALS });
    const hits = byId.get("no-signals") as { hits: number };
    expect(hits.hits).toBeGreaterThan(0);
    const before = hits.hits;
    await running.api("POST", "/policies/check", {
      action: "receive_signal",
      channel: "sms",
      from: STRANGER,
    });
    const again = await running.api("GET", "/policies");
    expect(again.body.items.find((policy: { id: string }) => policy.id === "no-signals").hits).toBe(before);
  });

  test("tells for any sender whether it would get through, and why", async () => {
    const running = await start({ config: { channels: { sms: { ...SMS, allowed_senders: [STRANGER] } } } });
    await running.pair();
    const check = (body: Record<string, unknown>) =>
      running.api("POST", "/policies/check", { channel: "sms", ...body });
    expect((await check({ action: "receive_message", from: PHONE })).body).toEqual({
      decision: "allow",
      policies: ["paired-senders"],
      errors: [],
    });
    expect((await check({ action: "receive_message", from: STRANGER })).body.policies).toEqual([
      "allowed-senders:sms",
    ]);
    expect((await check({ action: "receive_message", from: "22000" })).body).toEqual({
      decision: "deny",
      policies: [],
      errors: [],
    });
    expect((await check({ action: "receive_signal", from: "22000" })).body.decision).toBe("allow");
    expect((await check({ action: "send_message", from: PHONE })).body.decision).toBe("allow");
    expect((await check({ action: "send_message", from: STRANGER })).body.decision).toBe("deny");
    await running.text(STRANGER, "hi");
    await running.received(STRANGER, 1);
    expect((await check({ action: "send_message", from: STRANGER })).body.decision).toBe("allow");
    const wrong = await check({ action: "receive_message", from: "not a number at all!" });
    expect([wrong.status, wrong.body.errors[0].path]).toEqual([400, "from"]);
    const nobody = await check({ action: "receive_message", from: PHONE, agent: "nobody" });
    expect([nobody.status, nobody.body.errors[0].path]).toEqual([400, "agent"]);
    expect(
      (await running.api("POST", "/policies/check", { channel: "x", action: "receive_message", from: PHONE }))
        .status,
    ).toBe(404);
  });
});
