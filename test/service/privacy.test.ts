import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterTest } from "../support/cleanup.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import { openConsumer } from "../support/consumer.ts";
import { rowsOnDisk } from "../support/database.ts";
import { followEvents } from "../support/event-stream.ts";
import { scriptedAgent, startModelServer } from "../support/model-server.ts";
import {
  type ApiAnswer,
  inboundParameters,
  PHONE,
  type Service,
  type ServiceOptions,
  SMS,
  STRANGER,
  startService,
} from "../support/service.ts";

setDefaultTimeout(30_000);

const CODES = "+15550100002";
const BANK = "22000";
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = await startService({
    ...options,
    config: {
      channels: { sms: SMS, codes: { provider: "simulator", from_number: CODES, mode: "signal" } },
      ...options.config,
    },
  });
  afterTest(() => service.close());
  return service;
}

/** The files of the service that hold these bytes, whatever they are for. */
function filesWith(service: Service, secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  return readdirSync(service.folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(bytes))
    .map((path) => path.slice(service.folder.length + 1));
}

function expectNowhere(service: Service, ...secrets: readonly string[]): void {
  for (const secret of secrets) expect([secret, filesWith(service, secret)]).toEqual([secret, []]);
}

/** Resolves once nothing of the secrets is in any file; the clock moves on past the next sweeps. */
async function erased(service: Service, clock: ManualClock, ...secrets: readonly string[]): Promise<void> {
  await clock.advance(31_000);
  await service.eventually(
    () => secrets.every((secret) => filesWith(service, secret).length === 0),
    `${secrets} to be gone from ${secrets.flatMap((secret) => filesWith(service, secret))}`,
  );
}

async function waiting(service: Service, count: number): Promise<void> {
  await service.until(
    async () => (await service.api("GET", "/watches?state=pending")).body.items.length === count,
    `${count} waiting watches`,
  );
}

/** A wait of no time on a manual clock, which must move for it to end. */
async function look(service: Service, request: object): Promise<ApiAnswer["body"]> {
  let answer: ApiAnswer | undefined;
  service.api("POST", "/signals/await", { ...request, timeout: 0 }).then((given) => {
    answer = given;
  });
  await service.eventually(() => answer !== undefined, "an answer");
  return answer?.body;
}

describe("a denied sender's text that nobody waits for", () => {
  const SECRET = "sesame-482913-open";
  const PICTURE = "https://media.example/secret-picture";

  test("is in no file, not while it is held, not after the backfill, not after the end", async () => {
    const clock = manualClock();
    const service = await start({ clock });
    // Somebody waits, but not for this.
    for (const filters of [
      { match: "never" },
      { from: "33000" },
      { channel: "codes" },
      { origin: "a.example" },
    ])
      await service.api("POST", "/watches", { ...filters, expires_in: "2h" });
    const parameters = inboundParameters(service, {
      From: STRANGER,
      Body: `Your code is 482913. ${SECRET}`,
      NumMedia: "1",
      MediaUrl0: PICTURE,
      MediaContentType0: "image/png",
      FromCity: "SECRET-TOWN",
    });
    const secrets = [SECRET, "482913", PICTURE, "SECRET-TOWN", STRANGER];
    // Delivered twice, as a carrier does that has not heard the first answer.
    for (let time = 0; time < 2; time++) expect((await service.webhook(parameters)).status).toBe(200);
    expectNowhere(service, ...secrets);
    // Looked back at, and left alone.
    expect(await look(service, { match: "never", backfill: "10m" })).toEqual({ status: "timeout" });
    expectNowhere(service, ...secrets);
    for (let minutes = 0; minutes < 12; minutes++) {
      await clock.advance(MINUTE);
      expectNowhere(service, ...secrets);
    }
    expect(await look(service, { backfill: "10m" })).toEqual({ status: "timeout" });
    await service.stop();
    expectNowhere(service, ...secrets);
  });

  test("is in no file while many come at once, among texts that are kept", async () => {
    const service = await start({ config: { limits: { sender_per_minute: 1_000 } } });
    await service.pair();
    const post = (from: string, body: string) =>
      service.webhook(inboundParameters(service, { From: from, Body: body }));
    const texts = Array.from({ length: 60 }, (_, i) =>
      i % 3 === 0 ? post(PHONE, `kept-${i}-text`) : post(STRANGER, `${SECRET}-${i}`),
    );
    let over = false;
    const all = Promise.all(texts).finally(() => {
      over = true;
    });
    while (!over) {
      expectNowhere(service, SECRET, STRANGER);
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const { status } of await all) expect(status).toBe(200);
    expectNowhere(service, SECRET, STRANGER);
    // What is kept is found the same way, so the search would have seen the others.
    expect(filesWith(service, "kept-57-text")).not.toEqual([]);
    await service.stop();
    expectNowhere(service, SECRET, STRANGER);
    expect(filesWith(service, "kept-57-text")).not.toEqual([]);
  });
});

