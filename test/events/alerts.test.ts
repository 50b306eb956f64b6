import { describe, expect, test } from "bun:test";
import { createAlerts, createBurst } from "../../src/alerts.ts";
import { AppError } from "../../src/errors.ts";
import { present, quiet, type TestStore, testStore } from "../store/support.ts";
import { afterTest } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import { lockDatabase } from "../support/database.ts";
import { followEvents } from "../support/event-stream.ts";
import { openHook } from "../support/hook.ts";
import {
  inboundParameters,
  PHONE,
  type Service,
  type ServiceOptions,
  SMS,
  startService,
} from "../support/service.ts";

async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = await startService(options);
  afterTest(() => service.close());
  return service;
}

async function alertsOf(service: Service) {
  const client = await followEvents({
    adminUrl: service.adminUrl,
    token: service.token,
    types: "alert",
    // Of no event of this service: everything is told.
    lastEventId: "evt_vvvvvvvvvvvvvvvvvvvv",
  });
  afterTest(client.close);
  return client;
}

describe("the operator is told", () => {
  test("when an agent is broken, once, without what the person wrote", async () => {
    const hook = openHook();
    afterTest(hook.close);
    hook.respond(() => ({ json: { nonsense: "the private text" } }));
    const service = await start({
      config: {
        channels: { sms: { ...SMS, agent: "hook" } },
        agents: { hook: { type: "http", url: hook.url, timeout: "2s" } },
      },
    });
    await service.pair();
    const client = await alertsOf(service);
    await service.text(PHONE, "the private text");
    await client.until((told) => told.length === 1, "the alert");
    expect(client.told[0]?.body.data).toMatchObject({ cause: "agent.failed/hook", channel: "sms" });
    expect(client.told[0]?.body.data.message).toContain("hook");
    expect(client.told[0]?.body.data.fix).toBeString();
    await service.text(PHONE, "again");
    await service.logged("turn.failed", {}, 2);
    expect(service.logs.filter(({ event }) => event === "alert")).toHaveLength(1);
    expect(client.raw()).not.toContain("private");
  });

  test("when many webhooks come with a wrong signature, and not for one", async () => {
    const service = await start();
    const client = await alertsOf(service);
    const forged = () => service.webhook(inboundParameters(service), { signature: "wrong" });
    for (let n = 0; n < 9; n++) expect((await forged()).status).toBe(403);
    expect(service.logs.some(({ event }) => event === "alert")).toBe(false);
    for (let n = 0; n < 30; n++) await forged();
    await client.until((told) => told.length === 1, "the alert");
    expect(client.told[0]?.body.data).toMatchObject({ cause: "webhook.signature/sms", channel: "sms" });
    expect(service.logs.filter(({ event }) => event === "alert")).toHaveLength(1);
  });

  test("when nothing can be written, and the event follows when it can", async () => {
    const clock = manualClock();
    const service = await start({ clock });
    const client = await alertsOf(service);
    const unlock = lockDatabase(service);
    expect((await service.webhook(inboundParameters(service))).status).toBe(503);
    await service.logged("alert", { cause: "disk" });
    expect(client.told).toEqual([]);
    unlock();
    await clock.advance(30_000);
    await client.until((told) => told.length === 1, "the alert");
    expect(client.told[0]?.body.data.cause).toBe("disk");
  }, 20_000);

  test("when a channel needs a person", async () => {
    const service = await start({
      config: {
        channels: {
          sms: SMS,
          // The simulated carrier has no such number in this account.
          broken: {
            provider: "twilio",
            from_number: "+15550100077",
            agent: "parrot",
            inbound: "none",
            account_sid: `AC${"0".repeat(32)}`,
            auth_token: "0".repeat(32),
            api_url: "http://127.0.0.1:9",
          },
        },
      },
      seams: {
        fetch: Object.assign(
          async () => Response.json({ code: 20003, message: "Authenticate", status: 401 }, { status: 401 }),
          { preconnect() {} },
        ),
      },
      awaitChannels: false,
    });
    const [line] = await service.logged("alert", { cause: "channel.failed/broken" });
    expect(line?.fields.channel).toBe("broken");
    expect(line?.fields.fix).toBeString();
  });
});

describe("alerts", () => {
  const alert = { cause: "c", message: "m", fix: "f" };

  /** The causes on disk, once there are so many: a commit takes a moment of its own, whatever the clock says. */
  async function written(t: TestStore, count: number): Promise<readonly string[]> {
    for (;;) {
      const causes = (await t.store.alerts(0)).map(({ cause }) => cause);
      if (causes.length >= count) return causes;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  test("are told once per cause and hour", async () => {
    const t = testStore();
    const alerts = createAlerts({ store: t.store, clock: t.clock, log: quiet });
    for (let n = 0; n < 5; n++) alerts.raise(alert);
    alerts.raise({ ...alert, cause: "d" });
    expect(await written(t, 2)).toEqual(["c", "d"]);
    await t.clock.advance(3_600_000 - 1);
    alerts.raise(alert);
    await t.clock.flush();
    expect(await written(t, 2)).toEqual(["c", "d"]);
    await t.clock.advance(1);
    alerts.raise(alert);
    expect(await written(t, 3)).toEqual(["c", "d", "c"]);
    expect(alerts.current().map(({ cause }) => cause)).toEqual(["c"]);
  });

  test("are not told again after a restart", async () => {
    const t = testStore();
    const first = createAlerts({ store: t.store, clock: t.clock, log: quiet });
    first.raise(alert);
    await t.clock.advance(60_000);
    const second = createAlerts({ store: t.store, clock: t.clock, log: quiet });
    await second.start();
    second.raise(alert);
    await t.clock.flush();
    expect(await t.store.alerts(0)).toHaveLength(1);
    expect(second.current()).toMatchObject([alert]);
  });

  test("that the disk does not take are written when it does, once", async () => {
    const t = testStore();
    let broken = true;
    const store = {
      alerts: t.store.alerts,
      appendEvent: async (event: Parameters<typeof t.store.appendEvent>[0]) => {
        if (broken) throw new AppError("unavailable", "the disk is full");
        return t.store.appendEvent(event);
      },
    };
    const alerts = createAlerts({ store, clock: t.clock, log: quiet });
    alerts.raise(alert);
    alerts.raise({ ...alert, cause: "d" });
    await t.clock.advance(65_000);
    expect(await t.store.alerts(0)).toEqual([]);
    broken = false;
    await t.clock.advance(60_000);
    expect(await written(t, 2)).toEqual(["c", "d"]);
    const kept = await t.store.alerts(0);
    // With the time it happened, not the time it could be written.
    expect(present(kept[0]).at).toBe(manualClock().now());
  });
});

describe("a burst", () => {
  test("is so many within the window, and is counted anew after it was told", async () => {
    const clock = manualClock();
    const burst = createBurst(clock, 3, 1_000);
    expect([burst("a"), burst("b"), burst("a"), burst("a"), burst("a")]).toEqual([
      false,
      false,
      false,
      true,
      false,
    ]);
    await clock.advance(1_001);
    expect([burst("b"), burst("b"), burst("b")]).toEqual([false, false, true]);
  });
});
