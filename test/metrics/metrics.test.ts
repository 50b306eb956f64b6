import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { COUNTERS, GAUGES, HISTOGRAMS } from "../../src/metrics.ts";
import { afterTest } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import { startModelServer } from "../support/model-server.ts";
import { inboundParameters, PHONE, SMS, STRANGER } from "../support/service.ts";
import { makeToken } from "../tokens/support.ts";
import { readExposition } from "./exposition.ts";
import { scrape, start } from "./support.ts";

setDefaultTimeout(20_000);

describe("GET /metrics", () => {
  test("is Prometheus' text format, and every metric begins with sms_agent_", async () => {
    const service = await start();
    const response = await fetch(`${service.adminUrl}/metrics`, {
      headers: { authorization: `Bearer ${service.token}` },
    });
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const families = readExposition(await response.text());
    expect(families.length).toBeGreaterThan(30);
    for (const { name, help } of families) {
      expect(name).toStartWith("sms_agent_");
      expect(help).not.toBe("");
    }
  });

  test("needs a token that may read, of the whole service", async () => {
    const service = await start();
    const status = async (token?: string) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      return (await fetch(`${service.adminUrl}/metrics`, { headers })).status;
    };
    expect(await status()).toBe(401);
    expect(await status("wrong")).toBe(401);
    expect(await status((await makeToken(service, { scopes: ["messages:send"] })).token)).toBe(403);
    expect(await status((await makeToken(service, { scopes: ["read"], channels: ["sms"] })).token)).toBe(403);
    expect(await status((await makeToken(service, { scopes: ["read"] })).token)).toBe(200);
  });

  test("is not on the public listener", async () => {
    const service = await start();
    const headers = { authorization: `Bearer ${service.token}` };
    expect((await fetch(`${service.publicUrl}/metrics`, { headers })).status).toBe(404);
  });

  test("is described in the OpenAPI document", async () => {
    const service = await start();
    const headers = { authorization: `Bearer ${service.token}` };
    const document: unknown = await (await fetch(`${service.adminUrl}/openapi.json`, { headers })).json();
    expect(document).toHaveProperty([
      "paths",
      "/metrics",
      "get",
      "responses",
      "200",
      "content",
      "text/plain",
    ]);
  });

  test("answers many who ask at once", async () => {
    const service = await start();
    const scrapes = await Promise.all(Array.from({ length: 20 }, () => scrape(service)));
    for (const one of scrapes)
      expect(one.value("channel_status", { channel: "sms", status: "connected" })).toBe(1);
  });
});

