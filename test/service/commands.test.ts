import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import { type Hook, openHook } from "../support/hook.ts";
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

/** A paired phone, and an agent that is an endpoint of the test. */
async function start(
  channel: Readonly<Record<string, unknown>> = {},
  options: ServiceOptions = {},
): Promise<{ running: Service; agent: Hook }> {
  const agent = closing(openHook());
  const running = closing(
    await startService({
      ...options,
      config: {
        channels: { sms: { ...SMS, agent: "hook", ...channel } },
        agents: { hook: { type: "http", url: agent.url, timeout: "1h" } },
        ...options.config,
      },
    }),
  );
  await running.pair();
  return { running, agent };
}

/** The bodies a phone has got after the confirmation of its pairing. */
async function replies(running: Service, count: number, phone = PHONE): Promise<string[]> {
  return (await running.received(phone, count + 1)).slice(1).map(({ text }) => text);
}

describe("commands", () => {
  test("are answered at once in one segment, and the agent does not see them", async () => {
    const { running, agent } = await start();
    const commands = ["/help", "/status", "/new", "/stop"];
    for (const [i, command] of commands.entries()) {
      const sid = await running.admitted(PHONE, command);
      await replies(running, i + 1);
      expect(await running.message(sid)).toMatchObject({ route: "command", state: "handled" });
    }
    const [help, status] = await replies(running, 4);
    for (const command of commands) expect(help).toContain(command === "/help" ? "MORE" : command);
    expect(status).toContain("connected");
    const { body } = await running.api("GET", "/messages?direction=outbound");
    for (const message of body.items) expect([message.text, message.segments]).toEqual([message.text, 1]);
    expect(agent.requests).toHaveLength(0);
  });

  test("are found in any case and with stray spaces, and only alone in the body", async () => {
    const { running, agent } = await start();
    for (const [i, command] of [" /HELP ", "/ help", "/Help\n"].entries()) {
      await running.text(PHONE, command);
      expect((await replies(running, i + 1)).at(-1)).toContain("/new");
    }
    await running.text(PHONE, "/help me with this");
    expect((await agent.request(1)).body.text).toBe("/help me with this");
  });

  test("do not wait behind a running turn", async () => {
    const { running, agent } = await start();
    agent.hold();
    await running.admitted(PHONE, "a long job");
    const request = await agent.request(1);
    await running.text(PHONE, "/status");
    expect(await replies(running, 1)).toEqual([expect.stringContaining("connected")]);
    request.answer("done");
    expect((await replies(running, 2))[1]).toBe("done");
  });

  test("keep the conversation open, /stop too where a turn has run for longer than idle_timeout", async () => {
    const clock = manualClock();
    const { running, agent } = await start({ idle_timeout: "10m" }, { clock });
    await running.admitted(PHONE, "first");
    await replies(running, 1);
    for (const [i, command] of ["/status", "/help", "/stop"].entries()) {
      await clock.advance(9 * 60_000);
      await running.admitted(PHONE, command);
      await replies(running, i + 2);
    }
    await clock.advance(9 * 60_000);
    agent.hold();
    await running.admitted(PHONE, "a long job");
    const [first, second] = [await agent.request(1), await agent.request(2)];
    expect(second.body.conversation_id).toBe(first.body.conversation_id);
    await clock.advance(11 * 60_000);
    await running.admitted(PHONE, "/stop");
    await replies(running, 5);
    await clock.advance(9 * 60_000);
    await running.admitted(PHONE, "go on");
    const third = await agent.request(3);
    expect(third.body.conversation_id).toBe(first.body.conversation_id);
  });

  test("are ordinary texts for a sender that is not paired", async () => {
    const { running, agent } = await start({ allowed_senders: [STRANGER] });
    for (const [i, command] of ["/new", "/status", "/stop", "/help"].entries()) {
      await running.admitted(STRANGER, command);
      expect((await agent.request(i + 1)).body.text).toBe(command);
      await running.received(STRANGER, i + 1);
    }
  });

  test("of a stranger are not answered", async () => {
    const { running } = await start();
    await running.admitted(STRANGER, "/status");
    await running.app.idle();
    expect(await running.inbox(STRANGER)).toEqual([]);
  });
});

