import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import { type ModelServer, scriptedAgent, startModelServer } from "../support/model-server.ts";
import { NUMBER, PHONE, type Service, startService } from "../support/service.ts";

setDefaultTimeout(30_000);

const OTHER = "+15557650001";
const MINUTE = 60_000;

interface World {
  service: Service;
  readonly model: ModelServer;
  readonly clock: ManualClock;
}

async function start(at: string, config: Readonly<Record<string, unknown>> = {}): Promise<World> {
  const model = closing(await startModelServer());
  const clock = manualClock(Date.parse(at));
  const service = closing(
    await startService({
      clock,
      config: {
        channels: { sms: { provider: "simulator", from_number: NUMBER, agent: "assistant", debounce: "0s" } },
        agents: {
          assistant: scriptedAgent(model, {
            tools: ["remind"],
          }),
        },
        timezone: "Europe/Berlin",
        ...config,
      },
    }),
  );
  await service.pair();
  return { service, model, clock };
}

/** Has the agent call `remind`; resolves with what it was told. */
async function remind(world: World, args: Readonly<Record<string, unknown>>, phone = PHONE): Promise<string> {
  const { service, model } = world;
  const before = (await service.inbox(phone)).length;
  model.script({ toolCalls: [{ name: "remind", arguments: args }] }, { text: "Done." });
  await service.text(phone, "remind me");
  await service.received(phone, before + 1);
  const last = model.requests.at(-1)?.body.messages ?? [];
  return String(last.findLast((message) => message.role === "tool")?.content);
}

/** Lets the service be down until `at`, then starts it again. */
async function downUntil(world: World, at: string): Promise<void> {
  await world.service.stop();
  await world.clock.advance(Date.parse(at) - world.clock.now());
  world.service = await world.service.restart();
}

async function due(world: World, count: number, event = "reminder.due"): Promise<void> {
  await world.service.logged(event, {}, count);
}

/** The outbound texts the service has made since `since`, newest first. */
async function outbound(world: World, since: number) {
  const { body } = await world.service.api("GET", "/messages?direction=outbound&limit=50");
  return (
    body.items as { text: string; state: string; created_at: string; error?: { meaning: string } }[]
  ).filter((item) => Date.parse(item.created_at) >= since);
}

