import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import {
  type ApiMessage,
  newSid,
  PHONE,
  type Service,
  type ServiceOptions,
  SMS,
  startService,
} from "../support/service.ts";

setDefaultTimeout(20_000);

const OTHER = "+15557650002";

async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = closing(
    await startService({
      config: { channels: { sms: { ...SMS, allow_all_senders: true } } },
      ...options,
    }),
  );
  return service;
}

/** The service on a clock the test turns. */
async function startClocked(): Promise<{ running: Service; clock: ManualClock }> {
  const clock = manualClock();
  return { running: await start({ clock }), clock };
}

async function send(running: Service, body: string, to = PHONE): Promise<string> {
  const answer = await running.api("POST", "/messages", { channel: "sms", to, body });
  expect(answer.status).toBe(202);
  return answer.body.id;
}

async function get(running: Service, id: string): Promise<ApiMessage> {
  return (await running.api("GET", `/messages/${id}`)).body;
}

async function reaches(running: Service, id: string, state: string): Promise<ApiMessage> {
  await running.eventually(async () => (await get(running, id)).state === state, `${id} to be ${state}`);
  return get(running, id);
}

function states(message: ApiMessage): string[] {
  return message.events.map((event: { state: string }) => event.state);
}

/** How often the carrier was asked to send. */
function attempts(running: Service): number {
  return running.logs.filter(
    (line) =>
      line.event === "twilio.request" &&
      line.fields.method === "POST" &&
      String(line.fields.path).endsWith("Messages.json"),
  ).length;
}

describe("a text that is sent", () => {
  test("goes through its states to delivered, every step with its time", async () => {
    const running = await start();
    const id = await send(running, "hello");
    const message = await reaches(running, id, "delivered");
    expect([...new Set(states(message))]).toEqual(["pending", "sending", "queued", "sent", "delivered"]);
    const times = message.events.map((event: { at: string }) => Date.parse(event.at));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(message).toMatchObject({
      direction: "outbound",
      from: SMS.from_number,
      to: PHONE,
      text: "hello",
      segments: 1,
    });
    expect(message.provider_sid).toMatch(/^SM[0-9a-f]{32}$/);
    expect(message.error).toBeUndefined();
  });

  test("is read where the carrier says so", async () => {
    const running = await start();
    await running.simulator.addFault({ on: "send", kind: "read" });
    const message = await reaches(running, await send(running, "hello"), "read");
    expect(states(message).slice(-2)).toEqual(["delivered", "read"]);
  });

  test("reaches its recipient in the order of sending, whatever happens to the first one", async () => {
    const { running, clock } = await startClocked();
    await running.simulator.addFault({ on: "send", kind: "throttle", times: 2, match: { body: "text 1" } });
    const ids: string[] = [];
    for (let i = 1; i <= 4; i++) ids.push(await send(running, `text ${i}`));
    const other = await send(running, "to somebody else", OTHER);
    await running.logged("send.retry");
    await reaches(running, other, "delivered");
    expect(await running.inbox(PHONE)).toEqual([]);
    await clock.advance(10_000);
    const texts = await running.received(PHONE, 4);
    expect(texts.map(({ text }) => text)).toEqual(["text 1", "text 2", "text 3", "text 4"]);
    for (const id of ids) await reaches(running, id, "delivered");
    expect(attempts(running)).toBe(7);
  });

  test("carries media and templates to the carrier", async () => {
    const running = await start();
    const media = await running.api("POST", "/messages", {
      channel: "sms",
      to: PHONE,
      media_urls: ["https://example.com/a.png", "https://example.com/b.png"],
    });
    await reaches(running, media.body.id, "delivered");
    const template = await running.api("POST", "/messages", {
      channel: "sms",
      to: PHONE,
      content_sid: "HX0123456789abcdef0123456789abcdef",
      content_variables: { 1: "Ann" },
    });
    await reaches(running, template.body.id, "delivered");
    const [first, second] = await running.inbox(PHONE);
    expect(first?.media.map(({ url }) => url)).toEqual([
      "https://example.com/a.png",
      "https://example.com/b.png",
    ]);
    expect(second?.text).toBe('[template HX0123456789abcdef0123456789abcdef] {"1":"Ann"}');
  });

  test("counts its segments as the carrier does", async () => {
    const running = await start();
    for (const [body, segments] of [
      ["x".repeat(160), 1],
      ["x".repeat(161), 2],
      ["€".repeat(81), 2],
      ["ж".repeat(70), 1],
      ["ж".repeat(71), 2],
    ] as const) {
      const message = await reaches(running, await send(running, body), "delivered");
      expect([body.length, message.segments]).toEqual([body.length, segments]);
    }
  });
});

