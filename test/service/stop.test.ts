import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { cli } from "../support/cli.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import { type ModelServer, scriptedAgent, startModelServer } from "../support/model-server.ts";
import { PHONE, type Service, SMS, startService } from "../support/service.ts";

setDefaultTimeout(30_000);

const ANNA = "+15557770001";
const MINUTE = 60_000;

interface World {
  readonly service: Service;
  readonly model: ModelServer;
  readonly clock: ManualClock;
}

async function start(config: Readonly<Record<string, unknown>> = {}): Promise<World> {
  const scripted = closing(await startModelServer());
  const clock = manualClock(Date.parse("2026-05-05T04:50:00Z"));
  const running = closing(
    await startService({
      clock,
      config: {
        channels: { sms: { ...SMS, agent: "assistant" } },
        agents: {
          assistant: scriptedAgent(scripted, {
            tools: ["remind", "send_message", "await_signal"],
            confirm: ["await_signal"],
          }),
        },
        timezone: "Europe/Berlin",
        home: { channel: "sms", address: PHONE, label: "Home" },
        ...config,
      },
    }),
  );
  await running.pair();
  return { service: running, model: scripted, clock };
}

interface Shown {
  readonly id: string;
  readonly text: string;
  readonly to: string;
  readonly state: string;
  readonly created_at: string;
  readonly error?: { readonly meaning: string; readonly fix: string };
}

async function outbound(service: Service, since: number): Promise<readonly Shown[]> {
  const { body } = await service.api("GET", "/messages?direction=outbound&limit=100");
  return body.items.filter((item: Shown) => Date.parse(item.created_at) >= since).reverse();
}

/** Texts STOP; answers how many texts the phone has by then, and when it was. */
async function stop({ service, clock }: World): Promise<{ had: number; since: number }> {
  await service.admitted(PHONE, "STOP");
  // The carrier answers STOP by itself.
  await service.eventually(async () => (await service.inbox(PHONE)).length > 0, "the carrier's own answer");
  await clock.advance(MINUTE);
  return { had: (await service.inbox(PHONE)).length, since: clock.now() };
}

/** Nothing came since, and what was meant to come is kept as suppressed, with the reason. */
async function expectSilence(world: World, from: { had: number; since: number }, ...texts: string[]) {
  const { service, clock } = world;
  await clock.advance(MINUTE);
  await service.until(
    async () => (await outbound(service, from.since)).length >= texts.length,
    "what was suppressed",
  );
  const kept = await outbound(service, from.since);
  expect(kept.map(({ text, state }) => [text, state])).toEqual(texts.map((text) => [text, "suppressed"]));
  for (const { error } of kept) {
    expect(error?.meaning).toContain("opted out");
    expect(error?.fix).toContain("START");
  }
  expect(await service.inbox(PHONE)).toHaveLength(from.had);
}

const call = (name: string, args: Readonly<Record<string, unknown>>) => ({
  toolCalls: [{ name, arguments: args }],
});

