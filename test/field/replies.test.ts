import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { inboundParameters, PHONE, SMS, startService } from "../support/service.ts";
import { OPEN, startWithHook, startWithModel } from "./support.ts";

setDefaultTimeout(20_000);

const LONG = Array.from({ length: 900 }, (_, n) => `word${n}`).join(" ");

describe("a reply that is too long for one message", () => {
  test("is sent in messages the carrier takes, none over 1,600 characters", async () => {
    const { running, agent } = await startWithHook({
      channel: { reply: { overflow: "split", max_messages: 1 } },
      config: { limits: { segments_per_reply: 100 } },
    });
    agent.respond(() => LONG);
    await running.text(PHONE, "tell me everything");
    await running.logged("turn.done");
    await running.app.idle();
    const { items } = (await running.api("GET", "/messages?direction=outbound&limit=200")).body;
    expect(items.length).toBeGreaterThan(3);
    for (const { text, error } of items) {
      expect(text.length).toBeLessThanOrEqual(1_600);
      expect(error).toBeUndefined();
    }
    const texts = await running.received(PHONE, items.length);
    const words = texts.flatMap(({ text }) => text.match(/word\d+/g) ?? []);
    expect(words).toEqual(LONG.split(" "));
  });

  test("never becomes thousands of messages: a limit of 0 is refused at the start, with what to write", async () => {
    for (const [config, key] of [
      [{ channels: { sms: { ...OPEN, reply: { max_messages: 0 } } } }, "max_messages"],
      [{ channels: { sms: OPEN }, limits: { segments_per_reply: 0 } }, "segments_per_reply"],
    ] as const)
      await expect(startService({ config })).rejects.toThrow(key);
    const { running, agent } = await startWithHook({
      channel: { reply: { overflow: "split", max_messages: 1 } },
      config: { limits: { segments_per_reply: 1 } },
    });
    agent.respond(() => LONG);
    await running.text(PHONE, "tell me everything");
    await running.logged("turn.done");
    await running.app.idle();
    expect((await running.api("GET", "/messages?direction=outbound&limit=200")).body.items).toHaveLength(1);
  });
});

describe("a reply in Markdown", () => {
  test("keeps the URL of every link", async () => {
    const { running, agent } = await startWithHook();
    agent.respond(
      () => "**Done**, see [the page](https://example.com/x_y_z) and <https://example.org/a*b*c>.",
    );
    await running.text(PHONE, "do it");
    const text = (await running.received(PHONE, 1))[0]?.text ?? "";
    expect(text).toContain("Done, see the page (https://example.com/x_y_z)");
    expect(text).toContain("https://example.org/a*b*c");
    expect(text).not.toContain("**");
  });

  test("keeps stars and underscores that are no emphasis: in code, in names and in arithmetic", async () => {
    const { running, agent } = await startWithHook();
    agent.respond(
      () => "2*3*4 = 24, run `rm *_old_*`, set snake_case_name and 5 * 6.\n\n```\na = b_c * *p\n```",
    );
    await running.text(PHONE, "do it");
    const text = (await running.received(PHONE, 1))[0]?.text ?? "";
    for (const kept of ["2*3*4 = 24", "rm *_old_*", "snake_case_name", "5 * 6", "a = b_c * *p"])
      expect(text).toContain(kept);
  });
});

test("a reply goes out from the number that was texted, in a conversation of its own", async () => {
  const second = "+15550100002";
  const { running, agent } = await startWithHook({
    config: {
      channels: {
        sms: { ...OPEN, agent: "hook" },
        second: { ...OPEN, from_number: second, agent: "hook" },
      },
    },
  });
  await running.text(PHONE, "to the first");
  await running.received(PHONE, 1);
  await running.text(PHONE, "to the second", second);
  await running.received(PHONE, 2);
  expect(agent.requests[1]?.body.conversation_id).not.toBe(agent.requests[0]?.body.conversation_id);
  expect(agent.requests[1]?.body.messages).toHaveLength(1);
  expect((await running.inbox(PHONE)).map(({ from, text }) => [from, text])).toEqual([
    [SMS.from_number, "re: to the first"],
    [second, "re: to the second"],
  ]);
});

test("STOP reaches no agent, and we answer it with nothing", async () => {
  const { running, agent } = await startWithHook();
  for (const [n, Body] of ["STOP", " stop ", "Unsubscribe", "STOPALL", "quit"].entries()) {
    const From = `+1555070000${n}`;
    expect((await running.webhook(inboundParameters(running, { From, Body }))).status).toBe(200);
    await running.app.idle();
    const { body } = await running.api(
      "GET",
      `/messages?direction=outbound&address=${encodeURIComponent(From)}`,
    );
    expect([Body, body.items]).toEqual([Body, []]);
    // The next text of that person is not answered either.
    await running.webhook(inboundParameters(running, { From, Body: "hello?" }));
  }
  await running.app.idle();
  expect(agent.requests).toHaveLength(0);
});

test("a reply holds the model's answer alone: no thoughts, no tool calls, no results", async () => {
  const { running, model } = await startWithModel([
    {
      text: "Let me call the tool remind now.",
      reasoning: "The user wants a list, I will use remind.",
      toolCalls: [{ name: "remind", arguments: { action: "list" } }],
    },
    { text: "<think>The tool gave an empty list.</think>You have no reminders." },
  ]);
  await running.pair();
  await running.text(PHONE, "my reminders?");
  const texts = await running.received(PHONE, 2);
  await running.app.idle();
  expect(model.requests).toHaveLength(2);
  expect(texts.at(-1)?.text).toBe("You have no reminders.");
  expect(await running.inbox(PHONE)).toHaveLength(2);
});