describe("a send that may be tried again", () => {
  test("is, after 429, with growing pauses", async () => {
    const { running, clock } = await startClocked();
    await running.simulator.addFault({ on: "send", kind: "throttle", times: 3 });
    const started = clock.now();
    const id = await send(running, "hello");
    const message = await reaches(running, id, "delivered");
    expect(attempts(running)).toBe(4);
    expect(clock.now() - started).toBeGreaterThan(0.75 * (1_000 + 2_000 + 4_000));
    expect(states(message).filter((state) => state === "sending")).toHaveLength(4);
    expect(await running.inbox(PHONE)).toHaveLength(1);
  });

  test("waits as long as the carrier asks for, and so do the others of this number", async () => {
    const { running, clock } = await startClocked();
    await running.simulator.addFault({ on: "send", kind: "throttle", retry_after: "30s", times: 1 });
    const id = await send(running, "hello");
    await running.logged("send.retry");
    const other = await send(running, "hello you", OTHER);
    await clock.advance(29_000);
    expect([(await get(running, id)).state, (await get(running, other)).state]).toEqual([
      "pending",
      "pending",
    ]);
    expect(attempts(running)).toBe(1);
    await reaches(running, id, "delivered");
    await reaches(running, other, "delivered");
  });

  test("is given up after four hours, and shown as failed with what to do", async () => {
    const clock = manualClock();
    const running = await start({ clock, config: { channels: { sms: { ...SMS, enabled: false } } } });
    const id = await send(running, "hello");
    for (let hour = 0; hour < 4; hour++) {
      expect((await get(running, id)).state).toBe("pending");
      await clock.advance(3_600_000 - 1);
    }
    await clock.advance(60_000);
    const message = await reaches(running, id, "failed");
    expect(message.error.meaning).toContain("four hours");
    expect(message.error.fix).toBeString();
  });
});

describe("a permanent refusal", () => {
  test("is not tried again, and is shown with code, meaning and fix", async () => {
    const { running, clock } = await startClocked();
    const refusals = [
      ["+15005550001", 21211, "number"],
      ["+15005550002", 21612, "cannot reach"],
      ["+15005550003", 21408, "Geo"],
      ["+15005550009", 21614, "landline"],
    ] as const;
    for (const [to, code, hint] of refusals) {
      const before = attempts(running);
      const message = await reaches(running, await send(running, "hello", to), "failed");
      expect([to, message.error.code]).toEqual([to, code]);
      expect(`${message.error.meaning} ${message.error.fix}`).toContain(hint);
      await clock.advance(60_000);
      expect(attempts(running)).toBe(before + 1);
    }
    expect(
      running.logs.filter((line) => line.event === "send.refused" && line.level === "error"),
    ).toHaveLength(4);
  });

  test("of any code lets the recipient's next text go", async () => {
    const running = await start();
    await running.simulator.addFault({
      on: "send",
      kind: "error",
      code: 21999,
      message: "Something new",
      times: 1,
    });
    const id = await send(running, "refused");
    const next = await send(running, "accepted");
    expect((await reaches(running, id, "failed")).error).toMatchObject({ code: 21999 });
    await reaches(running, next, "delivered");
    expect((await running.inbox(PHONE)).map(({ text }) => text)).toEqual(["accepted"]);
  });

  test("that comes later by callback is shown in the same way", async () => {
    const running = await start();
    await running.simulator.addFault({ on: "send", kind: "undelivered", code: 30003, times: 1 });
    const undelivered = await reaches(running, await send(running, "one"), "undelivered");
    expect(undelivered.error).toMatchObject({ code: 30003 });
    expect(undelivered.error.fix).toBeString();
    await running.simulator.addFault({ on: "send", kind: "failed", code: 30034, times: 1 });
    const failed = await reaches(running, await send(running, "two"), "failed");
    expect(failed.error).toMatchObject({ code: 30034 });
    expect(`${failed.error.meaning} ${failed.error.fix}`).toContain("10DLC");
  });

  test("shows no secret and no other person's number", async () => {
    const running = await start();
    const token = running.settings.channels.sms?.account.authToken ?? "";
    await running.simulator.addFault({
      on: "send",
      kind: "error",
      code: 21999,
      message: `bad token ${token} for +15557650099`,
    });
    const message = await reaches(running, await send(running, "hello"), "failed");
    expect(JSON.stringify(message)).not.toContain(token);
    expect(JSON.stringify(message)).not.toContain("+15557650099");
    expect(JSON.stringify(running.logs)).not.toContain(token);
  });
});