describe("the metrics", () => {
  test("follow a text from the webhook to the phone", async () => {
    const service = await start();
    await service.text(PHONE, "Hello");
    await service.received(PHONE, 1);
    await service.logged("delivery.status", { status: "delivered" });
    const { value } = await scrape(service);
    expect(value("inbound_total", { channel: "sms", route: "message" })).toBe(1);
    expect(value("segments_total", { channel: "sms", direction: "inbound" })).toBe(1);
    expect(value("policy_decisions_total", { action: "receive_message", decision: "allow" })).toBeGreaterThan(
      0,
    );
    expect(value("turns_total", { channel: "sms", agent: "parrot", outcome: "done" })).toBe(1);
    expect(value("turn_duration_seconds_count", { agent: "parrot" })).toBe(1);
    expect(value("turn_wait_seconds_count", { agent: "parrot" })).toBe(1);
    for (const state of ["pending", "sending", "queued", "delivered"])
      expect([state, value("deliveries_total", { channel: "sms", state })]).toEqual([state, 1]);
    expect(value("send_attempts_total", { channel: "sms", outcome: "accepted" })).toBe(1);
    expect(value("send_duration_seconds_count", { channel: "sms" })).toBe(1);
    expect(value("segments_total", { channel: "sms", direction: "outbound" })).toBe(1);
    expect(value("http_requests_total", { listener: "public", status: "2xx" })).toBeGreaterThanOrEqual(2);
    expect(value("turns", { state: "queued" })).toBe(0);
    expect(value("outbox_depth", { state: "pending" })).toBe(0);
    expect(value("process_resident_memory_bytes")).toBeGreaterThan(1_000_000);
    expect(value("process_open_fds")).toBeGreaterThan(0);
    expect(value("process_cpu_seconds_total")).toBeGreaterThan(0);
    expect(value("event_loop_lag_seconds")).toBeGreaterThanOrEqual(0);
    expect(value("database_bytes")).toBeGreaterThan(4_096);
    expect(value("build_info", { version: "0.0.0-test" })).toBe(1);
  });

  test("count a text that the carrier delivers twice once, and the second one as a duplicate", async () => {
    const service = await start();
    const parameters = inboundParameters(service);
    await service.webhook(parameters);
    await service.webhook(parameters);
    const { value } = await scrape(service);
    expect(value("inbound_total", { channel: "sms", route: "message" })).toBe(1);
    expect(value("inbound_duplicates_total", { channel: "sms" })).toBe(1);
  });

  test("count refused webhooks by their reason", async () => {
    const service = await start();
    await service.webhook(inboundParameters(service), { signature: null });
    await service.webhook(inboundParameters(service), { signature: "wrong" });
    await service.webhook(inboundParameters(service, { To: "+15550109999" }));
    const { value } = await scrape(service);
    expect(value("webhook_refused_total", { channel: "sms", reason: "signature" })).toBe(2);
    expect(value("webhook_refused_total", { channel: "sms", reason: "account" })).toBe(1);
    expect(value("http_requests_total", { listener: "public", status: "4xx" })).toBe(3);
    expect(value("inbound_total", { channel: "sms", route: "message" })).toBeUndefined();
  });

  test("count turns by their outcome, those that a command has cancelled among them", async () => {
    const model = await startModelServer();
    afterTest(model.stop);
    const service = await start({
      config: {
        channels: { sms: { ...SMS, agent: "assistant" } },
        agents: {
          assistant: {
            type: "llm",
            provider: "openai-compatible",
            base_url: model.baseUrl,
            model: "m",
            tools: [],
          },
        },
      },
    });
    await service.pair();
    model.script({ text: "Fine.", usage: { prompt: 11, completion: 7 } }, { status: 401 }, "hang");
    await service.text(PHONE, "How are you?");
    await service.logged("turn.done");
    await service.text(PHONE, "And now?");
    await service.logged("turn.failed");
    await service.text(PHONE, "Still there?");
    await model.received(3);
    await service.text(PHONE, "/stop");
    await service.logged("turn.cancelled");
    const { value } = await scrape(service);
    const turns = (outcome: string) => value("turns_total", { channel: "sms", agent: "assistant", outcome });
    expect([turns("done"), turns("failed"), turns("cancelled")]).toEqual([1, 1, 1]);
    expect(value("agent_tokens_total", { agent: "assistant", direction: "input" })).toBe(11);
    expect(value("agent_tokens_total", { agent: "assistant", direction: "output" })).toBe(7);
    expect(value("alerts", { kind: "agent.failed" })).toBe(1);
  });

  test("show the outbox, how old its oldest text is, and the status of the channel that holds it", async () => {
    const clock = manualClock();
    const service = await start({
      clock,
      config: { channels: { sms: { ...SMS, enabled: false } } },
    });
    await service.api("POST", "/messages", { channel: "sms", to: PHONE, body: "One" });
    await clock.advance(60_000);
    await service.api("POST", "/messages", { channel: "sms", to: PHONE, body: "Two" });
    await clock.advance(30_000);
    const { value } = await scrape(service);
    expect(value("outbox_depth", { state: "pending" })).toBe(2);
    expect(value("outbox_oldest_seconds")).toBe(90);
    expect(value("channel_status", { channel: "sms", status: "disabled" })).toBe(1);
    expect(value("channel_status", { channel: "sms", status: "connected" })).toBe(0);
  });

  test("ask the store at most every five seconds, however many ask for them", async () => {
    const clock = manualClock();
    const service = await start({ clock, config: { channels: { sms: { ...SMS, enabled: false } } } });
    expect((await scrape(service)).value("outbox_depth", { state: "pending" })).toBe(0);
    await service.api("POST", "/messages", { channel: "sms", to: PHONE, body: "One" });
    await clock.advance(4_900);
    expect((await scrape(service)).value("outbox_depth", { state: "pending" })).toBe(0);
    await clock.advance(200);
    expect((await scrape(service)).value("outbox_depth", { state: "pending" })).toBe(1);
  });

  test("show watches, signals and what their time was over for", async () => {
    const service = await start({ config: { channels: { sms: { ...SMS, mode: "signal" } } } });
    await service.api("POST", "/watches", { channel: "sms", expires_in: "1h" });
    expect((await scrape(service)).value("watches_pending")).toBe(1);
    await service.text("22000", "Your code is 482913");
    await service.logged("watch.matched");
    await service.api("POST", "/signals/await", {
      channel: "sms",
      from: "+15550007777",
      timeout: "0s",
      backfill: "0s",
    });
    const { value } = await scrape(service);
    expect(value("signals_matched_total", { channel: "sms" })).toBe(1);
    expect(value("watches_expired_total")).toBe(1);
    expect(value("inbound_total", { channel: "sms", route: "signal" })).toBe(1);
  });

  test("show what a webhook of sms.yaml has not been told, without the path of its URL", async () => {
    const consumer = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response("no", { status: 410 }),
    });
    afterTest(() => consumer.stop(true));
    const service = await start({
      config: {
        channels: { sms: { ...SMS, allow_all_senders: true } },
        webhooks: [
          {
            url: `http://127.0.0.1:${consumer.port}/hidden-path`,
            secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            events: ["message.received"],
          },
        ],
      },
    });
    await service.admitted(PHONE, "Hello");
    await service.logged("alert"); // once the pause is on disk
    const { value, text } = await scrape(service);
    const webhook = `1 (http://127.0.0.1:${consumer.port})`;
    expect(value("webhook_backlog_events", { webhook })).toBe(1);
    expect(value("webhook_paused", { webhook })).toBe(1);
    expect(value("webhook_posts_total", { outcome: "gone" })).toBe(1);
    expect(text).not.toContain("hidden-path");
  });

  test("count anew after a restart", async () => {
    const first = await start();
    await first.text(PHONE, "Hello");
    await first.received(PHONE, 1);
    const second = await first.restart();
    afterTest(second.close);
    expect(
      (await scrape(second)).value("inbound_total", { channel: "sms", route: "message" }),
    ).toBeUndefined();
  });
});

