import { describe, expect, test } from "bun:test";
import { afterTest } from "../support/cleanup.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import { type Consumer, openConsumer, type Post, verify } from "../support/consumer.ts";
import { PHONE, type Service, type ServiceOptions, SMS, STRANGER, startService } from "../support/service.ts";

const SECRET = "a secret of the tests";
const HOUR = 3_600_000;
/** For tests in which much time passes, on a machine that is busy, ms. */
const LONG = 30_000;

function consumer(): Consumer {
  const opened = openConsumer();
  afterTest(opened.close);
  return opened;
}

interface Wanted {
  readonly url: string;
  readonly events?: readonly string[];
  readonly include_codes?: boolean;
  readonly secret?: string;
}

const webhook = ({ events = ["message.received"], ...more }: Wanted) => ({ secret: SECRET, events, ...more });

async function start(webhooks: readonly Wanted[], options: ServiceOptions = {}): Promise<Service> {
  const service = await startService({
    seams: { fetch: counted },
    ...options,
    config: { ...options.config, webhooks: webhooks.map(webhook) },
  });
  afterTest(() => service.close());
  return service;
}

const texts = (posts: readonly Post[]) => posts.map(({ body }) => body.data.text);

let underWay = 0;

/** Knows how many requests wait for their answer. */
const counted = Object.assign(
  async (...request: Parameters<typeof fetch>) => {
    underWay += 1;
    try {
      return await fetch(...request);
    } finally {
      underWay -= 1;
    }
  },
  { preconnect: fetch.preconnect },
);

/**
 * Lets time pass in steps, shorter than a post may take, until `check` holds. A post that is under way is given a
 * moment of the real time first, since a busy machine may need more of it than a step takes.
 */
async function later(clock: ManualClock, check: () => boolean, what: string): Promise<void> {
  for (let steps = 0; steps < 1_000; steps++) {
    if (check()) return;
    await clock.advance(10_000);
    await Bun.sleep(2);
    for (let more = 0; underWay > 0 && more < 25; more++) await Bun.sleep(2);
  }
  throw new Error(`waited in vain for ${what}`);
}

/** Every try of one event, by its webhook-id. */
const idOf = (post: Post | undefined) => post?.headers.get("webhook-id");

