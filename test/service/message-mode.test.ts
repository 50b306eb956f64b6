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

async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = closing(await startService(options));
  return service;
}

const OPEN = { ...SMS, allow_all_senders: true };
const OTHER = "+15557650002";
const SECOND_NUMBER = "+15550100002";

/** A service whose agent is an endpoint of the test. */
async function withHook(
  options: ServiceOptions & { readonly channel?: Readonly<Record<string, unknown>> } = {},
): Promise<{ running: Service; agent: Hook }> {
  const agent = closing(openHook());
  const { channel, config, ...rest } = options;
  const running = await start({
    ...rest,
    config: {
      channels: { sms: { ...OPEN, agent: "hook", ...channel } },
      agents: { hook: { type: "http", url: agent.url } },
      ...config,
    },
  });
  return { running, agent };
}

async function conversations(running: Service, query = "") {
  return (await running.api("GET", `/conversations?limit=200${query}`)).body.items;
}

describe("a text in message mode", () => {
  test("pairs the phone when it is the code, and the next text is answered", async () => {
    const running = await start();
    const { body: channel } = await running.api("GET", "/channels/sms");
    expect(channel.status).toBe("pairing");
    await running.text(PHONE, channel.pairing.code.toLowerCase().replace("-", " "));
    await running.received(PHONE, 1);
    await running.text(PHONE, "hello there");
    const texts = await running.received(PHONE, 2);
    expect(texts[1]?.text).toBe("hello there");
    const { body: now } = await running.api("GET", "/channels/sms");
    expect(now).toMatchObject({ status: "connected", paired_addresses: 1 });
    expect(now.pairing).toBeUndefined();
  });

  test("of a stranger is not answered, and nothing but the reason is kept", async () => {
    const running = await start();
    await running.pair();
    const sid = await running.admitted(STRANGER, "open the garage");
    await running.app.idle();
    const message = await running.message(sid);
    expect(message).toMatchObject({ route: "signal", state: "dropped", from: "+1555***3333" });
    expect(message.text).toBeUndefined();
    expect(message.error.meaning).toContain("No policy permits it");
    expect(message.error.fix).toContain("Pair");
    expect(await running.inbox(STRANGER)).toEqual([]);
  });

  test("is shown with its turn and conversation, and so is the reply", async () => {
    const running = await start({ config: { channels: { sms: OPEN } } });
    const sid = await running.admitted(PHONE, "hello");
    await running.received(PHONE, 1);
    const inbound = await running.message(sid);
    const { body } = await running.api("GET", "/messages?direction=outbound");
    const [reply] = body.items;
    expect(reply).toMatchObject({
      turn_id: inbound.turn_id,
      conversation_id: inbound.conversation_id,
      to: PHONE,
      text: "hello",
      segments: 1,
      policies: ["reply-and-paired"],
    });
    expect(inbound.events.map((event: { state: string }) => event.state)).toEqual(["queued", "handled"]);
    const [conversation] = await conversations(running);
    expect(conversation).toMatchObject({
      id: inbound.conversation_id,
      channel: "sms",
      address: PHONE,
      agent: "parrot",
      messages: 2,
    });
  });
});

describe("texts in quick succession", () => {
  test("become one turn, debounced from the last of them", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock, channel: { debounce: "1200ms" } });
    await running.admitted(PHONE, "one");
    await clock.advance(1_000);
    await running.admitted(PHONE, "two");
    await clock.advance(1_000);
    await running.admitted(PHONE, "three");
    await clock.advance(1_199);
    expect(agent.requests).toHaveLength(0);
    await clock.advance(1);
    const { body } = await agent.request(1);
    expect(body.text).toBe("one\ntwo\nthree");
    expect(body.messages).toEqual([
      { role: "user", text: "one", media: [] },
      { role: "user", text: "two", media: [] },
      { role: "user", text: "three", media: [] },
    ] as never);
    expect((await running.received(PHONE, 1))[0]?.text).toBe("re: one\ntwo\nthree");
    await running.app.idle();
    expect(agent.requests).toHaveLength(1);
  });

  test("wait at most five times the debounce after the first one", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock, channel: { debounce: "1s" } });
    for (let i = 1; i <= 6; i++) {
      await running.admitted(PHONE, `text ${i}`);
      if (i < 6) await clock.advance(900);
    }
    await clock.advance(499);
    expect(agent.requests).toHaveLength(0);
    await clock.advance(1);
    expect((await agent.request(1)).body.text.split("\n")).toHaveLength(6);
  });

  test("of different people are different turns", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock, channel: { debounce: "1s" } });
    await running.admitted(PHONE, "mine");
    await running.admitted(OTHER, "theirs");
    await clock.advance(1_000);
    await agent.request(2);
    expect(agent.requests.map(({ body }) => [body.from, body.text]).sort()).toEqual([
      [OTHER, "theirs"],
      [PHONE, "mine"],
    ]);
  });
});

