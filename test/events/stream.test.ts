import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import type { FollowedEvents } from "../../src/event-feed.ts";
import type { EventJson } from "../../src/event-json.ts";
import { eventStream } from "../../src/http/event-stream.ts";
import { afterTest } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import { type EventClient, type EventClientOptions, followEvents } from "../support/event-stream.ts";
import { PHONE, type Service, type ServiceOptions, startService } from "../support/service.ts";

async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = await startService(options);
  afterTest(() => service.close());
  return service;
}

async function follow(service: Service, options: Partial<EventClientOptions> = {}): Promise<EventClient> {
  const client = await followEvents({ adminUrl: service.adminUrl, token: service.token, ...options });
  afterTest(client.close);
  return client;
}

const types = (client: EventClient) => client.told.map(({ event }) => event);
const of = (client: EventClient, type: string) => client.told.filter(({ event }) => event === type);

describe("the stream of events", () => {
  test("tells a text that comes in, and the answer's way to the phone, in order", async () => {
    const service = await start();
    await service.pair();
    const client = await follow(service);
    const sid = await service.text(PHONE, "good morning");
    const answers = () => of(client, "message.status").filter(({ body }) => body.data.turn_id !== undefined);
    await client.until(() => answers().some(({ body }) => body.data.state === "delivered"), "the delivery");
    expect(client.headers.get("content-type")).toBe("text/event-stream");
    const [first] = of(client, "message.received");
    expect(first?.body).toMatchObject({
      type: "message.received",
      data: { channel: "sms", direction: "inbound", from: PHONE, text: "good morning", provider_sid: sid },
    });
    expect(first?.id).toBe(first?.body.id ?? "");
    expect(first?.id).toMatch(/^evt_/);
    expect(new Date(first?.body.at ?? "").getTime()).toBeGreaterThan(0);
    const states = answers().map(({ body }) => body.data.state);
    expect(states).toEqual(["pending", "sending", "queued", "sent", "delivered"]);
    expect(client.told.findIndex(({ id }) => id === first?.id)).toBeLessThan(
      client.told.findIndex(({ body }) => body.data.turn_id !== undefined && body.data.state === "pending"),
    );
    const ids = client.told.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort());
  });

  test("tells deliveries without the text, which may hold a code", async () => {
    const service = await start();
    const client = await follow(service);
    await service.api("POST", "/messages", { channel: "sms", to: PHONE, body: "your code is 482913" });
    await client.until(() => types(client).includes("message.status"), "a status");
    expect(client.raw()).not.toContain("482913");
  });

  test("tells the media of a delivery, and an empty list where there are none", async () => {
    const service = await start();
    const client = await follow(service);
    const pictures = ["https://example.com/a.png", "https://example.com/b.png"];
    await service.api("POST", "/messages", { channel: "sms", to: PHONE, body: "look", media_urls: pictures });
    await client.until(() => types(client).includes("message.status"), "a status");
    await service.api("POST", "/messages", { channel: "sms", to: PHONE, body: "just text" });
    const media = () => of(client, "message.status").map(({ body }) => body.data.media);
    await client.until(() => media().some((list) => JSON.stringify(list) === "[]"), "a status without media");
    expect(media()[0]).toEqual(pictures.map((url) => ({ url, content_type: expect.any(String) })));
    expect(media()).not.toContain(undefined);
  });

  test("tells nothing of a denied sender's text, of pairing or of commands", async () => {
    const service = await start();
    const client = await follow(service);
    await service.admitted("+15550003333", "let me in, secret 771177");
    await service.pair();
    await service.text(PHONE, "/help");
    await service.received(PHONE, 2);
    expect(types(client)).not.toContain("message.received");
    expect(client.raw()).not.toContain("771177");
  });

  test("tells of a conversation's end and of a channel's state", async () => {
    const service = await start();
    await service.pair();
    await service.text(PHONE, "hello");
    await service.received(PHONE, 2);
    const client = await follow(service);
    const { body } = await service.api("GET", "/conversations");
    await service.api("POST", `/conversations/${body.items[0].id}/end`);
    await client.until(() => types(client).includes("conversation.ended"), "the end");
    expect(of(client, "conversation.ended")[0]?.body.data).toMatchObject({
      id: body.items[0].id,
      channel: "sms",
      address: PHONE,
    });
    await service.api("DELETE", `/channels/sms/addresses/${encodeURIComponent(PHONE)}`);
    await client.until(() => types(client).includes("channel.status"), "the channel's state");
    expect(of(client, "channel.status")[0]?.body.data).toMatchObject({ channel: "sms", status: "pairing" });
  });

  test("goes on behind the event a client had last, and misses nothing", async () => {
    const service = await start();
    await service.pair();
    const first = await follow(service, { types: "message.received" });
    await service.text(PHONE, "one");
    await first.until((told) => told.length === 1, "the first text");
    first.close();
    await first.ended;
    await service.admitted(PHONE, "two");
    await service.admitted(PHONE, "three");
    const again = await service.restart();
    afterTest(() => again.close());
    const second = await follow(again, { types: "message.received", lastEventId: first.told[0]?.id ?? "" });
    await again.text(PHONE, "four");
    await second.until((told) => told.length === 3, "the missed texts and a new one");
    expect(second.told.map(({ body }) => body.data.text)).toEqual(["two", "three", "four"]);
  });

  test("tells everything kept to whoever comes from another database", async () => {
    const service = await start();
    await service.pair();
    await service.admitted(PHONE, "kept");
    const client = await follow(service, {
      types: "message.received",
      lastEventId: "evt_00000g000000abcdefgh",
    });
    await client.until((told) => told.length === 1, "the kept event");
  });

  test("tells only the types that are asked for", async () => {
    const service = await start();
    await service.pair();
    const client = await follow(service, { types: "message.received, conversation.ended" });
    await service.text(PHONE, "hello");
    await service.received(PHONE, 2);
    await client.until((told) => told.length === 1, "the text");
    expect(types(client)).toEqual(["message.received"]);
  });

  test("is refused with the reason for types and ids there are not", async () => {
    const service = await start();
    const wrong = await service.api("GET", "/events?types=message.recieved");
    expect(wrong.status).toBe(400);
    expect(wrong.body.errors[0]).toMatchObject({ path: "types" });
    expect(wrong.body.errors[0].message).toContain("message.received");
    for (const id of ["17", "evt_", "msg_01m7yfpjra8n54a127q0etd8rc", "evt_zzzzzzzzzzzzzzzzzzzz"]) {
      const bad = await service.api("GET", "/events", undefined, { "last-event-id": id });
      expect(bad.status).toBe(400);
    }
  });

  test("says something every 15 s when nothing happens", async () => {
    const clock = manualClock();
    const service = await start({ clock });
    const client = await follow(service, { types: "alert" });
    const greeting = client.comments.length;
    await clock.advance(14_000);
    expect(client.comments.length).toBe(greeting);
    await service.eventually(() => client.comments.length > greeting, "a heartbeat");
    expect(client.told).toEqual([]);
  });

  test("ends when the service stops", async () => {
    const service = await start();
    const client = await follow(service);
    const started = performance.now();
    await service.stop();
    await client.ended;
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  test("lets go of a client that leaves", async () => {
    const service = await start();
    for (let round = 0; round < 3; round++) {
      const clients = await Promise.all(Array.from({ length: 80 }, () => follow(service)));
      for (const client of clients) client.close();
      await Promise.all(clients.map((client) => client.ended));
      await service.until(async () => {
        const probe = await follow(service);
        probe.close();
        return probe.status === 200;
      }, "room for one more");
    }
  });

  test("is limited in number, and says so", async () => {
    const service = await start();
    const clients = await Promise.all(Array.from({ length: 201 }, () => follow(service)));
    const refused = clients.filter(({ status }) => status === 503);
    expect(refused).toHaveLength(1);
  });

  test("reads no more of the log than a slow client takes, and cuts one that takes nothing for a minute", async () => {
    const clock = manualClock();
    let read = 0;
    let closed = false;
    const event = (n: number): EventJson => ({
      id: `evt_${n}`,
      type: "alert",
      at: "",
      data: { n, pad: "x".repeat(4_000) },
    });
    const events: FollowedEvents = {
      next: async () => {
        read += 1;
        return Array.from({ length: 50 }, (_, n) => event(read * 50 + n));
      },
      close() {
        closed = true;
      },
    };
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      development: false,
      fetch: (request) => new Response(eventStream(events, request.signal, clock)),
    });
    afterTest(() => server.stop(true));
    const socket = connect(server.port ?? 0, "127.0.0.1");
    afterTest(() => socket.destroy());
    let ended = false;
    socket.on("close", () => {
      ended = true;
    });
    socket.write("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    socket.pause();
    await until(async () => {
      const before = read;
      await Bun.sleep(100);
      return before > 0 && read === before;
    });
    // What is read is in the buffers of the two sockets, some megabytes at most.
    expect(read * 50 * 4_000).toBeLessThan(32 * 1024 * 1024);
    expect(closed).toBe(false);
    await clock.advance(59_000);
    expect(closed).toBe(false);
    await clock.advance(1_000);
    expect(closed).toBe(true);
    socket.resume();
    await until(() => ended);
  });
});

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (await check()) return;
    await Bun.sleep(20);
  }
  throw new Error("waited in vain");
}
