import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type Database from "better-sqlite3";
import { EVENTS_KEPT, type LostEvents } from "../../src/event-store.ts";
import { connector, openDatabase } from "../../src/store/connection.ts";
import { createLagWatch, type WebhookLag } from "../../src/webhook-lag.ts";
import { present, quiet, type TestStore, testStore } from "../store/support.ts";
import { afterTest } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import { openConsumer } from "../support/consumer.ts";
import { PHONE, startService } from "../support/service.ts";

setDefaultTimeout(30_000);

/** Puts so many events into the log; what they are about is not kept. */
function happen(client: Database.Database, type: string, count: number, at: number): void {
  client.exec(`insert into events (nonce, type, at, subject) with recursive n(i) as (select 1 union all
    select i + 1 from n where i < ${count}) select i, '${type}', ${at}, 'msg_gone' from n`);
}

async function sweep(t: TestStore): Promise<void> {
  while (await t.store.sweep(t.clock.now()));
}

describe("a webhook that takes less than happens", () => {
  const wanted = [
    { key: "a", types: ["message.received", "alert"] as const },
    { key: "b", types: ["message.status"] as const },
  ];

  test("is behind by all that has happened since the oldest event it wants", async () => {
    const t = testStore();
    await t.store.followWebhooks(["a", "b"], t.clock.now());
    happen(t.client, "message.status", 10, t.clock.now());
    await t.clock.advance(1_000);
    const at = t.clock.now();
    happen(t.client, "alert", 1, at);
    happen(t.client, "message.status", 5, at);
    expect(await t.store.webhookLags(wanted)).toEqual([
      { key: "a", behind: 6, oldestAt: at, lost: {} },
      { key: "b", behind: 16, oldestAt: at - 1_000, lost: {} },
    ]);
  });

  test("has what it lost counted by type until that was told, and goes on with what is kept", async () => {
    const t = testStore();
    await t.store.followWebhooks(["a", "b"], t.clock.now());
    happen(t.client, "alert", 30, t.clock.now());
    happen(t.client, "message.received", 20, t.clock.now());
    happen(t.client, "channel.status", EVENTS_KEPT, t.clock.now());
    await sweep(t);
    const lost = async () => (await t.store.webhookLags(wanted)).map((lag) => lag.lost);
    expect(await lost()).toEqual([{ alert: 30, "message.received": 20 }, {}]);
    await t.store.toldWebhookLoss("a", { alert: 30, "message.received": 15 });
    expect(await lost()).toEqual([{ "message.received": 5 }, {}]);
    await t.text();
    const claimed = await t.store.claimWebhooks({
      wanted,
      now: t.clock.now(),
      lease: 60_000,
      limit: 5,
      batch: 10,
    });
    expect(claimed.map(({ key, page }) => [key, page.events.length])).toEqual([["a", 1]]);
  });

  test("loses nothing by what it has taken, nor by what it did not ask for", async () => {
    const t = testStore();
    await t.store.followWebhooks(["a", "b"], t.clock.now());
    happen(t.client, "alert", 30, t.clock.now());
    const [claimed] = await t.store.claimWebhooks({
      wanted,
      now: t.clock.now(),
      lease: 60_000,
      limit: 5,
      batch: 100,
    });
    const { key, progress, page } = present(claimed);
    await t.store.settleWebhook({ key, ...progress, position: page.position, dueAt: t.clock.now() });
    happen(t.client, "message.status", 7, t.clock.now());
    happen(t.client, "channel.status", EVENTS_KEPT, t.clock.now());
    await sweep(t);
    expect((await t.store.webhookLags(wanted)).map(({ lost }) => lost)).toEqual([
      {},
      { "message.status": 7 },
    ]);
  });
});

test("the operator is told of a lag and a loss, the loss as often as there is one, at most every five seconds", async () => {
  const clock = manualClock();
  const raised: string[] = [];
  const [told, counted]: [LostEvents[], number[]] = [[], []];
  let lags: readonly (WebhookLag & { lost: LostEvents })[] = [];
  const watch = createLagWatch({
    lags: async () => lags,
    told: async (_, lost) => void told.push(lost),
    alerts: { raise: ({ cause }) => void raised.push(cause) },
    onLost: (_, events) => void counted.push(events),
    clock,
    log: quiet,
  });
  lags = [{ webhook: "1", behind: EVENTS_KEPT / 2 - 1, oldestAt: clock.now(), lost: {} }];
  await watch.look();
  expect(raised).toEqual([]);
  lags = [{ webhook: "1", behind: EVENTS_KEPT / 2, oldestAt: clock.now(), lost: { alert: 2 } }];
  await watch.look();
  expect(raised).toEqual([]);
  await clock.advance(5_000);
  await watch.look();
  expect(raised).toEqual(["webhook.behind/1", "webhook.lost/1"]);
  expect([told, counted]).toEqual([[{ alert: 2 }], [2]]);
  lags = [{ webhook: "1", behind: 1, oldestAt: clock.now(), lost: { alert: 3 } }];
  await clock.advance(5_000);
  await watch.look();
  expect(raised).toEqual(["webhook.behind/1", "webhook.lost/1", "webhook.lost/1"]);
  expect(counted).toEqual([2, 3]);
});

test("a service says that a webhook falls behind before anything is lost to it, and how much was", async () => {
  const clock = manualClock();
  const taker = openConsumer();
  afterTest(taker.close);
  taker.respond(() => undefined);
  const service = await startService({
    clock,
    config: { webhooks: [{ url: taker.url, secret: "a secret", events: ["message.received"] }] },
  });
  afterTest(() => service.close());
  await service.pair();
  const client = openDatabase(connector(undefined), join(service.folder, "data", "sms-agent.db"));
  afterTest(() => client.close());
  const checks = async (): Promise<readonly { name: string; ok: boolean; reason?: string }[]> => {
    const answer = await fetch(`${service.adminUrl}/readyz`, {
      headers: { authorization: `Bearer ${service.token}` },
    });
    expect(answer.status).toBe(200);
    const { checks: all } = Object(await answer.json());
    return all.filter(({ name }: { name: string }) => name.startsWith("webhook"));
  };
  await service.admitted(PHONE, "taken by nobody");
  await taker.until((posts) => posts.length === 1, "a post");
  expect(await checks()).toEqual([{ name: expect.stringContaining("webhook 1"), ok: true }]);

  happen(client, "message.received", EVENTS_KEPT / 2, clock.now());
  await clock.advance(5_000);
  await service.admitted(PHONE, "one more");
  const [alert] = await service.logged("alert", { cause: `webhook.behind/1 (${new URL(taker.url).origin})` });
  expect(String(alert?.fields.reason)).toContain(`keeps ${EVENTS_KEPT}`);
  expect((await checks())[0]?.ok).toBe(false);
  expect(service.logs.some(({ event }) => event === "webhook.lost")).toBe(false);

  happen(client, "message.received", EVENTS_KEPT / 2, clock.now());
  await service.eventually(async () => {
    await service.admitted(PHONE, "and more");
    return service.logs.some(({ event }) => event === "webhook.lost");
  }, "the loss to be told");
  const lost = () =>
    service.logs
      .filter(({ event }) => event === "webhook.lost")
      .reduce((sum, { fields }) => sum + Number(fields.events), 0);
  const metrics = await fetch(`${service.adminUrl}/metrics`, {
    headers: { authorization: `Bearer ${service.token}` },
  });
  expect(await metrics.text()).toContain(
    `sms_agent_webhook_lost_total{webhook="1 (${new URL(taker.url).origin})"} ${lost()}`,
  );
});