describe("the turns of one conversation", () => {
  test("run one at a time; texts that come meanwhile join the next one", async () => {
    const { running, agent } = await withHook();
    agent.hold();
    await running.admitted(PHONE, "first");
    const first = await agent.request(1);
    await running.admitted(PHONE, "second");
    await running.admitted(PHONE, "third");
    expect(agent.requests).toHaveLength(1);
    first.answer("answer one");
    const second = await agent.request(2);
    expect(second.body.text).toBe("second\nthird");
    expect(second.body.conversation_id).toBe(first.body.conversation_id);
    expect(second.body.messages.map(({ role, text }) => [role, text])).toEqual([
      ["user", "first"],
      ["assistant", "answer one"],
      ["user", "second"],
      ["user", "third"],
    ]);
    second.answer("answer two");
    const texts = await running.received(PHONE, 2);
    expect(texts.map(({ text }) => text)).toEqual(["answer one", "answer two"]);
  });

  test("do not hold up those of another conversation", async () => {
    const { running, agent } = await withHook();
    agent.respond(({ body }) => (body.from === PHONE ? undefined : "quick"));
    await running.admitted(PHONE, "a long job");
    const long = await agent.request(1);
    await running.text(OTHER, "a short one");
    expect((await running.received(OTHER, 1))[0]?.text).toBe("quick");
    expect(await running.inbox(PHONE)).toEqual([]);
    long.answer("done at last");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("done at last");
  });

  test("give one reply each, and nothing is sent while a person waits", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock });
    agent.hold();
    await running.admitted(PHONE, "think hard");
    const request = await agent.request(1);
    await clock.advance(60_000);
    expect((await running.api("GET", "/messages?direction=outbound")).body.items).toEqual([]);
    request.answer("42");
    await running.received(PHONE, 1);
    await running.app.idle();
    expect((await running.api("GET", "/messages?direction=outbound")).body.items).toHaveLength(1);
  });

  test("may end in silence", async () => {
    const { running, agent } = await withHook();
    agent.respond(({ body }) => (body.text === "quiet" ? null : { json: { reply: "   " } }));
    for (const text of ["quiet", "blank"]) {
      const sid = await running.admitted(PHONE, text);
      await running.until(
        async () => (await running.message(sid)).state === "handled",
        `${text} to be handled`,
      );
    }
    await running.app.idle();
    expect((await running.api("GET", "/messages?direction=outbound")).body.items).toEqual([]);
  });

  test("of a sender with more than its share wait, and none is lost", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock, config: { limits: { sender_per_minute: 2 } } });
    for (const text of ["one", "two"]) {
      await running.admitted(PHONE, text);
      await agent.request(agent.requests.length + 1);
      await running.logged("turn.done", {}, agent.requests.length);
    }
    await running.admitted(PHONE, "three");
    await running.admitted(PHONE, "four");
    await clock.advance(30_000);
    expect(agent.requests).toHaveLength(2);
    await running.admitted(OTHER, "somebody else");
    expect((await agent.request(3)).body.from).toBe(OTHER);
    await clock.advance(31_000);
    expect((await agent.request(4)).body.text).toBe("three\nfour");
    // The operator is told, once, and without the number.
    const alerts = running.logs.filter(({ event }) => event === "alert");
    expect(alerts.map(({ fields }) => fields.cause)).toEqual(["limits.sender_per_minute/sms"]);
    expect(JSON.stringify(alerts)).not.toContain(PHONE);
  });
});

