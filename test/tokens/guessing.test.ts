import { describe, expect, test } from "bun:test";
import { AppError } from "../../src/errors.ts";
import { createIds } from "../../src/ids.ts";
import { createThrottle } from "../../src/throttle.ts";
import { createTokens } from "../../src/tokens.ts";
import { afterTest } from "../support/cleanup.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import { type Service, type ServiceOptions, startService } from "../support/service.ts";
import { as, makeToken, TWO_CHANNELS } from "./support.ts";

async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = await startService({ config: TWO_CHANNELS, ...options });
  afterTest(() => service.close());
  return service;
}

const guess = (n: number) => `sms_${String(n).padStart(43, "A")}`;

describe("guessing tokens over HTTP", () => {
  test("is answered slower and slower, and never with more than 401", async () => {
    const service = await start();
    const times: number[] = [];
    for (let n = 0; n < 9; n++) {
      const began = performance.now();
      expect((await as(service, guess(n))("GET", "/channels")).status).toBe(401);
      times.push(performance.now() - began);
    }
    // Not each of them: a busy machine may keep one waiting by itself.
    expect(Math.min(...times.slice(0, 5))).toBeLessThan(100);
    expect(times[8] ?? 0).toBeGreaterThan(700);
  });

  test("counts by the address they come from, at the console's sign-in as at the API", async () => {
    const service = await start();
    const signIn = (token: string) =>
      fetch(`${service.adminUrl}/session`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ token }),
      });
    expect((await signIn(guess(1))).status).toBe(401);
    expect((await as(service, guess(2))("GET", "/channels")).status).toBe(401);
    expect((await signIn(guess(3))).status).toBe(401);
    const refused = await service.logged("auth.refused", {}, 3);
    expect(refused.map(({ fields }) => ({ client: fields.client, failures: fields.failures }))).toEqual([
      { client: "127.0.0.1", failures: 1 },
      { client: "127.0.0.1", failures: 2 },
      { client: "127.0.0.1", failures: 3 },
    ]);
  });

  test("does not lock out who has a token, from the same address and at the same time", async () => {
    const service = await start();
    const { token } = await makeToken(service, { scopes: ["read"] });
    for (let n = 0; n < 20; n++) void as(service, guess(n))("GET", "/channels").catch(() => {});
    await service.logged("auth.refused", {}, 15);
    const guesses = Array.from({ length: 100 }, (_, n) => as(service, guess(100 + n))("GET", "/channels"));
    const began = performance.now();
    const [admin, reader] = await Promise.all([
      service.api("GET", "/channels"),
      as(service, token)("GET", "/channels"),
    ]);
    expect([admin.status, reader.status]).toEqual([200, 200]);
    expect(performance.now() - began).toBeLessThan(3_000);
    await Promise.all(guesses);
  });

  test("does not lock out either token where far more guesses come than may wait", async () => {
    const clock = manualClock();
    const right = "the-right-token";
    const known = { id: "tok_1", name: "n", scopes: ["read"], createdAt: 0 } as const;
    const tokens = createTokens({
      settings: () => {
        throw new Error("is not asked for");
      },
      store: {
        addToken: async () => {},
        tokens: async () => [],
        tokenByHash: async (hash) => (hash === right ? known : undefined),
        deleteToken: async () => false,
        noteTokenUse: async () => {},
      },
      isAdmin: (credential) => credential === "the-admin-token",
      digest: (text) => text,
      newId: createIds(clock, (length) => new Uint8Array(length)),
      random: (length) => new Uint8Array(length),
      clock,
      log: { debug() {}, info() {}, warn() {}, error() {} },
      onGuessing: () => {},
    });
    const tried = (credential: string) =>
      tokens.identify(credential, "192.0.2.1").then(
        ({ caller }) => caller.id,
        (error: unknown) => (error instanceof AppError ? error.code : String(error)),
      );
    for (let n = 0; n < 20; n++) void tried(`first ${n}`);
    await clock.advance(2_000);
    const guesses = Array.from({ length: 500 }, (_, n) => tried(guess(n)));
    const owners = [tried("the-admin-token"), tried(right)];
    await clock.advance(2_000);
    expect(await Promise.all(owners)).toEqual(["admin", "tok_1"]);
    expect(await Promise.all(guesses)).toContain("unavailable");
    tokens.stop();
  });

  test("is told to the operator once", async () => {
    const clock = manualClock();
    const service = await start({ clock });
    const guesses = Array.from({ length: 60 }, (_, n) => as(service, guess(n))("GET", "/channels"));
    await service.eventually(
      () =>
        service.logs.some(
          ({ event, fields }) => event === "alert" && `${fields.cause}`.startsWith("credentials/"),
        ),
      "the alert",
    );
    await service.eventually(async () => (await Promise.all(guesses)).length === 60, "the answers");
    expect(service.logs.filter(({ event }) => event === "alert")).toHaveLength(1);
  });

  test("gets the same answer for a token that never was, was revoked, or is nearly right", async () => {
    const service = await start();
    const { id, token } = await makeToken(service, { scopes: ["read"] });
    const near = `${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`;
    await service.api("DELETE", `/tokens/${id}`);
    const answers = [];
    for (const wrong of [guess(1), token, near, "x", `${service.token}x`]) {
      const { status, body } = await as(service, wrong)("GET", "/channels");
      expect(status).toBe(401);
      answers.push(JSON.stringify(body));
    }
    expect(new Set(answers).size).toBe(1);
  });

  test("with what SQL and paths are made of opens nothing", async () => {
    const service = await start();
    await makeToken(service, { scopes: ["admin"] });
    for (const wrong of [
      "'/**/or/**/1=1--",
      "%",
      "*",
      "sms_%",
      "../admin-token",
      "null",
      "undefined",
      "admin",
    ])
      expect((await as(service, wrong)("GET", "/channels")).status, wrong).toBe(401);
  });
});