describe("a reminder", () => {
  test("set by text arrives at its minute after a restart and across the change to summer time", async () => {
    const world = await start("2026-03-28T20:00:00Z");
    expect(await remind(world, { text: "Take the pills", at: "07:30" })).toContain(
      "Sunday, 29 March 2026, 07:30 (Europe/Berlin)",
    );
    await downUntil(world, "2026-03-29T05:29:00Z");
    await world.clock.advance(59_000);
    expect(await outbound(world, Date.parse("2026-03-29T00:00:00Z"))).toEqual([]);
    await world.clock.advance(2_000);
    await due(world, 1);
    const texts = await world.service.received(PHONE, 1);
    expect(texts.map(({ text }) => text)).toEqual(["Take the pills"]);
    const [made] = await outbound(world, Date.parse("2026-03-29T00:00:00Z"));
    expect(made?.created_at.slice(0, 16)).toBe("2026-03-29T05:30");
  });

  for (const [change, zone, evening, at] of [
    ["to winter time", "Europe/Berlin", "2026-10-24T19:00:00Z", "2026-10-25T06:30:00Z"],
    ["to summer time", "America/New_York", "2026-03-07T23:00:00Z", "2026-03-08T11:30:00Z"],
    ["to winter time", "America/New_York", "2026-10-31T22:00:00Z", "2026-11-01T12:30:00Z"],
  ] as const)
    test(`arrives at its minute after a restart and across the change ${change} in ${zone}`, async () => {
      const world = await start(evening, { timezone: zone });
      await remind(world, { text: "Take the pills", at: "07:30" });
      await downUntil(world, new Date(Date.parse(at) - MINUTE).toISOString());
      const since = world.clock.now();
      await world.clock.advance(MINUTE - 1_000);
      expect(await outbound(world, since)).toEqual([]);
      await world.clock.advance(2_000);
      await due(world, 1);
      await world.service.received(PHONE, 1);
      expect(
        (await outbound(world, since)).map(({ text, created_at }) => [text, created_at.slice(0, 16)]),
      ).toEqual([["Take the pills", at.slice(0, 16)]]);
    });

  test("at a time that a clock change leaves out comes after the gap, and at one that comes twice comes once", async () => {
    const spring = await start("2026-03-07T23:00:00Z", { timezone: "America/New_York" });
    await remind(spring, { text: "Gap", at: "2026-03-08T02:30" });
    const since = spring.clock.now() + 1;
    await spring.clock.advance(Date.parse("2026-03-08T08:00:00Z") - spring.clock.now());
    await due(spring, 1);
    expect((await outbound(spring, since)).map(({ created_at }) => created_at.slice(0, 16))).toEqual([
      "2026-03-08T07:30",
    ]);
    await spring.service.close();

    const autumn = await start("2026-10-31T22:00:00Z", { timezone: "America/New_York" });
    await remind(autumn, { text: "Twice", at: "2026-11-01T01:30" });
    const then = autumn.clock.now() + 1;
    await autumn.clock.advance(Date.parse("2026-11-01T08:00:00Z") - autumn.clock.now());
    await due(autumn, 1);
    expect((await outbound(autumn, then)).map(({ created_at }) => created_at.slice(0, 16))).toEqual([
      "2026-11-01T05:30",
    ]);
  });

  test("that repeats stays at its time across the change to winter time, each time once", async () => {
    const world = await start("2026-10-23T20:00:00Z");
    await remind(world, { text: "Good morning", repeat: "daily", time: "07:30" });
    const since = world.clock.now() + 1;
    for (const [i, at] of [
      "2026-10-24T05:30:00Z",
      "2026-10-25T06:30:00Z",
      "2026-10-26T06:30:00Z",
    ].entries()) {
      await downUntil(world, new Date(Date.parse(at) - MINUTE).toISOString());
      expect(await outbound(world, since)).toHaveLength(i);
      await world.clock.advance(2 * MINUTE);
      await due(world, 1);
      await world.clock.advance(2 * MINUTE);
      const made = await outbound(world, since);
      expect(made).toHaveLength(i + 1);
      expect(made[0]?.created_at.slice(0, 16)).toBe(at.slice(0, 16));
    }
  });

  test("missed while the service was down comes late and says so, a repeating one only once", async () => {
    const world = await start("2026-05-04T20:00:00Z");
    await remind(world, { text: "Water the plants", repeat: "daily", time: "07:30" });
    const since = world.clock.now() + 1;
    await downUntil(world, "2026-05-08T10:00:00Z");
    await world.service.received(PHONE, 1);
    await world.clock.advance(5 * MINUTE);
    expect((await outbound(world, since)).map(({ text }) => text)).toEqual([
      "Water the plants (meant for 07:30)",
    ]);
    await downUntil(world, "2026-05-08T10:30:00Z");
    await world.clock.advance(5 * MINUTE);
    expect(await outbound(world, since)).toHaveLength(1);
  });

  test("with a prompt runs the agent at that time in the same conversation", async () => {
    const world = await start("2026-05-04T20:00:00Z");
    await remind(world, { prompt: "Say how the garden is", in_minutes: 10 });
    world.model.script({ text: "The garden is dry." });
    await world.clock.advance(10 * MINUTE);
    const texts = await world.service.received(PHONE, 3);
    expect(texts.at(-1)?.text).toBe("The garden is dry.");
    expect(JSON.stringify(world.model.requests.at(-1)?.body.messages)).toContain("Say how the garden is");
    expect((await world.service.api("GET", "/conversations")).body.items).toHaveLength(1);
    await world.clock.advance(30 * MINUTE);
    expect(world.model.requests).toHaveLength(3);
  });

  test("is listed for and cancelled by nobody but its recipient", async () => {
    const world = await start("2026-05-04T20:00:00Z");
    await world.service.pair(OTHER);
    const set = JSON.parse(
      (await remind(world, { text: "Secret", in_minutes: 30 })).match(/\{.*\}/s)?.[0] ?? "",
    );
    expect(await remind(world, { action: "list" }, OTHER)).not.toContain("Secret");
    expect(await remind(world, { action: "cancel", id: set.id }, OTHER)).toContain("no such reminder");
    expect(await remind(world, { action: "list" })).toContain("Secret");
    expect(await remind(world, { action: "cancel", id: set.id })).toContain("cancelled");
    const since = world.clock.now();
    await world.clock.advance(31 * MINUTE);
    expect(await outbound(world, since + 1)).toEqual([]);
  });

  test("does not reach a recipient who has opted out, be it a text or a prompt, and says why", async () => {
    const world = await start("2026-05-04T20:00:00Z");
    await remind(world, { text: "Tea", in_minutes: 10 });
    await remind(world, { prompt: "Make tea", in_minutes: 11 });
    const asked = world.model.requests.length;
    await world.service.admitted(PHONE, "STOP");
    const since = world.clock.now() + 1;
    await world.clock.advance(12 * MINUTE);
    await due(world, 2);
    const made = await outbound(world, since);
    expect(made.map(({ text, state }) => [text, state])).toEqual([
      ["Make tea", "suppressed"],
      ["Tea", "suppressed"],
    ]);
    for (const { error } of made) expect(error?.meaning).toContain("opted out");
    expect((await world.service.inbox(PHONE)).filter(({ text }) => /tea/i.test(text ?? ""))).toEqual([]);
    expect(world.model.requests).toHaveLength(asked);
  });

  test("with a prompt is not run for somebody who may no longer text the agent, and that is shown", async () => {
    const world = await start("2026-05-04T20:00:00Z");
    await remind(world, { prompt: "Unlock the door", in_minutes: 10 });
    const asked = world.model.requests.length;
    await world.service.api("DELETE", `/channels/sms/addresses/${encodeURIComponent(PHONE)}`);
    const since = world.clock.now() + 1;
    await world.clock.advance(11 * MINUTE);
    await world.service.logged("turn.denied");
    expect(world.model.requests).toHaveLength(asked);
    await world.service.until(async () => (await outbound(world, since)).length > 0, "the message");
    expect(await outbound(world, since)).toMatchObject([
      {
        text: "Unlock the door",
        state: "suppressed",
        error: { meaning: expect.stringContaining("may no longer text the agent") },
      },
    ]);
  });

  test("with a text is not sent to somebody who may no longer text the agent, and that is shown", async () => {
    const world = await start("2026-05-04T20:00:00Z");
    await remind(world, { text: "Tea", cron: "30 * * * *" });
    await world.service.api("DELETE", `/channels/sms/addresses/${encodeURIComponent(PHONE)}`);
    const since = world.clock.now() + 1;
    await world.clock.advance(40 * MINUTE);
    await due(world, 1);
    expect(await outbound(world, since)).toMatchObject([
      {
        text: "Tea",
        state: "suppressed",
        error: { meaning: expect.stringContaining("may no longer text the agent") },
      },
    ]);
    expect((await world.service.inbox(PHONE)).map(({ text }) => text)).not.toContain("Tea");
  });

  test("with a prompt sets no other prompt within the hour, so that no chain of them costs a text each minute", async () => {
    const world = await start("2026-05-04T20:00:00Z");
    await remind(world, { prompt: "Again and again", in_minutes: 1 });
    const next = (args: Readonly<Record<string, unknown>>) => ({ name: "remind", arguments: args });
    world.model.script(
      {
        toolCalls: [
          next({ prompt: "Again and again", in_minutes: 1 }),
          next({ text: "Tea", in_minutes: 1 }),
          next({ prompt: "Look once more", in_minutes: 60 }),
        ],
      },
      { text: "Once." },
    );
    await world.clock.advance(MINUTE + 1);
    await world.service.eventually(
      async () => (await world.service.inbox(PHONE)).some(({ text }) => text === "Once."),
      "the reminder's reply",
    );
    const results = (world.model.requests.at(-1)?.body.messages ?? [])
      .filter(({ role }) => role === "tool")
      .map(({ content }) => String(content));
    expect(results.map((result) => /in an hour at the earliest|"status":"set"/.exec(result)?.[0])).toEqual([
      "in an hour at the earliest",
      '"status":"set"',
      '"status":"set"',
    ]);
  });

  test("with a prompt says why it was not done when the recipient opts out while it waits for its turn", async () => {
    const world = await start("2026-05-04T20:00:00Z");
    await remind(world, { prompt: "Make tea", in_minutes: 10 });
    const asked = world.model.requests.length;
    await world.service.api("PATCH", "/channels/sms", { enabled: false });
    const since = world.clock.now() + 1;
    await world.clock.advance(10 * MINUTE);
    await due(world, 1);
    await world.service.admitted(PHONE, "STOP");
    await world.service.api("PATCH", "/channels/sms", { enabled: true });
    await world.service.eventually(
      async () => (await outbound(world, since)).some(({ text }) => text === "Make tea"),
      "the message that says why",
    );
    expect(await outbound(world, since)).toMatchObject([
      { text: "Make tea", state: "suppressed", error: { meaning: expect.stringContaining("STOP") } },
    ]);
    expect(world.model.requests).toHaveLength(asked);
  });

  test("with a prompt that fails shows the cause with what was asked for, beside the one apology", async () => {
    const world = await start("2026-05-04T20:00:00Z");
    await remind(world, { prompt: "How is the garden?", in_minutes: 10 });
    const since = world.clock.now() + 1;
    world.model.script({ status: 401, body: { error: { message: "wrong key" } } });
    await world.clock.advance(10 * MINUTE);
    await world.service.logged("turn.failed");
    await world.service.received(PHONE, 3);
    const made = await outbound(world, since);
    expect(made.map(({ text, state }) => [text.slice(0, 10), state])).toContainEqual([
      "How is the",
      "failed",
    ]);
    const failed = made.find(({ state }) => state === "failed") as { id: string } & (typeof made)[number];
    expect(failed.error?.meaning).toContain("401");
    const shown = (await world.service.api("GET", `/messages/${failed.id}`)).body;
    expect(shown.turn).toMatchObject({
      state: "failed",
      task: { kind: "reminder", content: "How is the garden?" },
      error: { meaning: expect.stringContaining("401"), fix: expect.stringContaining("api_key") },
    });
    expect(made).toHaveLength(2);
  });

  test("is understood when it is answered: it stands in the conversation", async () => {
    const world = await start("2026-05-04T20:00:00Z");
    await remind(world, { text: "Did you take the pills?", in_minutes: 45 });
    await world.clock.advance(45 * MINUTE);
    await world.service.received(PHONE, 3);
    world.model.script({ text: "Good." });
    await world.service.text(PHONE, "yes");
    await world.service.received(PHONE, 4);
    const said = world.model.requests.at(-1)?.body.messages.map(({ role, content }) => [role, content]) ?? [];
    expect(said.slice(-2)).toEqual([
      ["assistant", "Did you take the pills?"],
      ["user", "yes"],
    ]);
  });

  test("that is asked for wrongly is refused in words the model can act on", async () => {
    const world = await start("2026-03-28T20:00:00Z");
    const wrong: [Record<string, unknown>, string][] = [
      [{ text: "x" }, "exactly one of"],
      [{ at: "07:30" }, "either text"],
      [{ text: "x", at: "2026-03-28T12:00" }, "is over"],
      [{ text: "x", at: "2026-02-30T12:00" }, "no day of the calendar"],
      [{ text: "x", cron: "* * * * *" }, "more than 24 times a day"],
      [{ text: "x", at: "07:30", timezone: "Europe/Nowhere" }, "no time zone"],
      [{ text: "x", repeat: "weekly", time: "07:30" }, "needs weekday"],
    ];
    for (const [args, words] of wrong) expect(await remind(world, args)).toContain(words);
  });
});