describe("a conversation", () => {
  test("ends after idle_timeout without a text, and the next text starts a fresh one", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock, channel: { idle_timeout: "10m" } });
    await running.admitted(PHONE, "hello");
    await agent.request(1);
    await running.received(PHONE, 1);
    await clock.advance(9 * 60_000);
    await running.admitted(PHONE, "still there?");
    await agent.request(2);
    await running.received(PHONE, 2);
    await clock.advance(10 * 60_000 + 30_000);
    await running.logged("conversation.ended");
    const [ended] = await conversations(running, "&open=false");
    expect(ended).toMatchObject({ address: PHONE, messages: 4, ended_at: expect.any(String) });
    expect(await conversations(running, "&open=true")).toEqual([]);
    await running.admitted(PHONE, "hello again");
    const third = await agent.request(3);
    expect(agent.requests[1]?.body.conversation_id).toBe(ended.id);
    expect(third.body.conversation_id).not.toBe(ended.id);
    expect(third.body.messages).toHaveLength(1);
    expect(await conversations(running)).toHaveLength(2);
  });

  test("is over at its time also when nobody has swept it yet", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock, channel: { idle_timeout: "10s" } });
    await running.admitted(PHONE, "hello");
    const first = await agent.request(1);
    await running.logged("turn.done");
    await clock.advance(10_001);
    await running.admitted(PHONE, "hello again");
    expect((await agent.request(2)).body.conversation_id).not.toBe(first.body.conversation_id);
  });

  test("is told to have ended a second after its time at the latest, also where that is short", async () => {
    const clock = manualClock();
    const { running } = await withHook({ clock, channel: { idle_timeout: "2s" } });
    await running.admitted(PHONE, "hello");
    await running.received(PHONE, 1);
    await running.app.idle();
    await clock.advance(3_001);
    await running.logged("conversation.ended");
  });

  test("stays open while a turn runs, however long that takes", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock, channel: { idle_timeout: "1m" } });
    agent.hold();
    await running.admitted(PHONE, "a long job");
    const first = await agent.request(1);
    await clock.advance(100_000);
    expect(await conversations(running, "&open=true")).toHaveLength(1);
    first.answer("done");
    await running.logged("turn.done");
    await clock.advance(50_000);
    await running.admitted(PHONE, "thanks");
    expect((await agent.request(2)).body.conversation_id).toBe(first.body.conversation_id);
  });

  test("survives a restart", async () => {
    const { running, agent } = await withHook();
    await running.text(PHONE, "before");
    await running.received(PHONE, 1);
    const again = await running.restart();
    await again.text(PHONE, "after");
    const second = await agent.request(2);
    expect(second.body.conversation_id).toBe(agent.requests[0]?.body.conversation_id ?? "");
    expect(second.body.messages.map(({ text }) => text)).toEqual(["before", "re: before", "after"]);
  });

  test("is ended by the operator, its turns with it", async () => {
    const { running, agent } = await withHook();
    agent.hold();
    const first = await running.admitted(PHONE, "a long job");
    await agent.request(1);
    const second = await running.admitted(PHONE, "and another");
    const { conversation_id: id } = await running.message(first);
    const ended = await running.api("POST", `/conversations/${id}/end`);
    expect([ended.status, typeof ended.body.ended_at]).toEqual([200, "string"]);
    for (const sid of [first, second]) expect(await running.message(sid)).toMatchObject({ state: "dropped" });
    expect((await running.api("POST", `/conversations/${id}/end`)).status).toBe(409);
    await running.app.idle();
    expect(agent.requests).toHaveLength(1);
    agent.respond(({ body }) => `re: ${body.text}`);
    await running.text(PHONE, "a new start");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("re: a new start");
    expect(agent.requests[1]?.body.conversation_id).not.toBe(id);
  });
});