describe("/stop", () => {
  test("cancels the running turn and what waits behind it; no reply of theirs follows", async () => {
    const { running, agent } = await start();
    agent.hold();
    const first = await running.admitted(PHONE, "a long job");
    const request = await agent.request(1);
    const second = await running.admitted(PHONE, "and another");
    await running.text(PHONE, "/stop");
    expect(await replies(running, 1)).toEqual(["Stopped."]);
    await request.hungUp;
    request.answer("too late");
    await running.app.idle();
    for (const sid of [first, second]) {
      const message = await running.message(sid);
      expect(message).toMatchObject({ state: "dropped" });
      expect(message.error.meaning).toContain("/stop");
    }
    expect(agent.requests).toHaveLength(1);
    agent.respond(({ body }) => `re: ${body.text}`);
    await running.text(PHONE, "go on");
    expect((await replies(running, 2))[1]).toBe("re: go on");
    expect(agent.requests[1]?.body.conversation_id).toBe(request.body.conversation_id);
  });

  test("of one person does not touch another's turn", async () => {
    const { running, agent } = await start({ allowed_senders: [STRANGER] });
    agent.hold();
    await running.admitted(STRANGER, "a long job");
    const request = await agent.request(1);
    await running.text(PHONE, "/stop");
    await replies(running, 1);
    request.answer("done");
    expect((await running.received(STRANGER, 1))[0]?.text).toBe("done");
  });

  test("cancels a turn that was running when the service stopped", async () => {
    const { running, agent } = await start();
    agent.hold();
    await running.admitted(PHONE, "a long job");
    await agent.request(1);
    const again = await running.restart();
    const second = await agent.request(2);
    await again.text(PHONE, "/stop");
    await again.received(PHONE, 1);
    second.answer("too late");
    await again.app.idle();
    expect((await again.inbox(PHONE)).map(({ text }) => text)).toEqual(["Stopped."]);
  });
});

describe("/new", () => {
  test("starts a fresh conversation and cancels what was running", async () => {
    const { running, agent } = await start();
    await running.text(PHONE, "first topic");
    await replies(running, 1);
    agent.hold();
    await running.admitted(PHONE, "a long job");
    const request = await agent.request(2);
    await running.text(PHONE, "/new");
    await replies(running, 2);
    request.answer("too late");
    agent.respond(({ body }) => `re: ${body.text}`);
    await running.text(PHONE, "second topic");
    expect((await replies(running, 3)).map((text) => text.slice(0, 16))).toEqual([
      "re: first topic",
      "New conversation",
      "re: second topic",
    ]);
    const third = await agent.request(3);
    expect(third.body.conversation_id).not.toBe(request.body.conversation_id);
    expect(third.body.messages.map(({ text }) => text)).toEqual(["second topic"]);
    const { body } = await running.api("GET", `/conversations/${request.body.conversation_id}`);
    expect(body.ended_at).toBeString();
  });
});