describe("after STOP nothing goes out, and it says why:", () => {
  test("a reply that was being written", async () => {
    const world = await start();
    const { service, model, clock } = world;
    model.script("hang");
    const sid = await service.admitted(PHONE, "tell me a story");
    await model.received(1);
    const from = await stop(world);
    await clock.advance(10 * MINUTE);
    expect(await service.inbox(PHONE)).toHaveLength(from.had);
    const message = await service.message(sid);
    expect(message.state).toBe("dropped");
    expect(message.error.meaning).toContain("STOP");
    expect(await outbound(service, from.since)).toEqual([]);
  });

  test("what the operator sends, notifies and uploads, by API and command line", async () => {
    const world = await start();
    const { service } = world;
    const from = await stop(world);
    const sent = await service.api("POST", "/messages", { channel: "sms", to: PHONE, body: "one" });
    expect([sent.status, sent.body.state]).toEqual([202, "suppressed"]);
    const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    const upload = await fetch(`${service.adminUrl}/api/v1/media?channel=sms`, {
      method: "POST",
      headers: { authorization: `Bearer ${service.token}`, "content-type": "image/png" },
      body: png,
    });
    const { url } = JSON.parse(await upload.text());
    const picture = { channel: "sms", to: PHONE, body: "two", media_urls: [url] };
    expect((await service.api("POST", "/messages", picture)).body.state).toBe("suppressed");
    const notified = await service.api("POST", "/notify", { text: "three" });
    expect(notified.status).toBe(409);
    expect(notified.body).toMatchObject({
      detail: expect.stringContaining("opted out"),
      fix: expect.stringContaining("START"),
    });
    const typed = await cli(service, "send", "four", "--to", PHONE, "--channel", "sms");
    expect(typed.out).toContain("suppressed");
    const told = await cli(service, "notify", "five");
    expect(told.code).toBe(1);
    expect(told.out).toContain("opted out");
    await expectSilence(world, from, "one", "two", "four");
  });

  test("reminders, of texts and of prompts, and a schedule", async () => {
    const world = await start({
      schedules: [
        {
          name: "morning",
          cron: "0 7 * * *",
          timezone: "Europe/Berlin",
          agent: "assistant",
          prompt: "Weather",
        },
      ],
    });
    const { service, model, clock } = world;
    model.script(
      {
        toolCalls: [
          { name: "remind", arguments: { text: "Tea", in_minutes: 6 } },
          { name: "remind", arguments: { prompt: "Make tea", in_minutes: 7 } },
        ],
      },
      { text: "Set." },
    );
    await service.text(PHONE, "tea twice");
    await service.received(PHONE, 2);
    const from = await stop(world);
    const asked = model.requests.length;
    await clock.advance(11 * MINUTE);
    await service.logged("schedule.due");
    await expectSilence(world, from, "Tea", "Make tea", "Weather");
    expect(model.requests).toHaveLength(asked);
    expect(
      service.logs.filter(({ event }) => event === "reminder.due").map(({ fields }) => fields.outcome),
    ).toEqual(["suppressed", "suppressed"]);
    const alerts = service.logs.filter(({ event }) => event === "alert");
    expect(alerts.map(({ fields }) => fields.cause)).toEqual(["schedule.undone/morning"]);
  });

  test("the parts of a long reply that wait for MORE", async () => {
    const world = await start();
    const { service, model } = world;
    model.script({ text: Array.from({ length: 500 }, (_, i) => `word${i}`).join(" ") });
    await service.text(PHONE, "a long one");
    expect((await service.received(PHONE, 2)).at(-1)?.text).toEndWith("[MORE?]");
    const from = await stop(world);
    const sid = await service.admitted(PHONE, "MORE");
    expect(await service.message(sid)).toMatchObject({
      state: "dropped",
      error: { meaning: expect.stringContaining("STOP") },
    });
    await expectSilence(world, from);
  });

  test("what an agent texts to somebody who has opted out: its model is told", async () => {
    const world = await start();
    const { service, model } = world;
    await service.pair(ANNA);
    await service.api("PATCH", `/channels/sms/addresses/${ANNA}`, { label: "Anna" });
    const from = await stop(world);
    model.script(call("send_message", { to: "Home", text: "Your turn" }), { text: "They have opted out." });
    const sid = await service.admitted(ANNA, "tell them");
    await service.received(ANNA, 2);
    const told = JSON.stringify(model.requests.at(-1)?.body.messages.filter(({ role }) => role === "tool"));
    expect(told).toContain("has opted out with STOP, so nothing is sent");
    expect((await service.message(sid)).turn.calls).toMatchObject([
      { tool: "send_message", outcome: "failed", reason: expect.stringContaining("opted out") },
    ]);
    const [kept] = (await outbound(service, from.since)).filter(({ to }) => to === PHONE);
    expect(kept).toMatchObject({ text: "Your turn", state: "suppressed" });
    expect(await service.inbox(PHONE)).toHaveLength(from.had);
  });

  test("the code that would confirm a call", async () => {
    const world = await start();
    const { service, model, clock } = world;
    // The model answers only when the person has opted out, so the call comes too late to be asked for.
    model.script(call("remind", { prompt: "Wait for the code", in_minutes: 3 }), { text: "Set." });
    await service.text(PHONE, "later");
    await service.received(PHONE, 2);
    await service.simulator.addFault({ on: "send", kind: "throttle" });
    model.script(call("await_signal", { from: ["22000"] }));
    await clock.advance(3 * MINUTE);
    await service.logged("tool.confirmation_asked");
    const from = await stop(world);
    await service.simulator.clearFaults();
    await clock.advance(2 * MINUTE);
    await service.eventually(
      async () =>
        (await outbound(service, 0)).some(
          ({ text, state }) => text.startsWith("Allow await signal") && state === "suppressed",
        ),
      "the code to be suppressed",
    );
    expect(await service.inbox(PHONE)).toHaveLength(from.had);
    expect((await service.api("GET", "/watches")).body.items).toEqual([]);
  });
});
