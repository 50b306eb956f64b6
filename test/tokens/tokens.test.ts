import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterTest } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import { rowsOnDisk } from "../support/database.ts";
import { followEvents } from "../support/event-stream.ts";
import { PHONE, type Service, type ServiceOptions, startService } from "../support/service.ts";
import { as, holder, makeToken, TWO_CHANNELS } from "./support.ts";

async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = await startService({ config: TWO_CHANNELS, ...options });
  afterTest(() => service.close());
  return service;
}

const MINUTE = 60_000;

describe("a token", () => {
  test("is shown once, when it is made", async () => {
    const service = await start();
    const made = await service.api("POST", "/tokens", {
      name: " ci ",
      scopes: ["signals:await", "read", "read"],
      channels: ["codes"],
      expires_at: "2099-01-01T00:00:00+02:00",
    });
    expect(made.status).toBe(201);
    expect(made.body.token).toMatch(/^sms_[A-Za-z0-9_-]{43}$/);
    expect(made.headers.get("cache-control")).toBe("no-store");
    const { token, ...shown } = made.body;
    expect(shown).toMatchObject({
      name: "ci",
      scopes: ["signals:await", "read"],
      channels: ["codes"],
      expires_at: "2098-12-31T22:00:00.000Z",
    });
    const listed = await service.api("GET", "/tokens");
    expect(listed.body.items).toEqual([shown]);
    expect(JSON.stringify(listed.body)).not.toContain(token);
  });

  test("is nowhere on disk and in no log, only its digest", async () => {
    const service = await start();
    const { token } = await makeToken(service, { scopes: ["read"] });
    await as(service, token)("GET", "/channels");
    const [row] = rowsOnDisk(service, "select hash from tokens");
    expect(row?.hash).toBe(new Bun.CryptoHasher("sha256").update(token).digest("hex"));
    const data = join(service.folder, "data");
    for (const name of readdirSync(data).filter((file) => file.startsWith("sms-agent.db")))
      expect(readFileSync(join(data, name)).includes(token), name).toBe(false);
    expect(JSON.stringify(service.logs)).not.toContain(token);
  });

  test("differs from every other", async () => {
    const service = await start();
    const made = await Promise.all(
      Array.from({ length: 50 }, () => makeToken(service, { scopes: ["read"] })),
    );
    expect(new Set(made.map(({ token }) => token)).size).toBe(50);
    expect(new Set(made.map(({ id }) => id)).size).toBe(50);
  });

  test("works after a restart", async () => {
    const service = await start();
    const { token } = await makeToken(service, { scopes: ["read"] });
    const again = await service.restart();
    afterTest(() => again.close());
    expect((await as(again, token)("GET", "/channels")).status).toBe(200);
  });

  test("that is revoked opens nothing any more", async () => {
    const service = await start();
    const { id, token } = await makeToken(service, { scopes: ["read"] });
    const own = as(service, token);
    expect((await own("GET", "/channels")).status).toBe(200);
    expect((await service.api("DELETE", `/tokens/${id}`)).status).toBe(204);
    expect((await own("GET", "/channels")).status).toBe(401);
    expect((await service.api("DELETE", `/tokens/${id}`)).status).toBe(404);
    const again = await service.restart();
    afterTest(() => again.close());
    expect((await as(again, token)("GET", "/channels")).status).toBe(401);
  });

  test("that is revoked gets nothing more through what it has open", async () => {
    const service = await start();
    await service.pair();
    const { id, token } = await makeToken(service, { scopes: ["read", "signals:await"] });
    const stream = await followEvents({ adminUrl: service.adminUrl, token });
    afterTest(stream.close);
    const waiting = as(service, token)("POST", "/signals/await", { channel: "codes", timeout: 60 });
    await service.until(
      async () => (await service.api("GET", "/watches?state=pending")).body.items.length === 1,
      "the wait",
    );
    await service.api("DELETE", `/tokens/${id}`);
    await stream.ended;
    const ended = await waiting;
    expect(ended.status).toBe(401);
    expect(ended.body.detail).toBe("The token was revoked.");
    const told = stream.told.length;
    await service.admitted(PHONE, "after the end");
    await service.admitted("22000", "Your code is 482913", "+15550100002");
    expect(stream.told.length).toBe(told);
    // The code nobody took is there for the next one who waits.
    const { body } = await service.api("POST", "/signals/await", { channel: "codes", timeout: 1 });
    expect(body.signal.code).toBe("482913");
  });

  test("that expires ends at its time, with what it has open", async () => {
    const clock = manualClock();
    const service = await start({ clock });
    const { token } = await makeToken(service, { scopes: ["read"], expires_in: "10m" });
    const stream = await followEvents({ adminUrl: service.adminUrl, token });
    afterTest(stream.close);
    await clock.advance(10 * MINUTE - 1);
    expect((await as(service, token)("GET", "/channels")).status).toBe(200);
    await clock.advance(1);
    const { status, body } = await as(service, token)("GET", "/channels");
    expect(status).toBe(401);
    expect(body.detail).toContain("expired");
    await stream.ended;
  });

  test("that would have ended already is not made, and the field that says so is named", async () => {
    const service = await start();
    for (const [field, value] of [
      ["expires_in", "0s"],
      ["expires_in", 0],
      ["expires_in", 0.0001],
      ["expires_in", "soon"],
      ["expires_at", "2020-01-01T00:00:00Z"],
    ] as const) {
      const wanted = { name: "x", scopes: [], [field]: value };
      const { status, body } = await service.api("POST", "/tokens", wanted);
      expect(status).toBe(400);
      expect(body.errors.map(({ path }: { path: string }) => path)).toContain(field);
    }
    const both = { name: "x", scopes: [], expires_in: "0s" };
    expect((await service.api("POST", "/tokens", both)).body.errors).toMatchObject([
      { path: "scopes" },
      { path: "expires_in" },
    ]);
  });

  test("tells when it was last used, to the minute", async () => {
    const clock = manualClock();
    const service = await start({ clock });
    const { token } = await makeToken(service, { scopes: ["read"] });
    const used = async () => (await service.api("GET", "/tokens")).body.items[0].last_used_at;
    expect(await used()).toBeUndefined();
    const first = clock.now();
    await as(service, token)("GET", "/channels");
    await service.until(async () => (await used()) !== undefined, "the use");
    expect(new Date(await used()).getTime()).toBe(first);
    await clock.advance(30_000);
    await as(service, token)("GET", "/channels");
    await clock.advance(31_000);
    await as(service, token)("GET", "/channels");
    await service.until(async () => new Date(await used()).getTime() === first + 61_000, "the later use");
  });

  test("keeps its Idempotency-Keys apart from everyone else's", async () => {
    const service = await start();
    const one = await holder(service, { scopes: ["messages:send"] });
    const two = await holder(service, { scopes: ["messages:send"] });
    const send = (own: typeof one, body: string) =>
      own("POST", "/messages", { channel: "sms", to: PHONE, body }, { "idempotency-key": "same" });
    const first = await send(one, "hello");
    expect((await send(one, "hello")).body.id).toBe(first.body.id);
    expect((await send(two, "hello")).body.id).not.toBe(first.body.id);
    expect((await send(two, "other")).status).toBe(409);
    const admin = await service.api(
      "POST",
      "/messages",
      { channel: "sms", to: PHONE, body: "third" },
      { "idempotency-key": "same" },
    );
    expect(admin.status).toBe(202);
  });

  for (const [what, body, path] of [
    ["no scope", { name: "x", scopes: [] }, "scopes"],
    ["a scope there is not", { name: "x", scopes: ["write"] }, "scopes.0"],
    ["no name", { name: " ", scopes: ["read"] }, "name"],
    ["a channel there is not", { name: "x", scopes: ["read"], channels: ["sms", "smss"] }, "channels.1"],
    ["no channel at all", { name: "x", scopes: ["read"], channels: [] }, "channels"],
    ["a past end", { name: "x", scopes: ["read"], expires_at: "2020-01-01T00:00:00Z" }, "expires_at"],
    ["an end that is no time", { name: "x", scopes: ["read"], expires_at: "tomorrow" }, "expires_at"],
    ["a duration that is none", { name: "x", scopes: ["read"], expires_in: "soon" }, "expires_in"],
    [
      "two ends",
      { name: "x", scopes: ["read"], expires_in: "1h", expires_at: "2099-01-01T00:00:00Z" },
      "expires_in",
    ],
    ["an unknown field", { name: "x", scopes: ["read"], admin: true }, "admin"],
  ] as const) {
    test(`with ${what} is refused, and the field is named`, async () => {
      const service = await start({ awaitChannels: false });
      const { status, body: answer } = await service.api("POST", "/tokens", body);
      expect(status).toBe(400);
      expect(answer.errors.map((error: { path: string }) => error.path)).toContain(path);
      expect((await service.api("GET", "/tokens")).body.items).toEqual([]);
    });
  }
});
