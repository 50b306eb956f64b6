import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { afterTest } from "../support/cleanup.ts";
import { type Consumer, openConsumer } from "../support/consumer.ts";
import { followEvents } from "../support/event-stream.ts";
import { PHONE, type Service, startService } from "../support/service.ts";
import { type As, as, code, makeToken, TWO_CHANNELS } from "./support.ts";

/* Who only reads, and webhooks that did not ask for codes, never get one, whichever way they look. */

const CODE = "482913";
const LINK = "https://bank.example/confirm/kT93hQ";
const SECRET = "a secret of the tests";

let service: Service;
let masked: Consumer;
let plain: Consumer;
let reader: As;
let readerToken: string;
let waiter: As;
let waiterToken: string;

beforeAll(async () => {
  masked = openConsumer();
  plain = openConsumer();
  const events = ["message.received", "message.status", "signal.matched"];
  service = await startService({
    config: {
      ...TWO_CHANNELS,
      webhooks: [
        { url: masked.url, secret: SECRET, events },
        { url: plain.url, secret: SECRET, events, include_codes: true },
      ],
    },
  });
  readerToken = (await makeToken(service, { scopes: ["read"] })).token;
  reader = as(service, readerToken);
  waiterToken = (await makeToken(service, { scopes: ["signals:await"] })).token;
  waiter = as(service, waiterToken);
});
afterAll(async () => {
  await service.close();
  await masked.close();
  await plain.close();
});

async function stream(token: string) {
  const client = await followEvents({ adminUrl: service.adminUrl, token });
  afterTest(client.close);
  return client;
}

describe("a code", () => {
  test("is in no answer to a token that only reads", async () => {
    const client = await stream(readerToken);
    const watch = await service.api("POST", "/watches", { channel: "codes", mode: "continuous" });
    await code(service, `Your Example code is ${CODE}. Or open ${LINK} to sign in.`);
    await client.until((told) => told.some(({ event }) => event === "signal.matched"), "the match");
    const { body } = await reader("GET", "/messages?channel=codes");
    const [message] = body.items;
    expect(message.text).toBe("***");
    const answers = [
      JSON.stringify(body),
      JSON.stringify((await reader("GET", `/messages/${message.id}`)).body),
      JSON.stringify((await reader("GET", `/watches/${watch.body.id}`)).body),
      JSON.stringify((await reader("GET", "/watches")).body),
      client.raw(),
    ];
    for (const answer of answers) {
      expect(answer).toContain("***");
      expect(answer).not.toContain(CODE);
      expect(answer).not.toContain("kT93hQ");
    }
    const [told] = client.told.filter(({ event }) => event === "signal.matched");
    expect(told?.body.data).toMatchObject({
      watch_id: watch.body.id,
      channel: "codes",
      signal: { from: "22000", text: "***", category: "verification_code", candidates: [] },
    });
    await service.api("DELETE", `/watches/${watch.body.id}`);
  });

  test("is told to whoever may wait for it, and to a webhook that asks for codes", async () => {
    const client = await stream(waiterToken);
    const watch = await waiter("POST", "/watches", { channel: "codes", backfill: "0s" });
    await code(service, "Your Example code is 515253");
    await client.until((told) => told.length === 1, "the match");
    expect(client.told[0]?.body.data).toMatchObject({
      watch_id: watch.body.id,
      signal: { code: "515253", text: "Your Example code is 515253" },
    });
    await plain.until((posts) => posts.some(({ raw }) => raw.includes("515253")), "the code");
    await masked.until(
      (posts) => posts.filter(({ body }) => body.type === "signal.matched").length >= 2,
      "the match",
    );
    const all = masked.posts.map(({ raw }) => raw).join("");
    for (const secret of ["515253", CODE, "kT93hQ"]) expect(all).not.toContain(secret);
  });

  test("in a text to the agent is masked like one that was captured", async () => {
    await service.pair();
    const client = await stream(readerToken);
    await service.text(PHONE, "Meet me at 8. Your Example verification code is 607182");
    await client.until((told) => told.some(({ event }) => event === "message.received"), "the text");
    const [told] = client.told.filter(({ event }) => event === "message.received");
    expect(told?.body.data.text).toContain("Meet me at 8");
    await plain.until((posts) => posts.some(({ raw }) => raw.includes("607182")), "the code");
    // The agent repeats what it was told, the code too.
    await service.received(PHONE, 2);
    expect((await service.inbox(PHONE)).at(-1)?.text).toContain("607182");
    await masked.until(() => masked.ofType("message.received").length >= 1, "the text");
    expect(masked.ofType("message.received").at(-1)?.data.text).toContain("***");
    const { body } = await reader("GET", "/messages?channel=sms");
    for (const answer of [client.raw(), masked.posts.map(({ raw }) => raw).join(""), JSON.stringify(body)])
      expect(answer).not.toContain("607182");
  });

  test("is in no line of the log", () => {
    const log = JSON.stringify(service.logs);
    for (const secret of [CODE, "515253", "607182", "kT93hQ", readerToken, waiterToken, SECRET])
      expect(log).not.toContain(secret);
  });

  test("is not in what describes the API", async () => {
    const response = await fetch(`${service.adminUrl}/openapi.json`, {
      headers: { authorization: `Bearer ${readerToken}` },
    });
    const text = await response.text();
    for (const secret of [CODE, "515253", readerToken, service.token, SECRET])
      expect(text).not.toContain(secret);
  });

  test("is not told to a token that waits for codes through what takes `read`", async () => {
    for (const path of ["/messages", "/channels", "/conversations", "/events?types=message.received"])
      expect((await waiter("GET", path)).status, path).toBe(403);
    const client = await stream(waiterToken);
    await service.text(PHONE, "for the agent only");
    await masked.until((posts) => posts.some(({ raw }) => raw.includes("for the agent only")), "the text");
    await code(service, "nothing waits for 112233");
    expect(client.told).toEqual([]);
  });
});

describe("a pairing code", () => {
  test("is shown to who could make one, and to nobody else", async () => {
    const fresh = await startService({
      config: {
        ...TWO_CHANNELS,
        webhooks: [{ url: masked.url, secret: SECRET, events: ["channel.status"] }],
      },
    });
    try {
      const { token } = await makeToken(fresh, { scopes: ["read", "messages:send", "signals:await"] });
      const client = await followEvents({ adminUrl: fresh.adminUrl, token });
      const shown = (await fresh.api("GET", "/channels/sms")).body;
      expect(shown.status).toBe("pairing");
      const other = (await fresh.api("POST", "/channels/sms/pairing")).body.code;
      const own = as(fresh, token);
      const seen = (await own("GET", "/channels/sms")).body;
      expect(seen.pairing).toBeUndefined();
      expect(seen.fix).toBeString();
      const answers = [seen, (await own("GET", "/channels")).body, (await own("GET", "/readyz")).body];
      await masked.until(() => masked.ofType("channel.status").length > 0, "the state");
      await fresh.pair();
      await client.until((told) => told.some(({ event }) => event === "channel.status"), "the next state");
      client.close();
      const all = JSON.stringify(answers) + client.raw() + JSON.stringify(masked.ofType("channel.status"));
      for (const pairing of [shown.pairing.code, other]) expect(all).not.toContain(pairing);
      // What a spent code was is in a text that came in; it opens nothing any more.
    } finally {
      await fresh.close();
    }
  });
});
