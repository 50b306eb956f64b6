import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type EventClient, followEvents } from "../support/event-stream.ts";
import { PHONE, type Service, SMS, startService } from "../support/service.ts";
import { type As, adminGet, as, CODES, code, holder, makeToken } from "./support.ts";

/*
 * Three channels, a token for one of them and a token for two: what happens on the others is not there for it.
 */

const OTHER = "+15550100003";
const OTHER_PHONE = "+15557770001";

let service: Service;
let own: As;
let two: As;
let token: string;
let foreign: { readonly message: string; readonly conversation: string; readonly watch: string };
let mine: { readonly message: string; readonly conversation: string };

beforeAll(async () => {
  service = await startService({
    config: {
      channels: {
        sms: SMS,
        codes: { provider: "simulator", from_number: CODES, mode: "signal" },
        other: { ...SMS, from_number: OTHER, allow_all_senders: true },
      },
    },
  });
  ({ token } = await makeToken(service, {
    scopes: ["read", "messages:send", "signals:await"],
    channels: ["sms"],
  }));
  own = as(service, token);
  two = await holder(service, { scopes: ["read", "signals:await"], channels: ["sms", "codes"] });
  await service.pair();
  await service.text(PHONE, "hello mine");
  await service.received(PHONE, 2);
  await service.text(OTHER_PHONE, "hello foreign", OTHER);
  await service.received(OTHER_PHONE, 1);
  const find = async (channel: string) => {
    const messages = await service.api("GET", `/messages?channel=${channel}&route=message`);
    const [first] = messages.body.items;
    return { message: first.id, conversation: first.conversation_id };
  };
  const watch = await service.api("POST", "/watches", {
    channel: "other",
    backfill: "0s",
    match: "nothing says this",
  });
  foreign = { ...(await find("other")), watch: watch.body.id };
  mine = await find("sms");
});
afterAll(() => service.close());

const ids = (body: { items: { id: string; channel?: string }[] }) => body.items.map(({ id }) => id);
const channels = (body: { items: { channel: string }[] }) => [
  ...new Set(body.items.map(({ channel }) => channel)),
];

