import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { run } from "../../src/cli/program.ts";
import { closing } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import { PHONE, type Service, type ServiceOptions, SMS, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

const HOUR = 3_600_000;

async function start(
  config: Readonly<Record<string, unknown>> = { home: { channel: "sms", address: PHONE } },
  options: ServiceOptions = {},
): Promise<Service> {
  const service = closing(
    await startService({
      ...options,
      config: { channels: { sms: { ...SMS, allow_all_senders: true } }, ...config },
    }),
  );
  return service;
}

describe("notify", () => {
  test("texts the home phone", async () => {
    const running = await start();
    const { status, body } = await running.api("POST", "/notify", { text: "The washing is done." });
    expect(status).toBe(202);
    expect(body).toEqual({ id: expect.stringMatching(/^msg_/), state: "pending" });
    expect((await running.received(PHONE, 1))[0]?.text).toBe("The washing is done.");
  });

  test("sends once however often it is tried with the same key", async () => {
    const running = await start();
    const key = { "idempotency-key": "wash-1" };
    const first = await running.api("POST", "/notify", { text: "Once." }, key);
    const second = await running.api("POST", "/notify", { text: "Once." }, key);
    expect(second.body.id).toBe(first.body.id);
    expect((await running.api("POST", "/notify", { text: "Twice." }, key)).status).toBe(409);
  });

  test("says what to write when no home is configured", async () => {
    const running = await start({});
    const { status, body } = await running.api("POST", "/notify", { text: "hello" });
    expect(status).toBe(409);
    expect(body.fix).toContain("home:");
  });

  test("says so when the home phone has opted out, and sends nothing", async () => {
    const running = await start();
    await running.admitted(PHONE, "STOP");
    const { status, body } = await running.api("POST", "/notify", { text: "hello" });
    expect(status).toBe(409);
    expect(body.detail).toContain("opted out");
    await running.app.idle();
    expect((await running.inbox(PHONE)).filter(({ text }) => text === "hello")).toEqual([]);
  });

  test("names its own field when the text cannot be sent", async () => {
    const running = await start();
    for (const text of ["", "  ", "x".repeat(1_601), "\u0000"]) {
      const { status, body } = await running.api("POST", "/notify", { text });
      expect(status).toBe(400);
      expect(body.errors[0].path).toBe("text");
    }
    expect((await running.api("POST", "/notify", { body: "hello" })).status).toBe(400);
  });

  test("is a verb of the command line", async () => {
    const running = await start();
    const target = ["--url", running.adminUrl, "--token", running.token];
    expect(await run(["notify", "From the shell.", ...target])).toBe(0);
    expect((await running.received(PHONE, 1))[0]?.text).toBe("From the shell.");
    expect(await run(["notify", " ", ...target])).toBe(2);
  });

  test("needs a token that may send, and on the channel of the home phone", async () => {
    const running = await start({
      channels: { sms: SMS, other: { ...SMS, from_number: "+15550100002" } },
      home: { channel: "sms", address: PHONE },
    });
    const as = async (scopes: readonly string[], channels?: readonly string[]) => {
      const { body } = await running.api("POST", "/tokens", {
        name: "test",
        scopes,
        ...(channels === undefined ? {} : { channels }),
      });
      return (
        await running.api("POST", "/notify", { text: "hello" }, { authorization: `Bearer ${body.token}` })
      ).status;
    };
    expect(await as(["read", "signals:await"])).toBe(403);
    expect(await as(["messages:send"], ["other"])).toBe(403);
    expect(await as(["messages:send"], ["sms"])).toBe(202);
  });
});

describe("the day's limit of segments", () => {
  const config = {
    home: { channel: "sms", address: PHONE },
    limits: { segments_per_day: 2 },
    timezone: "Europe/Berlin",
    prices: { currency: "EUR", outbound_segment: 0.1, inbound_segment: 0.05 },
  };

  test("holds what is beyond it, tells the operator once, and lets it go at local midnight", async () => {
    // 21:30 in Berlin.
    const clock = manualClock(Date.UTC(2026, 0, 1, 20, 30));
    const running = await start(config, { clock });
    for (const text of ["one", "two", "three", "four"]) await running.api("POST", "/notify", { text });
    await running.received(PHONE, 2);
    await running.logged("alert", { cause: `limits.segments_per_day/${Date.UTC(2026, 0, 1, 23)}` });
    const { body } = await running.api("GET", "/usage");
    expect(body.limits).toEqual({ segments_per_day: 2, used_today: 2 });
    const states = (await running.api("GET", "/messages?state=pending")).body.items;
    expect(states).toHaveLength(2);
    await clock.advance(Date.UTC(2026, 0, 1, 22, 59) - clock.now());
    expect(await running.inbox(PHONE)).toHaveLength(2);
    await clock.advance(60_000);
    const got = await running.received(PHONE, 4);
    expect(got.map(({ text }) => text)).toEqual(["one", "two", "three", "four"]);
    const alerts = running.logs.filter(({ event }) => event === "alert");
    expect(alerts).toHaveLength(1);
    expect((await running.api("GET", "/usage")).body.days.map(({ day }: { day: string }) => day)).toEqual([
      "2026-01-02",
      "2026-01-01",
    ]);
  });

  test("still holds after a restart, and what waits for four hours is given up", async () => {
    const clock = manualClock(Date.UTC(2026, 0, 1, 9));
    const running = await start(config, { clock });
    for (const text of ["one", "two", "three"]) await running.api("POST", "/notify", { text });
    await running.received(PHONE, 2);
    const service = await running.restart();
    expect((await service.api("GET", "/usage")).body.limits.used_today).toBe(2);
    await clock.advance(HOUR);
    expect((await service.api("GET", "/messages?state=pending")).body.items).toHaveLength(1);
    await clock.advance(3 * HOUR + 60_000);
    await service.eventually(
      async () => (await service?.api("GET", "/messages?state=failed"))?.body.items.length === 1,
      "the third to be given up",
    );
  });

  test("the usage has texts, segments and money of both ways", async () => {
    const running = await start({ ...config, limits: { segments_per_day: 500 } });
    await running.text(PHONE, "hello");
    await running.received(PHONE, 1);
    const { body } = await running.api("GET", "/usage?days=1");
    expect(body).toEqual({
      currency: "EUR",
      days: [
        {
          day: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
          channel: "sms",
          inbound: 1,
          outbound: 1,
          segments: 1,
          inbound_segments: 1,
          input_tokens: 0,
          output_tokens: 0,
          cost: 0.15,
        },
      ],
      limits: { segments_per_day: 500, used_today: 1 },
    });
    for (const days of ["0", "-1", "x", "1e9"])
      expect((await running.api("GET", `/usage?days=${days}`)).status).toBe(400);
  });
});

test("texts are gone when their time is over, while the service runs", async () => {
  const clock = manualClock();
  const running = await start({ retention: { messages: "2d" } }, { clock });
  await running.text(PHONE, "hello");
  await running.received(PHONE, 1);
  await clock.advance(40 * HOUR);
  expect((await running.api("GET", "/messages")).body.items).toHaveLength(2);
  await clock.advance(9 * HOUR);
  await running.eventually(
    async () => (await running.api("GET", "/messages")).body.items.length === 0,
    "the texts to be gone",
  );
  expect((await running.api("GET", "/conversations")).body.items).toEqual([]);
});
