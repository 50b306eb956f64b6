import { afterEach, describe, expect, test } from "bun:test";
import { manualClock } from "../support/clock.ts";
import { ACCOUNT, NUMBER, PHONE, request, SERVICE, startSimulator, TOKEN } from "./support.ts";

let simulator = startSimulator();
function start(...options: Parameters<typeof startSimulator>) {
  simulator = startSimulator(...options);
  return simulator;
}
afterEach(() => simulator.stop());

describe("creating a message", () => {
  test("answers 201 in Twilio's shape", async () => {
    const clock = manualClock(Date.UTC(2026, 0, 1, 12, 0, 0, 700));
    const { status, json } = await start({ clock }).send({ Body: "hello" });
    expect(status).toBe(201);
    const sid = json.sid;
    expect(sid).toMatch(/^SM[0-9a-f]{32}$/);
    expect(json).toEqual({
      account_sid: ACCOUNT,
      api_version: "2010-04-01",
      body: "hello",
      date_created: "Thu, 01 Jan 2026 12:00:00 +0000",
      date_sent: null,
      date_updated: "Thu, 01 Jan 2026 12:00:00 +0000",
      direction: "outbound-api",
      error_code: null,
      error_message: null,
      from: NUMBER,
      messaging_service_sid: null,
      num_media: "0",
      num_segments: "1",
      price: null,
      price_unit: "USD",
      sid,
      status: "queued",
      subresource_uris: { media: `/2010-04-01/Accounts/${ACCOUNT}/Messages/${sid}/Media.json` },
      to: PHONE,
      uri: `/2010-04-01/Accounts/${ACCOUNT}/Messages/${sid}.json`,
    });
  });

  test.each<[string, Record<string, string | readonly string[]>, number]>([
    ["no recipient", { To: "" }, 21_604],
    ["no sender", { From: "" }, 21_603],
    ["no content", { Body: "" }, 21_602],
    ["a body over 1,600 characters", { Body: "a".repeat(1601) }, 21_617],
    ["a recipient that is no number", { To: "hello" }, 21_211],
    ["a short code as recipient", { To: "22000" }, 21_265],
    ["a sender that is no address", { From: "+1" }, 21_212],
    ["a sender of nobody", { From: "+15551239999" }, 21_659],
    ["a sender of another account", { From: "+15551230009" }, 21_660],
    ["a sender that cannot text", { From: "+15551230008" }, 21_606],
    ["itself as recipient", { To: NUMBER }, 21_266],
    ["a name as sender to the US", { From: "MYBANK" }, 21_612],
    ["a WhatsApp sender that is none", { From: `whatsapp:${NUMBER}`, To: `whatsapp:${PHONE}` }, 63_007],
    ["two channels", { To: `whatsapp:${PHONE}` }, 21_910],
    ["an unknown service", { From: "", MessagingServiceSid: SERVICE }, 21_701],
    ["a service without senders", { From: "", MessagingServiceSid: SERVICE.replace(/f/g, "0") }, 21_703],
    ["a medium that is no URL", { MediaUrl: "cat.jpg" }, 21_620],
    ["eleven media", { MediaUrl: Array.from({ length: 11 }, (_, i) => `http://x/${i}.png`) }, 21_623],
    ["a template that is none", { ContentSid: "HX1" }, 21_655],
    ["variables that are no JSON", { ContentSid: `HX${"a".repeat(32)}`, ContentVariables: "x" }, 21_656],
    ["a callback that is no URL", { StatusCallback: "/status" }, 21_609],
    ["a callback with an underscore in its host", { StatusCallback: "http://my_host/status" }, 21_609],
    ["a validity of nothing", { ValidityPeriod: "0" }, 21_624],
    ["a validity of more than ten hours", { ValidityPeriod: "36001" }, 21_624],
    ["a schedule", { ScheduleType: "fixed" }, 35_111],
    ["test sender 1", { From: "+15005550001" }, 21_212],
    ["test sender 7", { From: "+15005550007" }, 21_606],
    ["test sender 8", { From: "+15005550008" }, 21_611],
    ["test recipient 1", { To: "+15005550001" }, 21_211],
    ["test recipient 2", { To: "+15005550002" }, 21_612],
    ["test recipient 3", { To: "+15005550003" }, 21_408],
    ["test recipient 4", { To: "+15005550004" }, 21_610],
    ["test recipient 9", { To: "+15005550009" }, 21_614],
  ])("with %s is refused", async (_what, form, code) => {
    const other = `AC${"f".repeat(32)}`;
    start({
      accounts: [
        { sid: ACCOUNT, authToken: TOKEN },
        { sid: other, authToken: "x" },
      ],
      numbers: [
        { number: NUMBER },
        { number: "+15551230009", account: other },
        { number: "+15551230008", sms: false },
      ],
      services: [{ sid: SERVICE.replace(/f/g, "0"), numbers: [] }],
    });
    const { status, json } = await simulator.send(form);
    expect(json).toEqual({
      code,
      message: expect.any(String),
      more_info: `https://www.twilio.com/docs/errors/${code}`,
      status,
    });
    expect(status).toBe(code === 21_701 ? 404 : 400);
    expect((await simulator.api("/Messages.json")).json.messages).toEqual([]);
  });

  test("the test sender 6 works without being owned", async () => {
    expect((await start().send({ From: "+15005550006" })).status).toBe(201);
  });

  test("national and punctuated numbers are understood", async () => {
    start();
    for (const to of ["(555) 999-0001", "1 555 999 0001", "+1 555-999-0001"]) {
      expect((await simulator.send({ To: to })).json.to).toBe(PHONE);
    }
  });

  test("a name may send outside the US", async () => {
    expect((await start().send({ From: "MYBANK", To: "+4915112345678" })).status).toBe(201);
  });

  test("a service accepts first, shows no sender and counts no segments yet", async () => {
    const clock = manualClock();
    start({ clock, services: [{ sid: SERVICE, numbers: [NUMBER] }] });
    const { json } = await simulator.send({ From: "", MessagingServiceSid: SERVICE, Body: "It’s" });
    expect(json).toMatchObject({
      status: "accepted",
      from: null,
      messaging_service_sid: SERVICE,
      num_segments: "0",
    });
    await clock.advance(1_000);
    const later = await simulator.api(`/Messages/${json.sid}.json`);
    // Services encode smartly by default.
    expect(later.json).toMatchObject({ status: "delivered", from: NUMBER, num_segments: "1", body: "It's" });
  });

  test("a service keeps to one sender per person", async () => {
    start({
      numbers: [{ number: NUMBER }, { number: "+15551230001" }],
      services: [{ sid: SERVICE, numbers: [NUMBER, "+15551230001"] }],
    });
    await simulator.send({ From: SERVICE });
    await simulator.send({ From: SERVICE });
    await simulator.settled();
    const { json } = await simulator.api("/Messages.json");
    expect(new Set(json.messages.map((message: { from: string }) => message.from)).size).toBe(1);
  });
});