describe("status callbacks", () => {
  test("in reverse order never move a message back, and every one is kept", async () => {
    const running = await start();
    await running.simulator.addFault({ on: "callback", kind: "reorder" });
    const id = await send(running, "hello");
    await running.logged("delivery.status", { message: id, status: "queued" });
    const message = await get(running, id);
    expect(message.state).toBe("delivered");
    expect(states(message).slice(3)).toEqual(["delivered", "sent", "queued", "queued"]);
  });

  test("that are repeated change nothing, and are kept", async () => {
    const running = await start();
    await running.simulator.addFault({ on: "callback", kind: "duplicate", count: 3 });
    const id = await send(running, "hello");
    await running.logged("delivery.status", { message: id, status: "delivered" }, 3);
    const message = await get(running, id);
    expect(message.state).toBe("delivered");
    expect(states(message).filter((state) => state === "delivered")).toHaveLength(3);
  });

  test("that are late change nothing any more", async () => {
    const { running, clock } = await startClocked();
    await running.simulator.addFault({ on: "callback", kind: "late", delay: "10s", states: ["sent"] });
    const id = await send(running, "hello");
    await reaches(running, id, "delivered");
    await clock.advance(10_000);
    await running.logged("delivery.status", { message: id, status: "sent" });
    const message = await get(running, id);
    expect([message.state, states(message).at(-1)]).toEqual(["delivered", "sent"]);
  });

  test("that are all lost are made up for by asking the carrier", async () => {
    const { running, clock } = await startClocked();
    await running.simulator.addFault({ on: "callback", kind: "lost" });
    const id = await send(running, "hello");
    await running.received(PHONE, 1);
    expect((await get(running, id)).state).toBe("queued");
    await clock.advance(5 * 60_000);
    expect((await reaches(running, id, "delivered")).state).toBe("delivered");
  });

  test("for a message that is not known yet are kept and answered 204", async () => {
    const running = await start();
    const response = await callback(running, { MessageSid: newSid(), MessageStatus: "delivered" });
    expect([response.status, await response.text()]).toEqual([204, ""]);
  });

  test("find their message by ?m= as well as by its sid", async () => {
    const running = await start();
    await running.simulator.addFault({ on: "callback", kind: "lost" });
    const id = await send(running, "hello");
    await running.received(PHONE, 1);
    const { provider_sid: sid } = await get(running, id);
    await callback(running, { MessageSid: sid, MessageStatus: "sent" });
    expect((await get(running, id)).state).toBe("sent");
    await callback(running, { MessageSid: sid, MessageStatus: "delivered" }, `m=${id}.1`);
    expect((await get(running, id)).state).toBe("delivered");
  });

  test("are refused unsigned, malformed or of another account", async () => {
    const running = await start();
    const id = await send(running, "hello");
    await running.received(PHONE, 1);
    const sid = (await reaches(running, id, "delivered")).provider_sid;
    const parameters = statusParameters(running, { MessageSid: sid, MessageStatus: "read" });
    expect((await running.webhook(parameters, { status: true, signature: null })).status).toBe(403);
    expect((await running.webhook(parameters, { status: true, token: "forged" })).status).toBe(403);
    expect((await callback(running, { MessageSid: sid, MessageStatus: "" })).status).toBe(400);
    expect(
      (
        await callback(running, {
          MessageSid: sid,
          MessageStatus: "read",
          AccountSid: "AC00000000000000000000000000000000",
        })
      ).status,
    ).toBe(403);
    expect((await get(running, id)).state).toBe("delivered");
    expect((await callback(running, { MessageSid: sid, MessageStatus: "read" })).status).toBe(204);
    expect((await get(running, id)).state).toBe("read");
  });

  test("with a word nobody knows are kept as what the carrier said, and change nothing", async () => {
    const running = await start();
    const id = await send(running, "hello");
    const { provider_sid: sid } = await reaches(running, id, "delivered");
    expect((await callback(running, { MessageSid: sid, MessageStatus: "partially_delivered" })).status).toBe(
      204,
    );
    const message = await get(running, id);
    expect(message.state).toBe("delivered");
    expect(message.events.at(-1).detail).toContain("partially_delivered");
  });
});