describe("the throttle", () => {
  /** How long the client's next attempt waits, ms; at most a minute. */
  async function waits(clock: ManualClock, enter: Promise<void>): Promise<number> {
    let entered = false;
    enter.then(() => {
      entered = true;
    });
    const began = clock.now();
    for (let steps = 0; steps < 6_000; steps++) {
      await clock.flush();
      if (entered) return clock.now() - began;
      await clock.advance(10);
    }
    throw new Error("it never ended");
  }

  test("lets a few mistakes pass, then doubles up to two seconds", async () => {
    const clock = manualClock();
    const throttle = createThrottle(clock);
    const delays: number[] = [];
    for (let n = 0; n < 12; n++) {
      delays.push(await waits(clock, throttle.enter("a")));
      throttle.failed("a", `digest ${n}`);
    }
    expect(delays).toEqual([0, 0, 0, 0, 0, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
  });

  test("does not count the same wrong credential twice: a program with an old token guesses nothing", async () => {
    const clock = manualClock();
    const throttle = createThrottle(clock);
    for (let n = 0; n < 100; n++) throttle.failed("a", "the same");
    expect(await waits(clock, throttle.enter("a"))).toBe(0);
  });

  test("slows one client and not another, and forgets after ten quiet minutes", async () => {
    const clock = manualClock();
    const throttle = createThrottle(clock);
    for (let n = 0; n < 20; n++) throttle.failed("a", `digest ${n}`);
    expect(await waits(clock, throttle.enter("b"))).toBe(0);
    expect(await waits(clock, throttle.enter("a"))).toBe(2_000);
    await clock.advance(10 * 60_000);
    expect(await waits(clock, throttle.enter("a"))).toBe(0);
  });

  test("keeps no more attempts waiting than it can bear", async () => {
    const clock = manualClock();
    const throttle = createThrottle(clock);
    for (let n = 0; n < 20; n++) throttle.failed("a", `digest ${n}`);
    const entries = Array.from({ length: 300 }, () =>
      throttle.enter("a").then(
        () => "in",
        (error: unknown) => error,
      ),
    );
    await clock.advance(2_000);
    const ends = await Promise.all(entries);
    expect(ends.filter((end) => end === "in")).toHaveLength(256);
    const refused = ends.find((end) => end !== "in");
    expect(refused instanceof AppError ? refused.code : "").toBe("unavailable");
    expect(await waits(clock, throttle.enter("a"))).toBe(2_000);
  });

  test("lets who has the right one in, slowly, however many wrong ones come from the same address", async () => {
    const clock = manualClock();
    const throttle = createThrottle(clock);
    for (let n = 0; n < 20; n++) throttle.failed("a", `digest ${n}`);
    const flood = () => Array.from({ length: 400 }, () => throttle.enter("a").catch(() => {}));
    const guesses = flood();
    const owner = throttle.enter("a", () => Promise.resolve(true));
    guesses.push(...flood());
    expect(await waits(clock, owner)).toBe(2_000);
    await Promise.all(guesses);
  });

  test("remembers a bounded number of clients", async () => {
    const clock = manualClock();
    const throttle = createThrottle(clock);
    for (let client = 0; client < 3_000; client++)
      for (let n = 0; n < 6; n++) throttle.failed(`client ${client}`, `digest ${n}`);
    expect(await waits(clock, throttle.enter("client 0"))).toBe(0);
    expect(await waits(clock, throttle.enter("client 2999"))).toBeGreaterThan(0);
  });
});
