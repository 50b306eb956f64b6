import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { openCarrier, TWILIO_SMS, twilioSection } from "../support/carrier.ts";
import { closing } from "../support/cleanup.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import {
  type ApiMessage,
  NUMBER,
  PHONE,
  type Service,
  type ServiceOptions,
  SMS,
  startService,
} from "../support/service.ts";

setDefaultTimeout(20_000);

const OTHER = "+15557650002";
const SERVICE = "MG0123456789abcdef0123456789abcdef";

interface Scene {
  readonly running: Service;
  readonly clock: ManualClock;
}

/** The service on a clock the test turns, with callbacks that never come unless a test lets them. */
async function scene(
  options: { readonly channel?: object; readonly config?: object; readonly callbacks?: boolean } = {},
): Promise<Scene> {
  const clock = manualClock();
  const channel = { ...SMS, allow_all_senders: true, ...options.channel };
  const running = closing(
    await startService({ clock, config: { channels: { sms: channel }, ...options.config } }),
  );
  if (options.callbacks !== true) await running.simulator.addFault({ on: "callback", kind: "lost" });
  return { running, clock };
}

/** The same with a carrier that outlives the service. */
async function apart(
  options: { readonly channel?: object; readonly ahead?: number } = {},
): Promise<Scene & { readonly options: ServiceOptions }> {
  const clock = manualClock();
  const ahead = options.ahead ?? 0;
  const carrier = closing(openCarrier({ clock: { ...clock, now: () => clock.now() + ahead } }));
  const started: ServiceOptions = {
    clock,
    carrier,
    config: {
      twilio: twilioSection(carrier),
      channels: { sms: { ...TWILIO_SMS, inbound: "none", ...options.channel } },
    },
  };
  const running = closing(await startService(started));
  return { running, clock, options: started };
}

async function send(running: Service, body: string, to = PHONE, more: object = {}): Promise<string> {
  const answer = await running.api("POST", "/messages", { channel: "sms", to, body, ...more });
  expect(answer.status).toBe(202);
  return answer.body.id;
}

async function get(running: Service, id: string): Promise<ApiMessage> {
  return (await running.api("GET", `/messages/${id}`)).body;
}

async function stateOf(running: Service, id: string): Promise<string> {
  return (await get(running, id)).state;
}

/** Sends, and resolves once the answer is lost. */
async function lose(
  running: Service,
  kind: string,
  body: string,
  to = PHONE,
  more: object = {},
): Promise<string> {
  await running.simulator.addFault({ on: "send", kind, times: 1, match: { to } });
  const id = await send(running, body, to, more);
  await running.logged("send.unknown", { message: id });
  return id;
}

/** Lets time pass until the carrier's list has been read `count` times since the start. */
async function listed({ running, clock }: Scene, ms: number, count: number): Promise<void> {
  await clock.advance(ms);
  await running.logged("twilio.sent_list", {}, count);
  await clock.flush();
}

async function reaches(running: Service, id: string, state: string): Promise<ApiMessage> {
  await running.eventually(async () => (await stateOf(running, id)) === state, `${id} to be ${state}`);
  return get(running, id);
}

/** What the carrier has taken for a phone, whether it has arrived or not. */
async function taken(running: Service, phone = PHONE): Promise<readonly string[]> {
  return (await running.simulator.messages(phone))
    .filter(({ direction }) => direction === "outbound")
    .map(({ text }) => text);
}

function alerts(running: Service): readonly unknown[] {
  return running.logs.filter((line) => line.event === "alert").map(({ fields }) => fields.cause);
}