describe("a reply that is longer than one text", () => {
  const LONG = Array.from({ length: 700 }, (_, i) => `word${i}`).join(" ");

  test("is sent up to the first part, which ends in a hint, and MORE brings the next ones", async () => {
    const { running, agent } = await start();
    agent.respond(() => LONG);
    await running.admitted(PHONE, "tell me everything");
    const [first] = await replies(running, 1);
    await running.app.idle();
    expect(await replies(running, 1)).toHaveLength(1);
    expect(first?.length).toBeLessThanOrEqual(1_600);
    expect(first).toEndWith("[MORE?]");
    const parts = [first ?? ""];
    for (const more of ["MORE", " more ", "More", "MORE"]) {
      await running.admitted(PHONE, more);
      parts.push((await replies(running, parts.length + 1)).at(-1) ?? "");
      if (!parts.at(-1)?.endsWith("[MORE?]")) break;
    }
    const whole = parts.map((part) => part.replace(/\s*\[MORE\?\]$/, "")).join(" ");
    expect(whole).toBe(LONG);
    expect(agent.requests).toHaveLength(1);
    agent.respond(({ body }) => `re: ${body.text}`);
    await running.text(PHONE, "MORE");
    expect((await agent.request(2)).body.text).toBe("MORE");
  });

  test("sends max_messages parts at once", async () => {
    const { running, agent } = await start({ reply: { max_messages: 2 } });
    agent.respond(() => LONG);
    await running.admitted(PHONE, "tell me everything");
    const two = await replies(running, 2);
    await running.app.idle();
    expect(await running.inbox(PHONE)).toHaveLength(3);
    expect(two[1]).toEndWith("[MORE?]");
  });

  test("sends no more segments at once than segments_per_reply, however many messages it may, also by MORE", async () => {
    const { running, agent } = await start(
      { reply: { max_messages: 10 } },
      { config: { limits: { segments_per_reply: 3 } } },
    );
    agent.respond(() => LONG);
    await running.admitted(PHONE, "tell me everything");
    await replies(running, 3);
    await running.app.idle();
    expect(await running.inbox(PHONE)).toHaveLength(4);
    await running.admitted(PHONE, "MORE");
    await replies(running, 6);
    await running.app.idle();
    const sent = (await running.api("GET", "/messages?direction=outbound&limit=6")).body.items;
    expect(sent.map(({ segments }: { segments: number }) => segments)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(await running.inbox(PHONE)).toHaveLength(7);
  });

  test("keeps its held parts over the end of the conversation and over a restart, for a day", async () => {
    const clock = manualClock();
    const { running, agent } = await start({ idle_timeout: "10m" }, { clock });
    agent.respond(() => LONG);
    await running.admitted(PHONE, "tell me everything");
    const [first] = await replies(running, 1);
    await clock.advance(3_600_000);
    const again = await running.restart();
    await again.text(PHONE, "MORE");
    const [second] = await again.received(PHONE, 1);
    const start2 = (second?.text ?? "").split(" ")[0];
    expect(LONG.split(" ").indexOf(start2 ?? "")).toBe(
      first?.replace(/\s*\[MORE\?\]$/, "").split(" ").length ?? -1,
    );
    await clock.advance(23 * 3_600_000 + 60_000);
    agent.respond(({ body }) => `re: ${body.text}`);
    await again.text(PHONE, "MORE");
    expect((await again.received(PHONE, 2))[1]?.text).toBe("re: MORE");
  });

  test("keeps the conversation open while it is read by MORE, and the agent is told what was read", async () => {
    const clock = manualClock();
    const { running, agent } = await start({ idle_timeout: "10m" }, { clock });
    agent.respond(({ body }) => (body.text === "long" ? LONG : `re: ${body.text}`));
    await running.admitted(PHONE, "long");
    await replies(running, 1);
    for (const count of [2, 3]) {
      await clock.advance(9 * 60_000);
      await running.admitted(PHONE, "MORE");
      await replies(running, count);
    }
    await clock.advance(9 * 60_000);
    await running.admitted(PHONE, "and then?");
    const [first, second] = [await agent.request(1), await agent.request(2)];
    expect(second.body.conversation_id).toBe(first.body.conversation_id);
    const read = (await replies(running, 3)).slice(0, 3);
    expect(second.body.messages.map(({ role, text }) => [role, text])).toEqual([
      ["user", "long"],
      ...read.map((text) => ["assistant", text]),
      ["user", "and then?"],
    ]);
    const { body } = await running.api(
      "GET",
      `/messages?direction=outbound&conversation_id=${first.body.conversation_id}`,
    );
    expect(body.items.slice(-3).map((item: { turn_id: string }) => item.turn_id)).toEqual(
      Array(3).fill(first.body.turn_id),
    );
  });

  test("has its held parts replaced by the next reply, and dropped by /new", async () => {
    const { running, agent } = await start();
    agent.respond(({ body }) => (body.text === "long" ? LONG : `re: ${body.text}`));
    await running.admitted(PHONE, "long");
    await replies(running, 1);
    await running.admitted(PHONE, "short");
    await replies(running, 2);
    await running.admitted(PHONE, "MORE");
    expect((await replies(running, 3))[2]).toBe("re: MORE");
    await running.admitted(PHONE, "long");
    await replies(running, 4);
    await running.admitted(PHONE, "/new");
    await replies(running, 5);
    await running.admitted(PHONE, "MORE");
    expect((await replies(running, 6))[5]).toBe("re: MORE");
  });

  test("gives each part once when MORE is texted twice at the same moment", async () => {
    const { running, agent } = await start();
    agent.respond(() => LONG);
    await running.admitted(PHONE, "tell me everything");
    await replies(running, 1);
    await Promise.all([1, 2].map(() => running.webhook(inboundParameters(running, { Body: "MORE" }))));
    const texts = await replies(running, 3);
    expect(new Set(texts).size).toBe(3);
  });

  test("with overflow: split is sent in numbered parts, in order, within segments_per_reply", async () => {
    const { running, agent } = await start(
      { reply: { overflow: "split" } },
      { config: { limits: { segments_per_reply: 100 } } },
    );
    agent.respond(() => LONG);
    await running.admitted(PHONE, "tell me everything");
    const parts = await replies(running, 4);
    expect(parts.map((part) => part.slice(0, 4))).toEqual(["1/4 ", "2/4 ", "3/4 ", "4/4 "]);
    expect(parts.map((part) => part.slice(4)).join(" ")).toBe(LONG);
    for (const part of parts) expect(part.length).toBeLessThanOrEqual(1_600);
    expect(
      (await running.inbox(PHONE))
        .map(({ segments }) => segments)
        .slice(1)
        .every((n) => n > 0),
    ).toBe(true);
  });

  test("with overflow: truncate is one text that ends in an ellipsis, within segments_per_reply", async () => {
    const { running, agent } = await start(
      { reply: { overflow: "truncate" } },
      { config: { limits: { segments_per_reply: 2 } } },
    );
    agent.respond(() => LONG);
    await running.admitted(PHONE, "tell me everything");
    const [text] = await replies(running, 1);
    await running.app.idle();
    expect(await running.inbox(PHONE)).toHaveLength(2);
    expect(text).toMatch(/(…|\.\.\.)$/);
    expect((await running.inbox(PHONE))[1]?.segments).toBeLessThanOrEqual(2);
  });

  test("is never cut inside a link, a word or an emoji", async () => {
    const { running, agent } = await start(
      { reply: { max_messages: 10 } },
      { config: { limits: { segments_per_reply: 100 } } },
    );
    const link = "https://example.com/a/very/long/path?with=parameters&and=more";
    const tokens = Array.from({ length: 150 }, (_, i) =>
      i % 3 === 0 ? `${link}${i}` : i % 3 === 1 ? "👩‍👩‍👧‍👦" : `wörd${i}`,
    );
    agent.respond(() => tokens.join(" "));
    await running.admitted(PHONE, "links");
    await running.eventually(async () => {
      const texts = (await running.inbox(PHONE))
        .slice(1)
        .map(({ text }) => text.replace(/\s*\[MORE\?\]$/, ""));
      return texts
        .join(" ")
        .split(" ")
        .includes(tokens.at(-1) ?? "");
    }, "the whole reply");
    const texts = (await running.inbox(PHONE)).slice(1).map(({ text }) => text.replace(/\s*\[MORE\?\]$/, ""));
    const words = texts.join(" ").split(/\s+/);
    const kept = tokens.filter((token) => !token.startsWith("👩"));
    expect(words.filter((word) => !word.startsWith("👩"))).toEqual(kept);
    for (const text of texts) expect(text.length).toBeLessThanOrEqual(1_600);
  });
});