describe("a schedule", () => {
  const scheduled = (missed: "skip" | "run_once") => ({
    home: { channel: "sms", address: PHONE },
    schedules: [{ name: "morning", cron: "0 7 * * *", agent: "assistant", prompt: "Weather", missed }],
  });

  test("has its prompt run at its local time, and the reply goes home", async () => {
    const world = await start("2026-03-28T20:00:00Z", scheduled("skip"));
    await downUntil(world, "2026-03-29T04:59:30Z");
    world.model.script({ text: "Sunny." });
    await world.clock.advance(MINUTE);
    expect((await world.service.received(PHONE, 1)).at(-1)?.text).toBe("Sunny.");
    expect(JSON.stringify(world.model.requests.at(-1)?.body.messages)).toContain("Weather");
    await world.clock.advance(10 * MINUTE);
    expect(world.model.requests).toHaveLength(1);
  });

  test("that was missed is left out with skip", async () => {
    const world = await start("2026-05-04T20:00:00Z", scheduled("skip"));
    await downUntil(world, "2026-05-06T10:00:00Z");
    expect((await world.service.logged("schedule.due"))[0]?.fields).toMatchObject({ outcome: "skipped" });
    await world.clock.advance(MINUTE);
    expect(world.model.requests).toHaveLength(0);
  });

  test("that was missed several times is run once with run_once", async () => {
    const world = await start("2026-05-04T20:00:00Z", scheduled("run_once"));
    world.model.script({ text: "Late, but sunny." });
    await downUntil(world, "2026-05-07T10:00:00Z");
    expect((await world.service.received(PHONE, 1)).at(-1)?.text).toBe("Late, but sunny.");
    await downUntil(world, "2026-05-07T11:00:00Z");
    await world.clock.advance(5 * MINUTE);
    expect(world.model.requests).toHaveLength(1);
  });

  test("sends nothing to a home that has opted out, and says why", async () => {
    const world = await start("2026-05-05T04:59:00Z", scheduled("skip"));
    await world.service.admitted(PHONE, "STOP");
    const since = world.clock.now() + 1;
    await world.clock.advance(2 * MINUTE);
    await due(world, 1, "schedule.due");
    const made = await outbound(world, since);
    expect(made).toMatchObject([{ text: "Weather", state: "suppressed" }]);
    expect(made[0]?.error?.meaning).toContain("opted out");
    expect(world.model.requests).toHaveLength(0);
    expect((await world.service.logged("alert"))[0]?.fields.cause).toBe("schedule.undone/morning");
  });
});