function statusParameters(running: Service, changes: Readonly<Record<string, string>>) {
  return {
    SmsSid: changes.MessageSid ?? "",
    SmsStatus: changes.MessageStatus ?? "",
    AccountSid: running.settings.channels.sms?.account.accountSid ?? "",
    From: SMS.from_number,
    To: PHONE,
    ApiVersion: "2010-04-01",
    ...changes,
  };
}

function callback(
  running: Service,
  changes: Readonly<Record<string, string>>,
  query = "",
): Promise<Response> {
  return running.webhook(statusParameters(running, changes), { status: true, query });
}

describe("a send whose outcome is not known", () => {
  for (const kind of ["timeout_after", "cut_after", "server_error_after"]) {
    test(`(${kind}) is unknown, is never repeated, and is settled by its callback`, async () => {
      const { running, clock } = await startClocked();
      await running.simulator.addFault({ on: "callback", kind: "late", delay: "20s" });
      await running.simulator.addFault({ on: "send", kind, times: 1 });
      const id = await send(running, "hello");
      if (kind === "timeout_after") {
        await running.until(
          () => attempts(running) === 1 || running.simulator.messages(PHONE).then((all) => all.length > 0),
          "the request",
        );
        await clock.advance(10_000);
      }
      await running.logged("send.unknown", { message: id });
      const unknown = await get(running, id);
      expect(unknown.state).toBe("unknown");
      expect(states(unknown)).toEqual(["pending", "sending", "unknown"]);
      await clock.advance(20_000);
      const message = await reaches(running, id, "delivered");
      expect(message.provider_sid).toBe((await running.simulator.messages(PHONE))[0]?.sid);
      await clock.advance(10 * 60_000);
      await running.app.idle();
      expect(await running.inbox(PHONE)).toHaveLength(1);
      expect(attempts(running)).toBe(1);
    });
  }

  test("is settled by a callback that comes before the time-out", async () => {
    const { running, clock } = await startClocked();
    await running.simulator.addFault({ on: "send", kind: "timeout_after", times: 1 });
    const id = await send(running, "hello");
    await reaches(running, id, "delivered");
    await clock.advance(30_000);
    await running.logged("send.unknown", { message: id });
    expect((await get(running, id)).state).toBe("delivered");
    expect(await running.inbox(PHONE)).toHaveLength(1);
  });

  test("holds its recipient's next text for 180 s and no longer", async () => {
    const { running, clock } = await startClocked();
    await running.simulator.addFault({ on: "callback", kind: "lost", match: { body: "first" } });
    await running.simulator.addFault({ on: "send", kind: "cut_after", times: 1, match: { body: "first" } });
    const first = await send(running, "first");
    await running.logged("send.unknown", { message: first });
    const second = await send(running, "second");
    const other = await send(running, "elsewhere", OTHER);
    await reaches(running, other, "delivered");
    if ((await get(running, first)).state === "unknown")
      expect((await get(running, second)).state).toBe("pending");
    await clock.advance(180_000);
    await reaches(running, second, "delivered");
    expect((await running.inbox(PHONE)).map(({ text }) => text)).toEqual(["first", "second"]);
  });

  test("is unknown also when the service stopped in the middle of it, and is not repeated", async () => {
    const running = await start();
    await running.simulator.addFault({ on: "send", kind: "timeout_after" });
    const id = await send(running, "hello");
    await running.until(async () => (await get(running, id)).state !== "pending", "the try to begin");
    await running.simulator.clearFaults();
    const again = await running.restart();
    const message = await get(again, id);
    expect(["unknown", "queued", "sent", "delivered"]).toContain(message.state);
    await again.app.idle();
    expect(await again.inbox(PHONE)).toEqual([]);
    const next = await send(again, "to somebody else", OTHER);
    await reaches(again, next, "delivered");
  });
});