describe("a webhook", () => {
  test("is posted each event it asks for, signed as Standard Webhooks are", async () => {
    const taker = consumer();
    const service = await start([{ url: taker.url }]);
    await service.pair();
    await service.text(PHONE, "good morning");
    await taker.until((posts) => posts.length === 1, "the text");
    const [post] = taker.posts;
    if (post === undefined) throw new Error("no post");
    verify(post, SECRET);
    expect(() => verify(post, "another secret")).toThrow();
    expect(post.headers.get("content-type")).toBe("application/json");
    expect(idOf(post)).toBe(post.body.id);
    expect(Object.keys(post.body)).toEqual(["id", "type", "at", "data"]);
    expect(post.body).toMatchObject({
      type: "message.received",
      data: { channel: "sms", direction: "inbound", from: PHONE, text: "good morning" },
    });
  });

  test(
    "is posted the events of one phone one at a time and in their order",
    async () => {
      const taker = consumer();
      let open = 0;
      let most = 0;
      taker.respond(async () => {
        open += 1;
        most = Math.max(most, open);
        await Bun.sleep(3);
        open -= 1;
        return 204;
      });
      const service = await start([{ url: taker.url }], { config: { limits: { sender_per_minute: 100 } } });
      await service.pair();
      const sent = Array.from({ length: 30 }, (_, n) => `text ${n}`);
      for (const text of sent) await service.admitted(PHONE, text);
      await taker.until((posts) => posts.length === sent.length, "all texts");
      expect(texts(taker.posts)).toEqual(sent);
      expect(most).toBe(1);
    },
    LONG,
  );

  test(
    "is posted those of several phones at the same time, at most eight, each phone's in order",
    async () => {
      const taker = consumer();
      const [first, others] = [Promise.withResolvers<number>(), Promise.withResolvers<number>()];
      taker.respond(() => (taker.posts.length === 1 ? first : others).promise);
      const service = await start([{ url: taker.url }], {
        config: { channels: { sms: { ...SMS, allow_all_senders: true } } },
      });
      const phones = Array.from({ length: 12 }, (_, n) => `+155566600${String(n).padStart(2, "0")}`);
      for (const nth of [1, 2, 3])
        for (const phone of phones) await service.admitted(phone, `${phone} ${nth}`);
      first.resolve(204);
      await taker.until((posts) => posts.length >= 9, "eight posts");
      await Bun.sleep(20); // for a ninth, were there one
      expect(taker.posts).toHaveLength(9);
      others.resolve(204);
      await taker.until((posts) => posts.length === 3 * phones.length, "all texts");
      for (const phone of phones)
        expect(texts(taker.posts.filter(({ body }) => body.data.from === phone))).toEqual(
          [1, 2, 3].map((nth) => `${phone} ${nth}`),
        );
    },
    LONG,
  );

  test(
    "is posted once what it has taken beside an event that failed, and nothing new before that is taken",
    async () => {
      const clock = manualClock();
      const taker = consumer();
      const service = await start([{ url: taker.url }], {
        clock,
        config: { channels: { sms: { ...SMS, allow_all_senders: true } } },
      });
      const phones = Array.from({ length: 20 }, (_, n) => `+155566600${String(n).padStart(2, "0")}`);
      // All of them wait before the first is posted.
      taker.respond(() => 503);
      for (const phone of phones) await service.admitted(phone, phone);
      await taker.until((posts) => posts.length > 0, "a try");
      let failures = 2;
      const tries = taker.posts.length;
      taker.respond(({ body }) => (body.data.text === phones[3] && failures-- > 0 ? 503 : 204));
      await later(clock, () => taker.posts.length >= tries + phones.length + 2, "all texts");
      const after = texts(taker.posts.slice(tries));
      expect(after.filter((text) => text === phones[3])).toHaveLength(3);
      for (const phone of phones)
        expect(after.filter((text) => text === phone).length).toBe(phone === phones[3] ? 3 : 1);
      const tried = after.flatMap((text, n) => (text === phones[3] ? [n] : []));
      // Alone, until it is taken.
      expect((tried[2] ?? 0) - (tried[1] ?? 0)).toBe(1);
    },
    LONG,
  );

  test(
    "that fails gets the same event again, under the same id, before any later one",
    async () => {
      const clock = manualClock();
      const taker = consumer();
      const service = await start([{ url: taker.url }], { clock });
      await service.pair();
      let failures = 3;
      taker.respond(() => (failures-- > 0 ? 500 : 204));
      await service.text(PHONE, "one");
      await service.text(PHONE, "two");
      await service.eventually(() => taker.posts.length >= 5, "both texts");
      expect(texts(taker.posts)).toEqual(["one", "one", "one", "one", "two"]);
      expect(new Set(taker.posts.slice(0, 4).map(idOf)).size).toBe(1);
      for (const post of taker.posts) verify(post, SECRET);
    },
    LONG,
  );

  test(
    "does not get again what it has taken when a later event fails",
    async () => {
      const clock = manualClock();
      const taker = consumer();
      const service = await start([{ url: taker.url }], { clock });
      await service.pair();
      taker.respond(() => 503);
      for (const text of ["one", "two", "three", "four"]) await service.admitted(PHONE, text);
      await service.eventually(() => taker.posts.length > 0, "a try");
      let failed = false;
      taker.respond(({ body }) => {
        if (body.data.text !== "three" || failed) return 204;
        failed = true;
        return 500;
      });
      const before = taker.posts.length;
      await later(clock, () => taker.posts.length >= before + 5, "all texts");
      expect(texts(taker.posts.slice(before))).toEqual(["one", "two", "three", "three", "four"]);
      // After a success the delays begin anew.
      const lines = await service.logged("webhook.failed");
      expect(lines.at(-1)?.fields.failures).toBe(1);
    },
    LONG,
  );

  test(
    "is tried again with growing delays, and not sooner than it asks",
    async () => {
      const clock = manualClock();
      const taker = consumer();
      const service = await start([{ url: taker.url }], { clock });
      await service.pair();
      const tries: number[] = [];
      taker.respond(() => {
        tries.push(clock.now());
        return tries.length === 4
          ? new Response(null, { status: 429, headers: { "retry-after": "120" } })
          : tries.length > 5
            ? 204
            : 503;
      });
      await service.text(PHONE, "hello");
      await service.eventually(() => tries.length === 6, "six tries");
      const delays = tries.slice(1).map((at, n) => at - (tries[n] ?? 0));
      for (const [n, least] of [750, 1_500, 3_000, 120_000, 12_000].entries())
        expect(delays[n] ?? 0).toBeGreaterThanOrEqual(least);
      for (const [n, most] of [1_500, 3_000, 6_000, 121_000, 21_000].entries())
        expect(delays[n] ?? 0).toBeLessThan(most);
    },
    LONG,
  );

  test(
    "that does not answer has failed after 15 s",
    async () => {
      const clock = manualClock();
      const taker = consumer();
      const service = await start([{ url: taker.url }], { clock });
      await service.pair();
      taker.respond(() => (taker.posts.length === 1 ? undefined : 204));
      await service.text(PHONE, "hello");
      await service.eventually(() => taker.posts.length === 2, "the second try");
      const [line] = await service.logged("webhook.failed");
      expect(line?.fields.reason).toContain("15 s");
    },
    LONG,
  );

  test(
    "is never led elsewhere by a redirect",
    async () => {
      const clock = manualClock();
      const inside = consumer();
      for (const status of [301, 302, 303, 307, 308]) {
        const taker = consumer();
        taker.respond(() => new Response(null, { status, headers: { location: inside.url } }));
        const service = await start([{ url: taker.url }], { clock });
        await service.pair();
        await service.text(PHONE, "the secret text");
        await service.eventually(() => taker.posts.length >= 2, "a second try");
        expect((await service.logged("webhook.failed"))[0]?.fields.reason).toContain("redirect");
      }
      expect(inside.posts).toEqual([]);
    },
    LONG,
  );

  test(
    "that answers 410 is paused, the operator is told, and a probe finds it when it is back",
    async () => {
      const clock = manualClock();
      const taker = consumer();
      const watcher = consumer();
      const service = await start([{ url: taker.url }, { url: watcher.url, events: ["alert"] }], { clock });
      await service.pair();
      taker.respond(() => 410);
      await service.text(PHONE, "one");
      await service.eventually(() => watcher.posts.length === 1, "the alert");
      expect(watcher.posts[0]?.body).toMatchObject({ type: "alert", data: { cause: expect.any(String) } });
      expect(watcher.posts[0]?.body.data.message).toContain("410");
      expect(taker.posts.length).toBe(1);
      await service.text(PHONE, "two");
      await clock.advance(14 * 60_000);
      expect(taker.posts.length).toBe(1);
      taker.respond(() => 204);
      await clock.advance(60_000);
      await service.eventually(() => taker.posts.length === 3, "both texts");
      expect(texts(taker.posts)).toEqual(["one", "one", "two"]);
      await service.logged("webhook.resumed");
    },
    LONG,
  );

  test(
    "that keeps failing is paused and told of once an hour, and gets everything when it is back",
    async () => {
      const clock = manualClock();
      const taker = consumer();
      const service = await start([{ url: taker.url }], { clock });
      await service.pair();
      taker.respond(() => 500);
      for (let n = 0; n < 25; n++) await service.admitted(PHONE, `text ${n}`);
      const paused = () =>
        service.logs.some(({ event, fields }) => event === "webhook.failed" && fields.paused === true);
      await later(clock, paused, "the pause");
      expect(taker.posts.length).toBe(10);
      const alerts = () =>
        service.logs.filter(
          ({ event, fields }) => event === "alert" && `${fields.cause}`.startsWith("webhook.paused"),
        );
      await service.until(async () => alerts().length > 0, "the alert");
      expect(alerts()).toHaveLength(1);
      const began = clock.now();
      await later(clock, () => alerts().length === 2, "the second alert");
      expect(clock.now() - began).toBeGreaterThanOrEqual(HOUR - 10_000);
      // A probe every quarter of an hour.
      expect(taker.posts.length).toBeLessThanOrEqual(15);
      expect(taker.posts.length).toBeGreaterThanOrEqual(13);
      taker.respond(() => 204);
      const before = taker.posts.length;
      await later(clock, () => taker.posts.length === before + 25, "all texts");
      expect(texts(taker.posts.slice(before))).toEqual(Array.from({ length: 25 }, (_, n) => `text ${n}`));
    },
    LONG,
  );

  test(
    "that fails for longer than a day gets the events of the last day",
    async () => {
      const clock = manualClock();
      const taker = consumer();
      const service = await start([{ url: taker.url }], { clock });
      await service.pair();
      taker.respond(() => 500);
      await service.admitted(PHONE, "old");
      const began = clock.now();
      const givenUp = () => service.logs.filter(({ event }) => event === "webhook.given_up");
      await later(clock, () => taker.posts.length === 10, "the pause");
      await clock.advance(began + 23 * HOUR - clock.now());
      await service.admitted(PHONE, "new");
      expect(givenUp()).toEqual([]);
      await later(clock, () => givenUp().length > 0, "the old text to be given up");
      expect(clock.now() - began).toBeGreaterThanOrEqual(24 * HOUR);
      expect(givenUp()[0]?.fields.events).toBe(1);
      taker.respond(() => 204);
      const before = taker.posts.length;
      await later(clock, () => taker.posts.length > before, "the new text");
      expect(texts(taker.posts.slice(before))).toEqual(["new"]);
    },
    LONG,
  );

  test("that fails does not hold up another", async () => {
    const taker = consumer();
    const broken = consumer();
    broken.respond(() => undefined);
    const service = await start([{ url: broken.url }, { url: taker.url }]);
    await service.pair();
    for (let n = 0; n < 5; n++) await service.admitted(PHONE, `text ${n}`);
    await taker.until((posts) => posts.length === 5, "all texts");
    expect(broken.posts.length).toBe(1);
  });

  test(
    "goes on after a restart where it was, and loses nothing that came while it could not be reached",
    async () => {
      const taker = consumer();
      const service = await start([{ url: taker.url }]);
      await service.pair();
      taker.respond(() => 500);
      await service.admitted(PHONE, "one");
      await taker.until((posts) => posts.length > 0, "a try");
      await service.admitted(PHONE, "two");
      taker.respond(() => 204);
      const failed = taker.posts.length;
      const again = await service.restart();
      afterTest(() => again.close());
      await again.admitted(PHONE, "three");
      await again.until(() => taker.posts.length >= failed + 3, "all texts");
      expect(texts(taker.posts.slice(failed))).toEqual(["one", "two", "three"]);
      expect(idOf(taker.posts[failed])).toBe(idOf(taker.posts[0]));
    },
    LONG,
  );

  test("that is new begins with what happens from then on", async () => {
    const first = consumer();
    const second = consumer();
    const service = await start([{ url: first.url }]);
    await service.pair();
    await service.text(PHONE, "before");
    await first.until((posts) => posts.length === 1, "the first text");
    const again = await service.restart({
      config: { webhooks: [webhook({ url: first.url }), webhook({ url: second.url })] },
    });
    afterTest(() => again.close());
    await again.text(PHONE, "after");
    await first.until((posts) => posts.length === 2, "the second text");
    await second.until((posts) => posts.length === 1, "the second text");
    expect(texts(second.posts)).toEqual(["after"]);
  });

  test("follows a reload: new ones are posted to, those taken out no more", async () => {
    const first = consumer();
    const second = consumer();
    const service = await start([{ url: first.url }]);
    await service.pair();
    await service.text(PHONE, "one");
    await first.until((posts) => posts.length === 1, "the first text");
    const [settings] = service.settings.webhooks;
    if (settings === undefined) throw new Error("no webhook");
    const outcome = await service.app.reload({
      ...service.settings,
      webhooks: [{ ...settings, url: second.url }],
    });
    expect(outcome.kind).toBe("reloaded");
    await service.text(PHONE, "two");
    await second.until((posts) => posts.length === 1, "the second text");
    expect(texts(second.posts)).toEqual(["two"]);
    expect(texts(first.posts)).toEqual(["one"]);
    const refused = await service.app.reload({
      ...service.settings,
      webhooks: [{ ...settings, secret: "whsec_!!" }],
    });
    expect(refused).toMatchObject({
      kind: "refused",
      message: expect.stringContaining("\nwebhooks[0].secret: cannot be used"),
    });
    const problems = service.logs.filter(({ event }) => event === "config.problem");
    expect(problems.map(({ fields }) => fields.error)).toContainEqual(
      expect.stringContaining("webhooks[0].secret: cannot be used"),
    );
    await service.text(PHONE, "three");
    await second.until((posts) => posts.length === 2, "the third text");
  });

  test("may share its URL with another that asks for something else", async () => {
    const taker = consumer();
    const service = await start([{ url: taker.url }, { url: taker.url, events: ["conversation.ended"] }]);
    await service.pair();
    await service.text(PHONE, "hello");
    await service.text(PHONE, "/new");
    await taker.until(() => taker.ofType("conversation.ended").length === 1, "the end");
    expect(taker.ofType("message.received")).toHaveLength(1);
  });

  test("is signed for those who read a secret as base64 and for those who take it as it is", async () => {
    const taker = consumer();
    const secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const service = await start([{ url: taker.url, secret }]);
    await service.pair();
    await service.text(PHONE, "hello");
    await taker.until((posts) => posts.length === 1, "the text");
    const [post] = taker.posts;
    if (post === undefined) throw new Error("no post");
    verify(post, secret);
    verify(post, Buffer.from(secret, "base64"));
  });

  test("is not told of denied senders", async () => {
    const taker = consumer();
    const service = await start([{ url: taker.url, events: ["message.received", "message.status"] }]);
    await service.pair();
    await service.admitted(STRANGER, "let me in");
    await service.text(PHONE, "hello");
    await taker.until(() => taker.ofType("message.received").length === 1, "the text");
    expect(texts(taker.posts.filter(({ body }) => body.type === "message.received"))).toEqual(["hello"]);
    expect(taker.posts.some(({ raw }) => raw.includes("let me in") || raw.includes(STRANGER))).toBe(false);
  });

  test("with a secret no key can be read from stops the start", async () => {
    const starting = start([{ url: "http://127.0.0.1:9/", secret: "whsec_!!not base64!!" }]);
    await expect(starting).rejects.toThrow("webhooks[0].secret");
  });

  test("neither its secret nor the path of its URL is logged", async () => {
    const taker = openConsumer("/hooks/T000/top-secret-path");
    afterTest(taker.close);
    taker.respond(() => 500);
    const service = await start([{ url: `${taker.url}?key=query-secret` }]);
    await service.pair();
    await service.text(PHONE, "hello");
    await service.logged("webhook.failed");
    const log = JSON.stringify(service.logs);
    for (const secret of [SECRET, "top-secret-path", "query-secret"]) expect(log).not.toContain(secret);
  });
});