describe("credentials", () => {
  test.each([
    ["none", undefined],
    ["a wrong token", `${ACCOUNT}:nope`],
    ["an unknown account", `AC${"0".repeat(32)}:${TOKEN}`],
    ["a wrong key", "SK1:nope"],
    ["something else", "me:me"],
  ])("%s gets 401 and 20003", async (_what, auth) => {
    start();
    const answer = await request(
      `${simulator.origin}/2010-04-01/Accounts/${ACCOUNT}.json`,
      auth === undefined ? {} : { auth },
    );
    expect(answer.status).toBe(401);
    expect(answer.json.code).toBe(20_003);
    expect(answer.headers.get("WWW-Authenticate")).toContain("Basic");
  });

  test("an API key and the parent account's token work", async () => {
    const child = `AC${"c".repeat(32)}`;
    start({
      accounts: [
        { sid: ACCOUNT, authToken: TOKEN, apiKeys: [{ sid: "SK1", secret: "s3cret" }] },
        { sid: child, authToken: "child", parent: ACCOUNT },
      ],
    });
    expect((await simulator.api(".json", { auth: "SK1:s3cret" })).json.sid).toBe(ACCOUNT);
    const path = `${simulator.origin}/2010-04-01/Accounts/${child}.json`;
    expect((await request(path, { auth: `${ACCOUNT}:${TOKEN}` })).json).toMatchObject({
      sid: child,
      owner_account_sid: ACCOUNT,
    });
    expect((await simulator.api(".json", { auth: `${child}:child` })).json.code).toBe(20_404);
  });
});