describe("a code that a watch got", () => {
  const TEXT = "482913 is your sesame-open code";
  const LINK = "https://bank.example/confirm?token=aGVsbG8";

  test("of a denied sender is erased from every file after retention.codes, with all that was found in it", async () => {
    const clock = manualClock();
    const service = await start({ clock });
    const body = `${TEXT}\nor confirm your sign-in: ${LINK}\n\n@origin.example #482913`;
    const wait = service.api("POST", "/signals/await", { from: STRANGER, timeout: "60s" });
    await waiting(service, 1);
    const parameters = inboundParameters(service, { From: STRANGER, Body: body, FromCity: "SECRET-TOWN" });
    await service.webhook(parameters);
    expect((await wait).body.signal).toMatchObject({ code: "482913", link: LINK, origin: "origin.example" });
    const secrets = [TEXT, "482913", "aGVsbG8", "origin.example"];
    for (const secret of secrets) expect(filesWith(service, secret)).not.toEqual([]);
    expectNowhere(service, "SECRET-TOWN");
    await clock.advance(HOUR - 5 * MINUTE);
    expect(filesWith(service, TEXT)).not.toEqual([]);
    await clock.advance(5 * MINUTE);
    await erased(service, clock, ...secrets);
    const [watch] = (await service.api("GET", "/watches")).body.items;
    expect(watch).toMatchObject({ state: "matched", signals: [{ text: "", candidates: [] }] });
    expect(watch.signals[0].code).toBeUndefined();
    await service.stop();
    expectNowhere(service, ...secrets);
  });

  test("in signal mode is erased after retention.codes, whoever looked at it", async () => {
    const clock = manualClock();
    const service = await start({ clock, config: { retention: { codes: "10m" } } });
    await service.api("POST", "/watches", { mode: "continuous", expires_in: "2h" });
    await service.admitted(BANK, TEXT, CODES);
    await service.admitted("33000", "771204 is your other-sesame code", CODES);
    for (const consume of ["peek", "claim"])
      expect((await look(service, { from: BANK, consume })).signal.text).toBe(TEXT);
    await clock.advance(10 * MINUTE);
    await erased(service, clock, TEXT, "482913", "other-sesame", "771204");
    await service.stop();
    expectNowhere(service, TEXT, "482913", "other-sesame", "771204");
  });

  describe("for an agent's turn", () => {
    async function assisted(clock: ManualClock) {
      const model = await startModelServer();
      afterTest(() => model.stop());
      const service = await start({
        clock,
        config: {
          channels: {
            sms: { ...SMS, agent: "assistant" },
            codes: { provider: "simulator", from_number: CODES, mode: "signal" },
          },
          agents: {
            assistant: scriptedAgent(model, {
              tools: ["await_signal"],
            }),
          },
        },
      });
      await service.pair();
      const parked = (count: number) =>
        service.eventually(
          () => service.logs.filter((line) => line.event === "tool.parked").length === count,
          `${count} parked calls`,
        );
      return { service, model, parked };
    }
    const ask = (from: string) => ({ name: "await_signal", arguments: { from: [from], timeout: "3h" } });

    test("goes from the turn's journal with the text", async () => {
      const clock = manualClock();
      const { service, model, parked } = await assisted(clock);
      model.script({ toolCalls: [ask(BANK)] }, { text: "You are signed in." });
      await service.text(PHONE, "log me in");
      await parked(1);
      await service.text(BANK, TEXT, CODES);
      expect((await service.received(PHONE, 2))[1]?.text).toBe("You are signed in.");
      expect(JSON.stringify(model.requests.at(-1)?.body)).toContain("482913");
      expect(filesWith(service, "482913")).not.toEqual([]);
      await clock.advance(HOUR);
      await erased(service, clock, "482913", TEXT);
      await service.stop();
      expectNowhere(service, "482913", TEXT);
    });

    test("goes at the turn's end when that comes later", async () => {
      const clock = manualClock();
      const { service, model, parked } = await assisted(clock);
      model.script({ toolCalls: [ask(BANK), ask("33000")] }, { text: "Both are here." });
      await service.text(PHONE, "log me in twice");
      await parked(2);
      await service.admitted(BANK, TEXT, CODES);
      await clock.advance(HOUR);
      await erased(service, clock, TEXT);
      await service.text("33000", "771204 is your other code", CODES);
      expect((await service.received(PHONE, 2))[1]?.text).toBe("Both are here.");
      await erased(service, clock, "482913");
      await clock.advance(HOUR);
      await erased(service, clock, "771204");
      await service.stop();
      expectNowhere(service, "482913", "771204");
    });
  });
});