describe("a send whose answer was lost, and which the carrier took", () => {
  for (const kind of ["cut_after", "server_error_after"])
    test(`(${kind}) is found in its list after 30 s, and is not sent again`, async () => {
      const at = await scene();
      const id = await lose(at.running, kind, "hello");
      await at.clock.advance(29_000);
      expect(await stateOf(at.running, id)).toBe("unknown");
      await listed(at, 1_500, 1);
      await at.running.logged("send.found", { message: id });
      const message = await get(at.running, id);
      expect(message.state).toBe("delivered");
      expect(message.provider_sid).toBe((await at.running.simulator.messages(PHONE))[0]?.sid);
      await at.clock.advance(600_000);
      expect(await taken(at.running)).toEqual(["hello"]);
      expect(alerts(at.running)).toEqual([]);
    });

  test("is settled at once by a callback that comes in between, and its list is not read", async () => {
    const { running, clock } = await scene({ callbacks: true });
    const due = clock.now() + 20_000;
    await running.simulator.addFault({ on: "callback", kind: "late", delay: "20s" });
    const id = await lose(running, "cut_after", "hello");
    await clock.advance(due + 50 - clock.now());
    await reaches(running, id, "delivered");
    await clock.advance(300_000);
    expect(running.logs.filter(({ event }) => event === "twilio.sent_list")).toEqual([]);
    expect(await taken(running)).toEqual(["hello"]);
  });

  test("is found by the second listing when the list lags behind the first", async () => {
    const at = await scene();
    await at.running.simulator.addFault({ on: "send", kind: "list_lag", delay: "60s", times: 1 });
    const id = await lose(at.running, "cut_after", "hello");
    await listed(at, 30_000, 1);
    expect(await stateOf(at.running, id)).toBe("unknown");
    await listed(at, 90_000, 2);
    await at.running.logged("send.found", { message: id });
    expect(await taken(at.running)).toEqual(["hello"]);
  });

  test("is found though the carrier made its text plain", async () => {
    const at = await scene({ channel: { from_number: undefined, messaging_service_sid: SERVICE } });
    await lose(at.running, "cut_after", "It\u2019s \u201cdone\u201d \u2013 really\u2026");
    await listed(at, 30_000, 1);
    await at.running.logged("send.found");
    expect(await taken(at.running)).toEqual(['It\'s "done" - really...']);
  });

  test("with a Messaging Service, which has not chosen a sender yet, is found", async () => {
    const at = await scene({ channel: { from_number: undefined, messaging_service_sid: SERVICE } });
    const id = await lose(at.running, "cut_after", "hello");
    await listed(at, 30_000, 1);
    await at.running.logged("send.found", { message: id });
    expect(await taken(at.running)).toEqual(["hello"]);
  });

  test("with a picture, or made from a template, is found", async () => {
    const at = await scene();
    const picture = await lose(at.running, "cut_after", "", PHONE, {
      media_urls: ["https://example.com/a.png"],
    });
    const template = await lose(at.running, "cut_after", "", OTHER, {
      content_sid: "HX0123456789abcdef0123456789abcdef",
      content_variables: { 1: "Ann" },
    });
    await listed(at, 31_000, 2);
    await at.running.logged("send.found", { message: picture });
    await at.running.logged("send.found", { message: template });
    expect([(await taken(at.running)).length, (await taken(at.running, OTHER)).length]).toEqual([1, 1]);
  });

  test("and which then failed, is shown as failed with what to do", async () => {
    const at = await scene();
    await at.running.simulator.addFault({ on: "send", kind: "failed", code: 30034, times: 1 });
    const id = await lose(at.running, "cut_after", "hello");
    await listed(at, 30_000, 1);
    await at.running.logged("send.found", { message: id, state: "failed" });
    const { state, error } = await get(at.running, id);
    expect([state, error.code, error.fix]).toEqual(["failed", 30034, expect.stringContaining("10DLC")]);
  });

  test("is found behind pages of other texts to the same phone", async () => {
    const at = await scene();
    for (let i = 0; i < 3; i++) await send(at.running, `before ${i}`);
    await at.running.received(PHONE, 3);
    const id = await lose(at.running, "cut_after", "hello");
    await listed(at, 30_000, 1);
    await at.running.logged("send.found", { message: id });
  });

  test("is found by a channel that polls, which then follows its state", async () => {
    const at = await apart({ channel: { inbound: "poll", allow_all_senders: true } });
    await at.running.simulator.addFault({ on: "send", kind: "cut_after", times: 1 });
    const id = await send(at.running, "hello");
    await at.running.logged("send.unknown", { message: id });
    // Slowly: a poll that is under way would time out otherwise.
    await at.running.eventually(
      () => at.running.logs.some(({ event }) => event === "send.found"),
      "the list to have it",
    );
    await reaches(at.running, id, "delivered");
    expect(await taken(at.running)).toEqual(["hello"]);
  });

  for (const ahead of [-20 * 60_000, 20 * 60_000])
    test(`is found although the carrier's clock is ${ahead / 60_000} min from ours`, async () => {
      const at = await apart({ ahead });
      const id = await lose(at.running, "cut_after", "hello");
      await listed(at, 30_000, 1);
      await at.running.logged("send.found", { message: id });
      await at.clock.advance(600_000);
      expect(await taken(at.running)).toEqual(["hello"]);
    });
});

