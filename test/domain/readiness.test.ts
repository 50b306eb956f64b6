import { expect, test } from "bun:test";
import type { ConfigurationError } from "../../src/configuration.ts";
import { AppError } from "../../src/errors.ts";
import { createReadiness } from "../../src/readiness.ts";
import type { WebhookLag } from "../../src/webhook-lag.ts";
import { manualClock } from "../support/clock.ts";

interface World {
  broken?: AppError;
  policies: number;
  channels: readonly { id: string; status: string; reason?: string }[];
  configuration?: ConfigurationError;
  webhooks: readonly WebhookLag[];
  asked: number;
}

function world() {
  const clock = manualClock();
  const at: World = { policies: 4, channels: [{ id: "sms", status: "connected" }], webhooks: [], asked: 0 };
  const readiness = createReadiness({
    store: {
      async ping() {
        at.asked += 1;
        if (at.broken !== undefined) throw at.broken;
      },
    },
    policies: () => at.policies,
    channels: () => at.channels,
    configuration: () => at.configuration,
    webhooks: async () => at.webhooks,
    clock,
  });
  const failing = async () =>
    (await readiness.look()).checks.filter(({ ok }) => !ok).map(({ name, reason }) => [name, reason]);
  return { clock, at, readiness, failing };
}

test("whoever asks, and however often, makes the database write once in five seconds", async () => {
  const { clock, at, readiness } = world();
  await Promise.all(Array.from({ length: 50 }, () => readiness.look()));
  await clock.advance(4_999);
  await readiness.look();
  expect(at.asked).toBe(1);
  await clock.advance(1);
  await readiness.look();
  expect(at.asked).toBe(2);
});

test("a write that was refused is told at once, and so is one that was taken after it", async () => {
  const { at, readiness, failing } = world();
  expect((await readiness.look()).ready).toBe(true);
  readiness.failed(new AppError("unavailable", "the disk is full"));
  expect(await failing()).toEqual([["database", "the disk is full"]]);
  expect((await readiness.look()).ready).toBe(false);
  readiness.recovered();
  expect((await readiness.look()).ready).toBe(true);
  expect(at.asked).toBe(2);
});

test("a database that is well again is found out by itself", async () => {
  const { clock, at, readiness, failing } = world();
  at.broken = new AppError("unavailable", "no room");
  expect(await failing()).toEqual([["database", "no room"]]);
  delete at.broken;
  await clock.advance(5_000);
  expect((await readiness.look()).ready).toBe(true);
});

test("every channel must be reachable, and policies be in force; a file that is not in force is only told", async () => {
  const { at, readiness, failing } = world();
  at.channels = [
    { id: "a", status: "pairing" },
    { id: "b", status: "failed", reason: "wrong token" },
    { id: "c", status: "connecting" },
  ];
  expect(await failing()).toEqual([
    ["channel b", "wrong token"],
    ["channel c", undefined],
  ]);
  expect((await readiness.look()).ready).toBe(false);
  at.channels = [];
  at.policies = 0;
  expect(await failing()).toEqual([["policies", "none is loaded"]]);
  at.policies = 1;
  at.configuration = { message: "sms.yaml:1:1 is wrong", fix: "correct it", at: 1 };
  expect(await failing()).toEqual([["configuration", "sms.yaml:1:1 is wrong"]]);
  expect((await readiness.look()).ready).toBe(true);
});

test("a webhook that is about to be overrun is told, and keeps nobody from being answered", async () => {
  const { clock, at, readiness, failing } = world();
  at.webhooks = [
    { webhook: "1 (http://127.0.0.1)", behind: 49_999, oldestAt: clock.now() },
    { webhook: "2 (http://127.0.0.1)", behind: 50_000, oldestAt: clock.now() },
    { webhook: "3 (http://127.0.0.1)", behind: 1, oldestAt: clock.now() - 4 * 24 * 3_600_000 },
  ];
  expect(await failing()).toEqual([
    ["webhook 2 (http://127.0.0.1)", expect.stringContaining("50000 events")],
    ["webhook 3 (http://127.0.0.1)", expect.stringContaining("4 days old")],
  ]);
  expect((await readiness.look()).ready).toBe(true);
});