describe("a short code that a policy forbids to text the agent", () => {
  const POLICY = `@id("no-short-codes")
forbid (principal, action == Policy::Action::"receive_message", resource)
when { resource.sender.kind == "shortcode" };`;

  test("wakes who waits for it, and nothing else of it remains", async () => {
    const clock = manualClock();
    const service = await start({
      clock,
      config: {
        policies: "./policies",
        channels: { sms: { ...SMS, allow_all_senders: true } },
      },
      files: { "policies/test.cedar": POLICY },
    });
    const wait = service.api("POST", "/signals/await", { channel: "sms", category: "verification_code" });
    await waiting(service, 1);
    const before = inboundParameters(service, { From: BANK, Body: "sesame-before, and no secret number" });
    expect((await service.webhook(before)).status).toBe(200);
    const parameters = inboundParameters(service, {
      From: BANK,
      Body: "482913 is your login code for sesame-shop",
    });
    expect((await service.webhook(parameters)).status).toBe(200);
    expect((await wait).body).toMatchObject({ status: "matched", signal: { from: BANK, code: "482913" } });
    const after = inboundParameters(service, { From: BANK, Body: "771204 is your sesame-after code" });
    expect((await service.webhook(after)).status).toBe(200);
    expectNowhere(service, "sesame-before", "sesame-after", "771204");

    await service.app.idle();
    for (const path of ["/conversations", "/messages?direction=outbound"])
      expect((await service.api("GET", path)).body.items).toEqual([]);
    for (const table of ["turns", "outbox", "raw_parameters", "judgements"])
      expect([table, rowsOnDisk(service, `select * from ${table}`)]).toEqual([table, []]);
    expect(await service.message(parameters.MessageSid ?? "")).toMatchObject({
      route: "signal",
      state: "handled",
    });

    await clock.advance(HOUR);
    await erased(service, clock, "sesame-shop", "482913");
    await service.stop();
    expectNowhere(service, "sesame", "482913", "771204");
  });
});