describe("session: shared", () => {
  test("is one conversation for all paired phones, and each reply goes to who asked", async () => {
    const { running, agent } = await withHook({ channel: { session: "shared", allow_all_senders: false } });
    await running.pair(PHONE);
    await running.pair(OTHER);
    await running.text(PHONE, "buy milk");
    await running.received(PHONE, 2);
    await running.text(OTHER, "what is on the list?");
    await running.received(OTHER, 2);
    expect(agent.requests[1]?.body.conversation_id).toBe(agent.requests[0]?.body.conversation_id ?? "");
    expect(agent.requests[1]?.body.messages.map(({ text }) => text)).toEqual([
      "buy milk",
      "re: buy milk",
      "what is on the list?",
    ]);
    expect((await running.inbox(OTHER))[1]?.text).toBe("re: what is on the list?");
    expect(await running.inbox(PHONE)).toHaveLength(2);
  });

  test("runs one turn at a time over all phones, and does not mix their texts", async () => {
    const { running, agent } = await withHook({ channel: { session: "shared", allow_all_senders: false } });
    await running.pair(PHONE);
    await running.pair(OTHER);
    agent.hold();
    await running.admitted(PHONE, "one");
    const first = await agent.request(1);
    await running.admitted(OTHER, "two");
    await running.admitted(PHONE, "three");
    expect(agent.requests).toHaveLength(1);
    first.answer("answer one");
    const second = await agent.request(2);
    expect([second.body.from, second.body.text]).toEqual([OTHER, "two"]);
    second.answer("answer two");
    const third = await agent.request(3);
    expect([third.body.from, third.body.text]).toEqual([PHONE, "three"]);
    third.answer("answer three");
    await running.received(PHONE, 3);
    await running.received(OTHER, 2);
  });

  test("spans the numbers of one agent; each reply goes out from the number that was texted", async () => {
    const shared = { ...SMS, agent: "hook", session: "shared" };
    const { running, agent } = await withHook({
      config: { channels: { sms: shared, second: { ...shared, from_number: SECOND_NUMBER } } },
    });
    await running.pair(PHONE);
    await running.pair(PHONE, "second");
    agent.hold();
    await running.admitted(PHONE, "to the first");
    const first = await agent.request(1);
    await running.admitted(PHONE, "to the second", SECOND_NUMBER);
    expect(agent.requests).toHaveLength(1);
    first.answer("answer one");
    const second = await agent.request(2);
    expect(second.body.conversation_id).toBe(first.body.conversation_id);
    second.answer("answer two");
    const replies = (await running.received(PHONE, 4)).slice(2);
    expect(replies.map(({ from, text }) => [from, text])).toEqual([
      [SMS.from_number, "answer one"],
      [SECOND_NUMBER, "answer two"],
    ]);
  });

  test("keeps whom a policy lets in without pairing to themselves", async () => {
    const { running, agent } = await withHook({ channel: { session: "shared" } });
    await running.pair(PHONE);
    await running.text(PHONE, "the alarm code is 4711");
    await running.received(PHONE, 2);
    await running.text(STRANGER, "what did they say?");
    await running.received(STRANGER, 1);
    expect(agent.requests[1]?.body.messages.map(({ text }) => text)).toEqual(["what did they say?"]);
  });
});

describe("over a restart", () => {
  test("texts that were waiting are answered, once and in order", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock, channel: { debounce: "30s" } });
    for (const text of ["one", "two"]) await running.admitted(PHONE, text);
    await running.admitted(OTHER, "hello");
    expect(agent.requests).toHaveLength(0);
    const again = await running.restart();
    await clock.advance(30_000);
    await agent.request(2);
    expect((await again.received(PHONE, 1))[0]?.text).toBe("re: one\ntwo");
    expect((await again.received(OTHER, 1))[0]?.text).toBe("re: hello");
    await again.app.idle();
    expect(agent.requests).toHaveLength(2);
  });

  test("an agent that was running is asked again under the same turn_id, without later texts", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock });
    agent.hold();
    await running.admitted(PHONE, "a long job");
    const first = await agent.request(1);
    const again = await running.restart();
    const second = await agent.request(2);
    expect(second.body.turn_id).toBe(first.body.turn_id);
    expect(second.headers.get("webhook-id")).toBe(first.body.turn_id);
    await again.admitted(PHONE, "one more thing");
    second.answer("done");
    expect((await again.received(PHONE, 1))[0]?.text).toBe("done");
    const third = await agent.request(3);
    expect(third.body.text).toBe("one more thing");
    third.answer("done too");
    expect(await again.received(PHONE, 2)).toHaveLength(2);
  });

  test("a text is not answered twice", async () => {
    const { running, agent } = await withHook();
    await running.text(PHONE, "once");
    await running.received(PHONE, 1);
    const again = await running.restart();
    await again.app.idle();
    expect(agent.requests).toHaveLength(1);
    expect((await again.api("GET", "/messages?direction=outbound")).body.items).toHaveLength(1);
  });
});

describe("stopping the service", () => {
  test("finishes the turn that runs; its reply is sent after the next start, and the agent is not asked again", async () => {
    const { running, agent } = await withHook();
    agent.hold();
    await running.admitted(PHONE, "a job");
    const request = await agent.request(1);
    const stopped = running.stop();
    request.answer("just in time");
    await stopped;
    const again = await running.restart();
    await again.eventually(
      async () =>
        (await again.api("GET", "/messages?direction=outbound")).body.items[0]?.text === "just in time" &&
        (await again.api("GET", "/messages?direction=inbound")).body.items[0]?.state === "handled",
      "the reply",
    );
    await again.app.idle();
    expect(agent.requests).toHaveLength(1);
    expect((await again.api("GET", "/messages?direction=outbound")).body.items).toHaveLength(1);
  });

  test("is waited for: a second one on the same data is refused meanwhile", async () => {
    const { running } = await withHook();
    const second = await startService({ folder: running.folder }).then(
      () => "it started",
      (error: unknown) => String(error),
    );
    expect(second).toContain("in use by another sms-agent");
    const sid = await running.admitted(PHONE, "still alive?");
    expect((await running.message(sid)).route).toBe("message");
  });
});