describe("a send whose answer was lost, and which the carrier did not take", () => {
  for (const kind of ["cut_before", "server_error"])
    test(`(${kind}) is sent again when two listings, 30 s and 120 s later, do not have it`, async () => {
      const at = await scene({ callbacks: true });
      const id = await lose(at.running, kind, "first");
      const next = await send(at.running, "second");
      await listed(at, 30_000, 1);
      expect([await stateOf(at.running, id), await taken(at.running)]).toEqual(["unknown", []]);
      await at.clock.advance(89_000);
      expect(at.running.logs.filter(({ event }) => event === "twilio.sent_list")).toHaveLength(1);
      await listed(at, 1_500, 2);
      await at.running.logged("send.absent", { message: id });
      await reaches(at.running, id, "delivered");
      await reaches(at.running, next, "delivered");
      expect(await taken(at.running)).toEqual(["first", "second"]);
      const events = (await get(at.running, id)).events;
      expect(events.map(({ state }: { state: string }) => state)).toContain("unknown");
      expect(JSON.stringify(events)).toContain("two of its listings");
      expect(alerts(at.running)).toEqual([]);
    });

  test("counts its segments once", async () => {
    const at = await scene();
    await lose(at.running, "cut_before", "hello");
    await listed(at, 30_000, 1);
    await listed(at, 90_000, 2);
    await at.running.received(PHONE, 1);
    expect((await at.running.api("GET", "/usage")).body.limits.used_today).toBe(1);
  });

  test("is sent again though the same words were sent on purpose shortly before", async () => {
    const at = await scene();
    await send(at.running, "ping");
    await at.running.received(PHONE, 1);
    await lose(at.running, "cut_before", "ping");
    await listed(at, 30_000, 1);
    await listed(at, 90_000, 2);
    await at.running.received(PHONE, 2);
    expect(await taken(at.running)).toEqual(["ping", "ping"]);
  });

  test("is sent again after a listing that failed was tried again", async () => {
    const at = await scene();
    await at.running.simulator.addFault({
      on: "request",
      kind: "server_error",
      times: 1,
      match: { to: PHONE },
    });
    const id = await lose(at.running, "cut_before", "hello");
    await at.clock.advance(30_000);
    await at.running.logged("send.lookup", { message: id });
    await at.clock.flush();
    await listed(at, 10_000, 1);
    await listed(at, 80_000, 2);
    await at.running.logged("send.absent", { message: id });
    await at.running.received(PHONE, 1);
  });
});

describe("a send that timed out", () => {
  test("is not repeated where the carrier took it: the person gets it once", async () => {
    const at = await scene();
    await at.running.simulator.addFault({ on: "send", kind: "timeout_after", times: 1 });
    const id = await send(at.running, "hello");
    await at.running.until(async () => (await taken(at.running)).length === 1, "the carrier to have it");
    await at.clock.advance(10_000);
    await at.running.logged("send.unknown", { message: id });
    await listed(at, 20_000, 1);
    await at.running.logged("send.found", { message: id });
    await at.clock.advance(3_600_000);
    expect(await taken(at.running)).toEqual(["hello"]);
  });

  test("is repeated where the carrier did not take it: the person gets it once", async () => {
    const at = await scene();
    await at.running.simulator.addFault({ on: "send", kind: "timeout_before", times: 1 });
    const id = await send(at.running, "hello");
    await at.running.until(async () => (await stateOf(at.running, id)) === "sending", "the try");
    await at.clock.advance(10_000);
    await at.running.logged("send.unknown", { message: id });
    await listed(at, 20_000, 1);
    await listed(at, 90_000, 2);
    await reaches(at.running, id, "queued");
    await at.running.received(PHONE, 1);
    await at.clock.advance(3_600_000);
    expect(await taken(at.running)).toEqual(["hello"]);
  });
});