describe("a label", () => {
  test("never holds a number, a text, a token or an address of the network", async () => {
    const service = await start({ config: { channels: { sms: SMS } } });
    await service.pair();
    await service.text(PHONE, "the secret word is xylophone");
    await service.admitted(STRANGER, "who are you, xylophone?");
    await service.admitted("22000", "Your code is 482913");
    await service.received(PHONE, 2);
    const guesses = Array.from({ length: 60 }, (_, guess) =>
      fetch(`${service.adminUrl}/api/v1/channels`, { headers: { authorization: `Bearer guess-${guess}` } }),
    );
    await service.logged("alert", { cause: "credentials/127.0.0.1" });
    await Promise.all(guesses);
    const { text, value } = await scrape(service);
    expect(value("alerts", { kind: "credentials" })).toBe(1);
    for (const secret of [
      "+1555",
      "7654321",
      "3333",
      "22000",
      "xylophone",
      "482913",
      "127.0.0.1",
      service.token,
      "guess",
    ])
      expect([secret, text.includes(secret)]).toEqual([secret, false]);
  });

  test("cannot be made by whoever sends requests or texts", async () => {
    const service = await start();
    const traffic = async (round: number) => {
      for (let sender = 0; sender < 5; sender++)
        await service.webhook(
          inboundParameters(service, { From: `+1555020${round}${sender}00`, Body: `${round} ${sender}` }),
        );
      await service.webhook(inboundParameters(service), { signature: "wrong" });
      for (const path of [`/webhooks/twilio/ghost-${round}`, `/made-up-${round}`, `/media/${round}`])
        await fetch(`${service.publicUrl}${path}`, { method: "POST" });
      await service.webhook(inboundParameters(service, { To: `+1555090${round}000` }));
      await fetch(`${service.adminUrl}/api/v1/nowhere-${round}`);
      await service.logged("delivery.status", { status: "delivered" }, 5 * round);
    };
    await traffic(1);
    await scrape(service);
    const before = (await scrape(service)).series;
    for (const round of [2, 3, 4]) await traffic(round);
    const after = await scrape(service);
    expect(after.series).toBe(before);
    expect(after.text).not.toContain("ghost");
  });
});

test("docs/OPERATING.md has every metric there is, and no other", async () => {
  const service = await start();
  const { families } = await scrape(service);
  const page = readFileSync(join(import.meta.dir, "../../docs/OPERATING.md"), "utf8");
  const documented = [...page.matchAll(/^\| `(sms_agent_\w+)`/gm)].map((match) => match[1] ?? "");
  expect(documented.sort()).toEqual(families.map(({ name }) => name).sort());
  const tables = { ...COUNTERS, ...HISTOGRAMS, ...GAUGES };
  for (const [name, { labels }] of Object.entries(tables)) {
    const row = page.split("\n").find((line) => line.startsWith(`| \`sms_agent_${name}\``)) ?? "";
    for (const label of labels) expect(row, name).toContain(`\`${label}\``);
  }
});
