import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ACCOUNT_SID, type Carrier, openCarrier, TWILIO_SMS, twilioSection } from "../support/carrier.ts";
import { closing } from "../support/cleanup.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import { openProxy } from "../support/proxy.ts";
import {
  type ApiMessage,
  NUMBER,
  PHONE,
  type Service,
  type ServiceOptions,
  STRANGER,
  startService,
} from "../support/service.ts";

setDefaultTimeout(20_000);

const OTHER = "+15557650002";
const MINUTE = 60_000;

interface Started {
  readonly running: Service;
  readonly outside: Carrier;
}

/** A service that receives by webhook, with a carrier that outlives it. */
async function byWebhook(
  options: { readonly clock?: ManualClock; readonly channel?: Readonly<Record<string, unknown>> } = {},
): Promise<Started> {
  const { clock } = options;
  const outside = closing(openCarrier(clock === undefined ? {} : { clock }));
  const front = closing(openProxy());
  const service = closing(
    await startService({
      config: {
        server: { listen: "127.0.0.1:0", public_url: front.url },
        twilio: twilioSection(outside),
        channels: { sms: { ...TWILIO_SMS, allow_all_senders: true, ...options.channel } },
      },
      carrier: outside,
      onListening: (url) => front.pointTo(url),
      ...(clock === undefined ? {} : { clock }),
    }),
  );
  return { running: service, outside };
}

/** A service that polls: no public URL, no port that anybody could call. */
async function byPolling(
  clock: ManualClock,
  channel: Readonly<Record<string, unknown>> = {},
  outside = openCarrier({ clock }),
  more: Partial<ServiceOptions> = {},
): Promise<Started> {
  closing(outside);
  const service = closing(
    await startService({
      config: {
        twilio: twilioSection(outside),
        channels: { sms: { ...TWILIO_SMS, inbound: "poll", ...channel } },
      },
      carrier: outside,
      clock,
      ...more,
    }),
  );
  return { running: service, outside };
}

/** Stops the service; no webhook for what is texted meanwhile ever comes. */
async function goDown(running: Service, outside: Carrier): Promise<void> {
  await running.stop();
  await outside.control.addFault({ on: "inbound", kind: "lost" });
}

async function comeBack(running: Service, outside: Carrier): Promise<Service> {
  await outside.control.clearFaults();
  const service = await running.restart();
  return service;
}

/** Resolves once the service has looked into the carrier's list `count` times. */
async function looked(running: Service, count: number): Promise<void> {
  const path = `/2010-04-01/Accounts/${running.settings.channels.sms?.account.accountSid}/Messages.json`;
  await running.eventually(
    () =>
      running.logs.filter(({ event, fields }) => event === "twilio.request" && fields.path === path).length >=
      count,
    `look ${count} into the list`,
  );
}

async function inbound(running: Service): Promise<ApiMessage[]> {
  return (await running.api("GET", "/messages?direction=inbound&limit=200")).body.items;
}