describe("a send of which nothing can be told", () => {
  async function undecided(at: Scene, kind: string): Promise<string> {
    await at.running.simulator.addFault({ on: "request", kind: "server_error", match: { to: PHONE } });
    const id = await lose(at.running, kind, "hello");
    for (let i = 0; i < 15; i++) {
      await at.clock.advance(i === 0 ? 30_000 : 10_000);
      await at.running.logged("send.lookup", {}, i + 1);
      await at.clock.flush();
    }
    await at.clock.advance(10_000);
    await at.running.logged("send.undecided", { message: id });
    await at.running.simulator.clearFaults();
    return id;
  }

  test("stays unknown after 180 s, lets the recipient's next text go, and is told once with the way out", async () => {
    const at = await scene();
    const next = (async () => {
      await at.running.logged("send.unknown");
      return send(at.running, "next");
    })();
    const id = await undecided(at, "cut_before");
    expect(await stateOf(at.running, id)).toBe("unknown");
    await reaches(at.running, await next, "delivered");
    await at.clock.advance(600_000);
    expect(alerts(at.running)).toEqual([`send.undecided/${id}`]);
    const [alert] = at.running.logs.filter((line) => line.event === "alert");
    expect(String(alert?.fields.fix)).toContain(`sms-agent messages resend ${id}`);
    expect(await taken(at.running)).toEqual(["next"]);
    const { events, error } = await get(at.running, id);
    expect(error.fix).toContain("sms-agent messages resend");
    expect(events.at(-1)).toMatchObject({
      state: "unknown",
      detail: expect.stringContaining("not sent again"),
    });
  });

  test("is told of together with the others when there are many, as after an outage", async () => {
    const at = await scene();
    await at.running.simulator.addFault({ on: "send", kind: "cut_before" });
    const ids: string[] = [];
    for (let i = 0; i < 7; i++) ids.push(await send(at.running, "hello", `+1555700000${i}`));
    await at.running.logged("send.unknown", {}, 7);
    await at.running.api("PATCH", "/channels/sms", { enabled: false });
    await at.clock.advance(181_000);
    await at.running.logged("send.undecided", {}, 7);
    const [alert, ...others] = at.running.logs.filter((line) => line.event === "alert");
    expect([alert?.fields.cause, others]).toEqual(["send.undecided/sms", []]);
    expect(String(alert?.fields.reason)).toContain("7 messages of sms");
    expect(await Promise.all(ids.map((id) => stateOf(at.running, id)))).toEqual(ids.map(() => "unknown"));
  });

  test("is settled by a callback that comes after that", async () => {
    const at = await scene({ callbacks: true });
    const due = at.clock.now() + 300_000;
    await at.running.simulator.addFault({ on: "callback", kind: "late", delay: "300s" });
    const id = await undecided(at, "cut_after");
    await at.clock.advance(due + 50 - at.clock.now());
    expect((await reaches(at.running, id, "delivered")).error).toBeUndefined();
    expect((await at.running.api("POST", `/messages/${id}/resend`)).status).toBe(409);
  });

  test("is sent once by the operator, who presses twice", async () => {
    const at = await scene({ callbacks: true });
    const id = await undecided(at, "cut_before");
    const answers = await Promise.all([1, 2].map(() => at.running.api("POST", `/messages/${id}/resend`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409]);
    await reaches(at.running, id, "delivered");
    expect((await at.running.api("POST", `/messages/${id}/resend`)).body.detail).toContain("has arrived");
    expect(await taken(at.running)).toEqual(["hello"]);
    const states = (await get(at.running, id)).events.map(({ state }: { state: string }) => state);
    expect(states.slice(0, 6)).toEqual(["pending", "sending", "unknown", "unknown", "pending", "sending"]);
  });

  test("is what a send becomes when its channel is switched off", async () => {
    const at = await scene();
    const id = await lose(at.running, "cut_before", "hello");
    expect((await at.running.api("PATCH", "/channels/sms", { enabled: false })).status).toBe(200);
    await at.clock.advance(179_000);
    expect(await stateOf(at.running, id)).toBe("unknown");
    expect(at.running.logs.filter(({ event }) => event === "twilio.sent_list")).toEqual([]);
    await at.clock.advance(2_000);
    await at.running.logged("send.undecided", { message: id });
    await at.running.api("PATCH", "/channels/sms", { enabled: true });
    await at.clock.advance(600_000);
    expect(await taken(at.running)).toEqual([]);
  });
});

describe("a message that was sent again and turns up all the same", () => {
  /** The list lags for longer than both listings wait. */
  async function twice(at: Scene): Promise<string> {
    await at.running.simulator.addFault({ on: "send", kind: "list_lag", delay: "150s", times: 1 });
    const id = await lose(at.running, "cut_after", "hello");
    await listed(at, 30_000, 1);
    await listed(at, 90_000, 2);
    await at.running.logged("send.absent", { message: id });
    await at.running.received(PHONE, 2);
    return id;
  }

  test("by a late callback, is told to the operator, and both are in its timeline", async () => {
    const at = await scene({ callbacks: true });
    await at.running.simulator.addFault({ on: "callback", kind: "late", delay: "400s", times: 1 });
    const due = at.clock.now() + 400_000;
    const id = await twice(at);
    await reaches(at.running, id, "delivered");
    // Not further: a webhook that is under way would time out meanwhile.
    await at.clock.advance(due + 50 - at.clock.now());
    await at.running.logged("alert", { cause: `send.doubled/${id}` });
    const message = await get(at.running, id);
    const sids = (await at.running.simulator.messages(PHONE)).map(({ sid }) => sid);
    expect(message).toMatchObject({ state: "delivered", provider_sid: sids[1] });
    expect(JSON.stringify(message.events)).toContain(`taken this message twice; try 1 is ${sids[0]}`);
  });

  test("by the carrier's list, is told to the operator", async () => {
    const at = await scene();
    const id = await twice(at);
    await at.clock.advance(600_000);
    await at.running.logged("alert", { cause: `send.doubled/${id}` });
    expect(await taken(at.running)).toEqual(["hello", "hello"]);
  });
});

describe("a restart", () => {
  test("goes on with what was looked for, and finds it", async () => {
    const at = await apart();
    const id = await lose(at.running, "cut_after", "hello");
    const service = await at.running.restart();
    await at.clock.advance(30_000);
    await service.logged("send.found", { message: id });
    expect(await taken(service)).toEqual(["hello"]);
  });

  test("after hours still reads the list far enough back, twice, before anything is sent again", async () => {
    const at = await apart();
    const kept = await lose(at.running, "cut_after", "taken");
    const lost = await lose(at.running, "cut_before", "not taken", OTHER);
    await at.running.stop();
    await at.clock.advance(3 * 3_600_000);
    const service = await at.running.restart();
    await service.logged("send.found", { message: kept });
    expect(await stateOf(service, lost)).toBe("unknown");
    await service.logged("twilio.sent_list", {}, 2);
    await at.clock.flush();
    await at.clock.advance(30_000);
    await service.logged("send.absent", { message: lost });
    await service.received(OTHER, 1);
    expect([await taken(service), await taken(service, OTHER)]).toEqual([["taken"], ["not taken"]]);
  });

  test("with another number does not take what its list lacks for absent", async () => {
    const at = await apart();
    const id = await lose(at.running, "cut_before", "hello");
    await at.running.stop();
    const config = {
      ...at.options.config,
      channels: { sms: { ...TWILIO_SMS, inbound: "none", from_number: "+15550100002" } },
    };
    const service = await at.running.restart({ config });
    for (let i = 0; i < 20; i++) await at.clock.advance(10_000);
    await service.logged("send.undecided", { message: id });
    expect(await taken(service)).toEqual([]);
    expect(NUMBER).not.toBe("+15550100002");
  });
});