describe("a disabled channel", () => {
  test("admits texts and runs their turns once it is enabled again", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock, channel: { enabled: false } });
    const response = await running.webhook(inboundParameters(running, { Body: "while disabled" }));
    expect(response.status).toBe(200);
    await clock.advance(60_000);
    expect(agent.requests).toHaveLength(0);
    const again = await running.restart({ config: enabled(agent) });
    expect((await again.received(PHONE, 1))[0]?.text).toBe("re: while disabled");
  });

  test("shows a turn that is older than idle_timeout instead of running it", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock, channel: { enabled: false, idle_timeout: "10m" } });
    const old = inboundParameters(running, { Body: "long ago" });
    await running.webhook(old);
    await clock.advance(11 * 60_000);
    const again = await running.restart({ config: enabled(agent, { idle_timeout: "10m" }) });
    await again.eventually(
      async () => (await again.message(String(old.MessageSid))).state === "failed",
      "the turn to be set aside",
    );
    const message = await again.message(String(old.MessageSid));
    expect(message.text).toBe("long ago");
    expect(message.error.meaning).toContain("idle_timeout");
    await again.app.idle();
    expect(agent.requests).toHaveLength(0);
    expect((await again.api("GET", "/messages?direction=outbound")).body.items).toEqual([]);
  });

  test("shows also a turn that was waiting when the channel was disabled", async () => {
    const clock = manualClock();
    const slow = { debounce: "5m", idle_timeout: "10m" };
    const { running, agent } = await withHook({ clock, channel: slow });
    const sid = await running.admitted(PHONE, "long ago");
    let again = await running.restart({ config: enabled(agent, { ...slow, enabled: false }) });
    await clock.advance(11 * 60_000);
    again = await again.restart({ config: enabled(agent, slow) });
    await again.eventually(
      async () => (await again.message(sid)).state !== "queued",
      "the turn to be looked at",
    );
    expect((await again.message(sid)).error?.meaning).toContain("idle_timeout");
    expect(agent.requests).toHaveLength(0);
  });

  test("answers a fresh text once it is enabled again, also where an older one is only shown", async () => {
    const clock = manualClock();
    const down = { enabled: false, idle_timeout: "10m" };
    const { running, agent } = await withHook({ clock, channel: down });
    const [old, fresh] = ["long ago", "just now"].map((Body) => inboundParameters(running, { Body }));
    await running.webhook(old ?? {});
    await clock.advance(11 * 60_000);
    await running.webhook(fresh ?? {});
    await clock.advance(60_000);
    const again = await running.restart({ config: enabled(agent, { idle_timeout: "10m" }) });
    expect((await again.received(PHONE, 1))[0]?.text).toBe("re: just now");
    await again.app.idle();
    const [shown, answered] = await Promise.all(
      [old, fresh].map((parameters) => again.message(String(parameters?.MessageSid))),
    );
    expect([shown.state, answered.state]).toEqual(["failed", "handled"]);
    expect(shown.error.meaning).toContain("idle_timeout");
    expect(answered.conversation_id).not.toBe(shown.conversation_id);
    expect(agent.requests).toHaveLength(1);
  });

  test("keeps what is to be sent until it is enabled again", async () => {
    const clock = manualClock();
    const { running, agent } = await withHook({ clock, channel: { enabled: false } });
    const sent = await running.api("POST", "/messages", { channel: "sms", to: PHONE, body: "later" });
    expect(sent.status).toBe(202);
    await clock.advance(60_000);
    expect((await running.api("GET", `/messages/${sent.body.id}`)).body.state).toBe("pending");
    const again = await running.restart({ config: enabled(agent) });
    expect((await again.received(PHONE, 1))[0]?.text).toBe("later");
  });

  function enabled(agent: Hook, channel: Readonly<Record<string, unknown>> = {}) {
    return {
      channels: { sms: { ...OPEN, agent: "hook", ...channel } },
      agents: { hook: { type: "http", url: agent.url } },
    };
  }
});