describe("texts that arrive while the service is down", () => {
  test("are answered after its start, in order, marked late, and only once", async () => {
    const { running, outside } = await byWebhook();
    await looked(running, 1);
    await running.text(PHONE, "before");
    await running.received(PHONE, 1);
    await goDown(running, outside);
    for (const text of ["one", "two", "three"])
      await outside.control.inbound({ from: PHONE, to: NUMBER, body: text });
    await outside.control.inbound({ from: OTHER, to: NUMBER, body: "hello" });
    const again = await comeBack(running, outside);
    await again.eventually(
      async () => (await again.inbox(PHONE)).some(({ text }) => text.endsWith("three")),
      "the answers",
    );
    await again.received(OTHER, 1);
    await again.app.idle();
    const answers = (await again.inbox(PHONE))
      .map(({ text }) => text)
      .join("\n")
      .split("\n");
    expect(answers).toEqual(["before", "one", "two", "three"]);
    const kept = await inbound(again);
    expect(kept.map(({ text, late }) => [text, late ?? false]).sort()).toEqual(
      [
        ["before", false],
        ["hello", true],
        ["one", true],
        ["three", true],
        ["two", true],
      ].sort(),
    );
  });

  test("are found soon after the list could not be read, not five minutes later", async () => {
    const clock = manualClock();
    const { running, outside } = await byWebhook({ clock });
    await goDown(running, outside);
    await outside.control.inbound({ from: PHONE, to: NUMBER, body: "are you there?" });
    await outside.control.clearFaults();
    const path = `/2010-04-01/Accounts/${ACCOUNT_SID}/Messages*`;
    await outside.control.addFault({
      on: "request",
      kind: "server_error",
      times: 2,
      match: { path, method: "GET" },
    });
    const again = await running.restart();
    await again.logged("catch_up.unreachable");
    const failed = clock.now();
    await again.received(PHONE, 1);
    expect(clock.now() - failed).toBeLessThan(MINUTE);
  });

  test("are routed like any other: a stranger's is dropped, a STOP opts out", async () => {
    const { running, outside } = await byWebhook({ channel: { allow_all_senders: false } });
    await running.pair();
    await goDown(running, outside);
    await outside.control.inbound({ from: STRANGER, to: NUMBER, body: "let me in" });
    await outside.control.inbound({ from: PHONE, to: NUMBER, body: "STOP" });
    const again = await comeBack(running, outside);
    await again.logged("inbound.admitted", {}, 2);
    await again.app.idle();
    const [stop, stranger] = await inbound(again);
    expect(stop).toMatchObject({ route: "command", text: "STOP", late: true });
    expect(stranger).toMatchObject({ state: "dropped", from: "+1555***3333" });
    const sent = await again.api("POST", "/messages", { channel: "sms", to: PHONE, body: "hello" });
    expect(sent.body.state).toBe("suppressed");
  });

  test("are left alone when they are older than catch_up", async () => {
    const clock = manualClock();
    const { running, outside } = await byWebhook({ clock, channel: { catch_up: "1h" } });
    await goDown(running, outside);
    await outside.control.inbound({ from: PHONE, to: NUMBER, body: "long ago" });
    await clock.advance(50 * MINUTE);
    await outside.control.inbound({ from: PHONE, to: NUMBER, body: "lately" });
    await clock.advance(20 * MINUTE);
    const again = await comeBack(running, outside);
    expect((await again.received(PHONE, 1))[0]?.text).toBe("lately");
    await again.app.idle();
    expect((await inbound(again)).map(({ text }) => text)).toEqual(["lately"]);
  });

  test("with their media keep them", async () => {
    const { running, outside } = await byWebhook();
    await goDown(running, outside);
    await outside.control.inbound({
      from: PHONE,
      to: NUMBER,
      body: "a picture",
      mediaUrls: ["data:image/png;base64,iVBORw0KGgo="],
    });
    const again = await comeBack(running, outside);
    await again.logged("inbound.admitted");
    const [message] = await inbound(again);
    expect(message.media).toHaveLength(1);
    expect(message.media[0].content_type).toBe("image/png");
    expect(message.media[0].url).toContain("/Media/ME");
  });
});

describe("a text whose webhook was lost", () => {
  test("is found in the carrier's list within five minutes, and answered", async () => {
    const clock = manualClock();
    const { running, outside } = await byWebhook({ clock });
    await looked(running, 1);
    await outside.control.addFault({ on: "inbound", kind: "lost", times: 1 });
    await running.text(PHONE, "lost on the way");
    await running.text(OTHER, "not lost");
    await running.received(OTHER, 1);
    expect(await inbound(running)).toHaveLength(1);
    await clock.advance(5 * MINUTE);
    expect((await running.received(PHONE, 1))[0]?.text).toBe("lost on the way");
    expect((await inbound(running))[0]).toMatchObject({ text: "lost on the way", late: true });
  });

  test("is found also when the list lags behind", async () => {
    const clock = manualClock();
    const { running, outside } = await byWebhook({ clock });
    await looked(running, 1);
    await outside.control.addFault({ on: "inbound", kind: "list_lag", delay: "7m", times: 1 });
    await outside.control.addFault({ on: "inbound", kind: "lost", times: 1 });
    await running.text(PHONE, "lost and late");
    await clock.advance(5 * MINUTE);
    await looked(running, 2);
    expect(await inbound(running)).toEqual([]);
    await clock.advance(5 * MINUTE);
    expect((await running.received(PHONE, 1))[0]?.text).toBe("lost and late");
  });

  test("is found within five minutes of when the list has it, however late that is", async () => {
    const clock = manualClock();
    const { running, outside } = await byWebhook({ clock });
    await looked(running, 1);
    await outside.control.addFault({ on: "inbound", kind: "list_lag", delay: "27m", times: 1 });
    await outside.control.addFault({ on: "inbound", kind: "lost", times: 1 });
    await running.text(PHONE, "lost and very late");
    for (let look = 2; look <= 7; look++) {
      expect(await inbound(running)).toEqual([]);
      await clock.advance(5 * MINUTE);
      await looked(running, look);
    }
    expect((await running.received(PHONE, 1))[0]?.text).toBe("lost and very late");
  });

  test("and the one that is delivered after it are each taken once", async () => {
    const clock = manualClock();
    const { running, outside } = await byWebhook({ clock });
    await looked(running, 1);
    await outside.control.addFault({ on: "inbound", kind: "slow", delay: "6m", times: 1 });
    await running.text(PHONE, "slow");
    await clock.advance(5 * MINUTE);
    expect((await running.received(PHONE, 1))[0]?.text).toBe("slow");
    await clock.advance(2 * MINUTE);
    await running.logged("inbound.duplicate");
    await running.app.idle();
    expect(await inbound(running)).toHaveLength(1);
    expect(await running.inbox(PHONE)).toHaveLength(1);
  });
});