describe("a token that is limited to channels", () => {
  test("lists only its own channels, messages and conversations", async () => {
    expect(ids((await own("GET", "/channels")).body)).toEqual(["sms"]);
    expect(channels((await own("GET", "/messages?limit=200")).body)).toEqual(["sms"]);
    expect(channels((await own("GET", "/conversations")).body)).toEqual(["sms"]);
  });

  test("reads what is its own by id", async () => {
    expect((await own("GET", `/messages/${mine.message}`)).status).toBe(200);
    expect((await own("GET", `/conversations/${mine.conversation}`)).status).toBe(200);
    expect((await own("GET", "/channels/sms")).status).toBe(200);
  });

  test("cannot tell a foreign message, conversation or watch from one there is not", async () => {
    for (const [path, none] of [
      [`/messages/${foreign.message}`, "/messages/msg_none"],
      [`/conversations/${foreign.conversation}`, "/conversations/conv_none"],
      [`/watches/${foreign.watch}`, "/watches/watch_none"],
    ] as const) {
      const there = await own("GET", path);
      const missing = await own("GET", none);
      const id = path.split("/")[2] ?? "";
      const noId = none.split("/")[2] ?? "";
      expect(there.status, path).toBe(404);
      expect(missing.status).toBe(404);
      expect(JSON.stringify(there.body).replaceAll(id, "")).toBe(
        JSON.stringify(missing.body).replaceAll(noId, ""),
      );
    }
  });

  test("cannot tell a foreign channel from one there is not", async () => {
    for (const request of [
      (channel: string) => own("GET", `/channels/${channel}`),
      (channel: string) => own("GET", `/messages?channel=${channel}`),
      (channel: string) => own("GET", `/conversations?channel=${channel}`),
      (channel: string) => own("POST", "/messages", { channel, to: PHONE, body: "x" }),
    ]) {
      const there = await request("other");
      const missing = await request("nowhere");
      expect(there.status).toBe(403);
      expect(JSON.stringify(there.body).replaceAll("other", "")).toBe(
        JSON.stringify(missing.body).replaceAll("nowhere", ""),
      );
    }
  });

  test("reaches nothing foreign through the other filters of a list", async () => {
    for (const filter of [
      `address=${encodeURIComponent(OTHER_PHONE)}`,
      `conversation_id=${foreign.conversation}`,
    ])
      expect((await own("GET", `/messages?${filter}`)).body.items, filter).toEqual([]);
  });

  test("sends and waits only where it may", async () => {
    const sent = await own("POST", "/messages", { channel: "sms", to: PHONE, body: "x" });
    expect(sent.status).toBe(202);
    const waited = await own("POST", "/signals/await", { channel: "other", timeout: 0 });
    expect(waited.status).toBe(400);
    expect(waited.body.errors[0].path).toBe("channel");
    expect((await own("DELETE", `/watches/${foreign.watch}`)).status).toBe(404);
    expect((await service.api("GET", `/watches/${foreign.watch}`)).body.state).toBe("pending");
  });

  test("sees nothing that concerns all channels", async () => {
    expect((await own("GET", "/policies")).status).toBe(403);
    expect((await own("GET", "/configuration")).body).toEqual({});
    const readyz = await fetch(`${service.adminUrl}/readyz`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await readyz.text()).not.toContain("other");
    expect(await adminGet(service, "/readyz", token)).toBe(200);
  });

  test("gets whole pages although much of the list is foreign", async () => {
    for (let n = 0; n < 12; n++) {
      await service.admitted(OTHER_PHONE, `foreign ${n}`, OTHER);
      await code(service, `Your code is 48291${n % 10}`);
    }
    const seen: string[] = [];
    let cursor = "";
    for (let pages = 0; pages < 50; pages++) {
      const { body } = await two("GET", `/messages?limit=3${cursor === "" ? "" : `&cursor=${cursor}`}`);
      expect(body.items.length).toBeLessThanOrEqual(3);
      expect(body.next_cursor === undefined || body.items.length === 3).toBe(true);
      seen.push(...ids(body));
      if (body.next_cursor === undefined) break;
      cursor = body.next_cursor;
    }
    const all = await service.api("GET", "/messages?limit=200");
    const wanted = all.body.items.filter(({ channel }: { channel: string }) => channel !== "other");
    expect(seen).toEqual(ids({ items: wanted }));
  });

  test("is told only the events of its channels, and no alert of the whole service", async () => {
    const [limited, whole]: readonly EventClient[] = await Promise.all([
      followEvents({ adminUrl: service.adminUrl, token }),
      followEvents({ adminUrl: service.adminUrl, token: service.token }),
    ]);
    if (limited === undefined || whole === undefined) throw new Error("no stream");
    await service.text(OTHER_PHONE, "only for others", OTHER);
    await whole.until(
      (told) => told.some(({ body }) => body.data.channel === "other" && body.data.state === "delivered"),
      "the foreign answer",
    );
    await service.text(PHONE, "and this for me");
    await limited.until((told) => told.some(({ event }) => event === "message.received"), "its own text");
    expect(new Set(limited.told.map(({ body }) => body.data.channel))).toEqual(new Set(["sms"]));
    expect(limited.raw()).not.toContain("only for others");
    expect(limited.raw()).not.toContain(OTHER_PHONE);
    limited.close();
    whole.close();
  });

  test("cannot resume with the id of a foreign event to see what is behind it", async () => {
    const whole = await followEvents({ adminUrl: service.adminUrl, token: service.token });
    await service.text(OTHER_PHONE, "the first", OTHER);
    await whole.until((told) => told.some(({ event }) => event === "message.received"), "the text");
    const id = whole.told.find(({ event }) => event === "message.received")?.id ?? "";
    await service.text(OTHER_PHONE, "the second", OTHER);
    await service.text(PHONE, "my own");
    const limited = await followEvents({ adminUrl: service.adminUrl, token, lastEventId: id });
    await limited.until((told) => told.some(({ body }) => body.data.text === "my own"), "its own text");
    expect(limited.raw()).not.toContain("the second");
    limited.close();
    whole.close();
  });

  test("of scope admin rules its channels and no other", async () => {
    const ruler = await holder(service, { scopes: ["admin"], channels: ["sms"] });
    expect((await ruler("POST", "/channels/sms/pairing")).status).toBe(201);
    expect((await ruler("GET", "/channels/sms/addresses")).status).toBe(200);
    for (const [method, path, body] of [
      ["POST", "/channels/other/pairing", undefined],
      ["GET", "/channels/other/addresses", undefined],
      ["PATCH", "/channels/other", { enabled: false }],
      ["POST", "/policies/check", { action: "receive_message", channel: "other", from: PHONE }],
      ["GET", "/policies", undefined],
      ["GET", "/simulator/phones", undefined],
      ["POST", "/simulator/inbound", { channel: "other", from: PHONE, body: "x" }],
    ] as const)
      expect((await ruler(method, path, body)).status, `${method} ${path}`).toBe(403);
    expect((await ruler("POST", `/conversations/${foreign.conversation}/end`)).status).toBe(404);
    const kept = await service.api("GET", `/conversations/${foreign.conversation}`);
    expect(kept.body.ended_at).toBeUndefined();
  });
});