describe("the message list", () => {
  test("is newest first and filters by recipient, sender and both", async () => {
    start({ numbers: [{ number: NUMBER }, { number: "+15551230001" }] });
    for (const [from, to] of [
      [NUMBER, PHONE],
      ["+15551230001", PHONE],
      [NUMBER, "+15559990002"],
    ] as const) {
      await simulator.send({ From: from, To: to, Body: `${from} ${to}` });
    }
    const bodies = async (query: string) =>
      (await simulator.api(`/Messages.json${query}`)).json.messages.map(
        (message: { body: string }) => message.body,
      );
    expect(await bodies("")).toEqual([
      `${NUMBER} +15559990002`,
      `+15551230001 ${PHONE}`,
      `${NUMBER} ${PHONE}`,
    ]);
    expect(await bodies(`?To=${encodeURIComponent(PHONE)}`)).toHaveLength(2);
    expect(await bodies(`?From=${encodeURIComponent(NUMBER)}`)).toHaveLength(2);
    expect(await bodies(`?From=${encodeURIComponent(NUMBER)}&To=${encodeURIComponent(PHONE)}`)).toEqual([
      `${NUMBER} ${PHONE}`,
    ]);
    expect(await bodies("?To=%2B15550000000")).toEqual([]);
  });

  test("pages by token, so that what comes or goes meanwhile shifts nothing", async () => {
    start();
    for (let i = 0; i < 7; i++) await simulator.send({ Body: String(i) });
    await simulator.settled();
    const bodiesOf = (json: { messages: { body: string }[] }) => json.messages.map((message) => message.body);

    const first = (await simulator.api("/Messages.json?PageSize=3")).json;
    expect(bodiesOf(first)).toEqual(["6", "5", "4"]);
    expect(first).toMatchObject({ page: 0, page_size: 3, start: 0, end: 2, previous_page_uri: null });

    await simulator.send({ Body: "new" });
    await simulator.settled();
    await simulator.api(`/Messages/${first.messages[0].sid}.json`, { method: "DELETE" });
    const auth = `${ACCOUNT}:${TOKEN}`;
    const second = (await request(simulator.origin + first.next_page_uri, { auth })).json;
    expect(bodiesOf(second)).toEqual(["3", "2", "1"]);
    expect(second).toMatchObject({ page: 1, start: 3, end: 5 });
    const third = (await request(simulator.origin + second.next_page_uri, { auth })).json;
    expect(bodiesOf(third)).toEqual(["0"]);
    expect(third.next_page_uri).toBeNull();
    const back = (await request(simulator.origin + third.previous_page_uri, { auth })).json;
    expect(bodiesOf(back)).toEqual(["3", "2", "1"]);
  });

  test("filters by the second and the day of sending, and leaves out what is not sent yet", async () => {
    const clock = manualClock(Date.UTC(2026, 0, 1, 23, 59, 58, 900));
    start({ clock, delays: { sending: 100, sent: 100, delivered: 100 } });
    await simulator.send({ Body: "old" });
    await clock.advance(1_000); // sent at 23:59:59.105
    await simulator.send({ Body: "young" });
    await clock.advance(1_000); // sent at 00:00:00.105 of the next day
    await simulator.send({ Body: "queued" });

    const bodies = async (query: string) =>
      (await simulator.api(`/Messages.json?${query}`)).json.messages.map(
        (message: { body: string }) => message.body,
      );
    expect(await bodies("")).toEqual(["queued", "young", "old"]);
    expect(await bodies("DateSent=2026-01-01")).toEqual(["old"]);
    expect(await bodies("DateSent=2026-01-02")).toEqual(["young"]);
    expect(await bodies("DateSent>=2026-01-02")).toEqual(["young"]);
    expect(await bodies("DateSent%3E=2026-01-01T23:59:59Z")).toEqual(["young", "old"]);
    expect(await bodies("DateSent%3E%3D=2026-01-02T00:00:00Z")).toEqual(["young"]);
    expect(await bodies("DateSent%3C=2026-01-01T23:59:59Z")).toEqual(["old"]);
    expect(await bodies("DateSent<=2026-01-02&DateSent>=2026-01-01")).toEqual(["young", "old"]);
    const wrong = await simulator.api("/Messages.json?DateSent%3E=yesterday");
    expect(wrong.json).toMatchObject({ code: 20_001, message: expect.stringContaining("yesterday") });
  });

  test("forgets the oldest messages beyond its cap, for good", async () => {
    start({ maxMessages: 5 });
    const sids: string[] = [];
    for (let i = 0; i < 8; i++) sids.push((await simulator.send({ Body: String(i) })).json.sid);
    await simulator.settled();
    const { json } = await simulator.api("/Messages.json");
    expect(json.messages.map((message: { body: string }) => message.body)).toEqual(["7", "6", "5", "4", "3"]);
    expect((await simulator.api(`/Messages/${sids[0]}.json`)).json.code).toBe(20_404);
    expect(await simulator.control.messages(PHONE)).toHaveLength(5);
    expect((await simulator.control.phones())[0]).toMatchObject({ address: PHONE, messages: 5 });
  });
});