describe("inbound: poll", () => {
  test("does the whole scenario without a public URL, delivery states included", async () => {
    const clock = manualClock();
    const { running } = await byPolling(clock);
    expect(running.settings.server.publicUrl).toBeUndefined();
    const { body: channel } = await running.api("GET", "/channels/sms");
    expect(channel.status).toBe("pairing");
    await running.pair();
    expect((await running.api("GET", "/channels/sms")).body.status).toBe("connected");
    await running.text(PHONE, "hello");
    expect((await running.received(PHONE, 2))[1]?.text).toBe("hello");
    await running.text(STRANGER, "me too?");
    await running.eventually(async () => (await inbound(running)).length === 3, "the stranger's text");
    const reply = (await running.api("GET", "/messages?direction=outbound")).body.items[0];
    await running.eventually(
      async () => (await running.api("GET", `/messages/${reply.id}`)).body.state === "delivered",
      "the delivery",
    );
    expect(await running.inbox(STRANGER)).toEqual([]);
    for (const message of await inbound(running)) expect(message.late).toBeUndefined();
    expect(running.logs.filter(({ event }) => event.startsWith("webhook."))).toEqual([]);
  });

  test("takes a text at the next poll_interval and not before", async () => {
    const clock = manualClock();
    const { running } = await byPolling(clock, { allow_all_senders: true, poll_interval: "30s" });
    await looked(running, 1);
    await running.text(PHONE, "hello");
    await clock.advance(29_000);
    expect(await inbound(running)).toEqual([]);
    await clock.advance(1_000);
    await running.logged("inbound.admitted");
  });

  test("answers everybody else meanwhile, and a picture's sender in order, when the picture cannot be listed", async () => {
    const clock = manualClock();
    const { running, outside } = await byPolling(clock, { allow_all_senders: true, poll_interval: "60s" });
    await looked(running, 1);
    const picture = { from: PHONE, to: NUMBER, mediaUrls: ["data:image/png;base64,iVBORw0KGgo="] };
    const { sid } = await outside.control.inbound({ ...picture, body: "this one" });
    await outside.control.addFault({
      on: "request",
      kind: "server_error",
      match: { path: `/2010-04-01/Accounts/${ACCOUNT_SID}/Messages/${sid}/Media*` },
    });
    await running.text(PHONE, "what is it?");
    await running.text(OTHER, "hello");
    const count = (name: string) => running.logs.filter(({ event }) => event === name).length;
    const admitted = (texts: number) => () => count("inbound.admitted") >= texts;
    await clock.advance(60_000);
    await running.eventually(admitted(1), "the text of somebody else");
    expect((await inbound(running)).map(({ text }) => text)).toEqual(["hello"]);
    expect((await running.api("GET", "/channels/sms")).body.status).toBe("connected");
    for (let looks = 2; looks <= 4; looks++) {
      // Most of the minute at once; the carrier's answers take real time.
      await clock.advance(50_000);
      await running.eventually(() => count("twilio.media_unreachable") >= looks, `look ${looks}`);
    }
    await running.eventually(admitted(3), "the texts of the picture's sender");
    const texts = (await inbound(running)).reverse();
    expect(texts.map(({ text }) => text)).toEqual(["hello", "this one", "what is it?"]);
    expect(texts[1].media ?? []).toEqual([]);
    const [reply] = await running.received(PHONE, 1);
    expect(reply?.text).toStartWith("this one");
  });

  test("takes a text at the next poll_interval also where this machine's clock is fast", async () => {
    const clock = manualClock();
    const outside = openCarrier({ clock: { ...clock, now: () => clock.now() - 45 * MINUTE } });
    const { running } = await byPolling(clock, { allow_all_senders: true, poll_interval: "30s" }, outside);
    await looked(running, 1);
    await running.text(PHONE, "hello");
    await clock.advance(30_000);
    await running.logged("inbound.admitted");
  });

  test("fetches what came while the service was down, marked late", async () => {
    const clock = manualClock();
    const { running, outside } = await byPolling(clock, { allow_all_senders: true });
    await goDown(running, outside);
    await outside.control.inbound({ from: PHONE, to: NUMBER, body: "anybody home?" });
    await clock.advance(60 * MINUTE);
    const again = await comeBack(running, outside);
    expect((await again.received(PHONE, 1))[0]?.text).toBe("anybody home?");
    expect((await inbound(again))[0]).toMatchObject({ late: true });
  });

  test("shows undelivered texts with their code", async () => {
    const clock = manualClock();
    const { running, outside } = await byPolling(clock, { allow_all_senders: true });
    await outside.control.addFault({ on: "send", kind: "undelivered", code: 30006 });
    const { body } = await running.api("POST", "/messages", { channel: "sms", to: PHONE, body: "hello" });
    await running.eventually(
      async () => (await running.api("GET", `/messages/${body.id}`)).body.state === "undelivered",
      "the failure",
    );
    expect((await running.api("GET", `/messages/${body.id}`)).body.error).toMatchObject({ code: 30006 });
  });

  test("is reconnecting while the carrier cannot be reached, and takes up again by itself", async () => {
    const clock = manualClock();
    const { running, outside } = await byPolling(clock, { allow_all_senders: true });
    const port = Number(new URL(outside.url).port);
    await outside.close();
    await running.eventually(
      async () => (await running.api("GET", "/channels/sms")).body.status === "reconnecting",
      "the loss to be noticed",
    );
    const { body: channel } = await running.api("GET", "/channels/sms");
    expect(channel.reason).toBeString();
    expect(channel.fix).toBeString();
    const { body: sent } = await running.api("POST", "/messages", {
      channel: "sms",
      to: PHONE,
      body: "hold on",
    });
    await running.logged("send.retry");
    const back = closing(openCarrier({ clock, port }));
    await running.eventually(
      async () => (await running.api("GET", "/channels/sms")).body.status === "connected",
      "the connection",
    );
    await back.control.inbound({ from: PHONE, to: NUMBER, body: "back again?" });
    await running.eventually(
      async () => (await running.api("GET", `/messages/${sent.id}`)).body.state === "delivered",
      "the text to be sent",
    );
    await running.eventually(
      async () =>
        (await back.control.messages(PHONE)).filter(({ direction }) => direction === "outbound").length === 2,
      "both texts",
    );
    const texts = (await back.control.messages(PHONE)).filter(({ direction }) => direction === "outbound");
    expect(texts.map(({ text }) => text).sort()).toEqual(["back again?", "hold on"]);
  });

  test("does not set a webhook", async () => {
    const clock = manualClock();
    const { running } = await byPolling(clock);
    expect(running.logs.filter(({ event }) => event === "twilio.webhook_registered")).toEqual([]);
  });
});

describe("inbound: none", () => {
  test("sends, follows what becomes of it, and takes no texts", async () => {
    const clock = manualClock();
    const { running } = await byPolling(clock, { inbound: "none", allow_all_senders: true });
    await running.text(PHONE, "hello?");
    const { body } = await running.api("POST", "/messages", { channel: "sms", to: PHONE, body: "a notice" });
    await running.eventually(
      async () => (await running.api("GET", `/messages/${body.id}`)).body.state === "delivered",
      "the delivery",
    );
    await clock.advance(10 * MINUTE);
    expect(await inbound(running)).toEqual([]);
  });
});