describe("codes", () => {
  const SIGNAL = "482913 is your sesame-open code";
  const ADDRESSED = "My code is 771204, thanks";
  const SECRETS = ["482913", "771204"];

  /** A service in which codes have gone every way there is. */
  async function busy(options: ServiceOptions = {}): Promise<Service> {
    const service = await start(options);
    await service.pair();
    await service.api("POST", "/watches", { mode: "continuous", expires_in: "1h" });
    const wait = service.api("POST", "/signals/await", { from: BANK });
    await waiting(service, 2);
    await service.admitted(BANK, SIGNAL, CODES);
    expect((await wait).body.signal.code).toBe("482913");
    await service.admitted(STRANGER, SIGNAL);
    const peek = { from: STRANGER, consume: "peek", timeout: 0, match: "[0-9]{6}" };
    expect((await service.api("POST", "/signals/await", peek)).body.signal.code).toBe("482913");
    await service.text(PHONE, ADDRESSED);
    await service.received(PHONE, 2);
    await service.app.idle();
    return service;
  }

  test("are in no log line and in no event of a message", async () => {
    const service = await busy();
    await service.api("POST", "/signals/await", { match: "482913", timeout: 0, backfill: "soon" });
    const { body } = await service.api("GET", "/messages?limit=200");
    const events = await Promise.all(
      body.items.map(
        async ({ id }: { id: string }) => (await service.api("GET", `/messages/${id}`)).body.events,
      ),
    );
    expect(events.flat().length).toBeGreaterThan(5);
    await service.stop();
    for (const secret of [...SECRETS, "sesame", BANK, STRANGER, PHONE]) {
      expect(JSON.stringify(service.logs)).not.toContain(secret);
      expect(JSON.stringify(events)).not.toContain(secret);
    }
  });

  test("reach only the webhook that asks for them", async () => {
    const [plain, trusted] = [openConsumer("/plain"), openConsumer("/trusted")];
    afterTest(plain.close);
    afterTest(trusted.close);
    const events = ["message.received", "message.status", "signal.matched", "channel.status", "alert"];
    const secret = "a secret of the tests";
    await busy({
      config: {
        webhooks: [
          { url: plain.url, secret, events },
          { url: trusted.url, secret, events, include_codes: true },
        ],
      },
    });
    for (const consumer of [plain, trusted])
      await consumer.until(
        () =>
          consumer.ofType("signal.matched").length >= 3 && consumer.ofType("message.received").length >= 1,
        "the signals and the text",
      );
    for (const secret of SECRETS) {
      expect(plain.posts.map(({ raw }) => raw).join("\n")).not.toContain(secret);
      expect(trusted.posts.map(({ raw }) => raw).join("\n")).toContain(secret);
    }
    expect(plain.posts.map(({ raw }) => raw).join("\n")).not.toContain("sesame");
  });

  test("are not shown to a token that may only read, wherever it looks", async () => {
    const service = await busy();
    const { status, body } = await service.api("POST", "/tokens", { name: "dashboard", scopes: ["read"] });
    expect(status).toBe(201);
    const reading = { authorization: `Bearer ${body.token}` };
    const items = async (path: string): Promise<{ id: string }[]> =>
      (await service.api("GET", path)).body.items;
    const paths = ["/messages?limit=200", "/conversations", "/watches", "/channels", "/policies"];
    for (const list of ["/messages", "/conversations", "/watches"])
      for (const { id } of await items(`${list}?limit=200`)) paths.push(`${list}/${id}`);
    const seen: string[] = [];
    const whole: string[] = [];
    for (const path of paths) {
      const answer = await service.api("GET", path, undefined, reading);
      expect([path, answer.status]).toEqual([path, 200]);
      seen.push(`${path}: ${JSON.stringify(answer.body)}`);
      whole.push(JSON.stringify((await service.api("GET", path)).body));
    }
    const [first] = rowsOnDisk(service, "select seq, nonce from events order by seq limit 1");
    expect(first).toBeDefined();
    const stream = await followEvents({ adminUrl: service.adminUrl, token: body.token });
    await service.admitted(BANK, SIGNAL, CODES);
    await stream.until((told) => told.some(({ event }) => event === "signal.matched"), "the signal");
    stream.close();
    seen.push(stream.raw());
    for (const secret of [...SECRETS, "sesame"]) {
      expect(seen.filter((answer) => answer.includes(secret))).toEqual([]);
      expect(whole.filter((answer) => answer.includes(secret))).not.toEqual([]);
    }
    const refused = await service.api("POST", "/signals/await", { timeout: 0 }, reading);
    expect(refused.status).toBe(403);
    expect((await service.api("POST", "/watches", {}, reading)).status).toBe(403);
  });
});