describe("one message", () => {
  test("can be redacted and deleted once it is over, and the phone keeps it", async () => {
    const clock = manualClock();
    start({ clock });
    const { sid } = (await simulator.send({ Body: "secret" })).json;
    const path = `/Messages/${sid}.json`;
    expect((await simulator.api(path, { form: { Body: "" } })).json).toMatchObject({
      code: 20_009,
      status: 409,
    });
    expect((await simulator.api(path, { method: "DELETE" })).json.code).toBe(20_009);
    await clock.advance(1_000);
    expect((await simulator.api(path, { form: { Body: "other" } })).json.code).toBe(20_001);
    expect((await simulator.api(path, { form: { Status: "canceled" } })).json.code).toBe(30_409);
    expect((await simulator.api(path, { form: { Body: "" } })).json).toMatchObject({
      body: "",
      status: "delivered",
    });
    expect((await simulator.api(path)).json.body).toBe("");
    expect((await simulator.api(path, { method: "DELETE" })).status).toBe(204);
    expect((await simulator.api(path)).status).toBe(404);
    expect((await simulator.api("/Messages.json")).json.messages).toEqual([]);
    expect(await simulator.control.messages(PHONE)).toMatchObject([{ text: "secret", state: "delivered" }]);
  });

  test("of another account is not found", async () => {
    const other = `AC${"f".repeat(32)}`;
    start({
      accounts: [
        { sid: ACCOUNT, authToken: TOKEN },
        { sid: other, authToken: "x" },
      ],
    });
    const { sid } = (await simulator.send()).json;
    const path = `${simulator.origin}/2010-04-01/Accounts/${other}/Messages/${sid}.json`;
    expect((await request(path, { auth: `${other}:x` })).json.code).toBe(20_404);
  });
});

test("paths and methods that do not exist get 404 and 405 in Twilio's shape", async () => {
  start();
  for (const path of ["/Calls.json", "/Messages", "/Messages/SM1.json", "/Messages/SM1/Feedback.json"]) {
    expect((await simulator.api(path)).json).toMatchObject({ code: 20_404, status: 404 });
  }
  expect((await simulator.api("/Messages.json", { method: "DELETE" })).json).toMatchObject({
    code: 20_004,
    status: 405,
  });
});
