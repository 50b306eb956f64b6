import { describe, expect, test } from "bun:test";
import { createSqliteStore } from "../../src/store/sqlite-store.ts";
import type { Store } from "../../src/store.ts";
import type { Watch } from "../../src/watch.ts";
import {
  ALICE,
  closeLater,
  freshDatabase,
  present,
  quiet,
  type TestStore,
  testStore,
} from "../store/support.ts";

const DAY = 24 * 3_600_000;
const ANNOTATION = {
  category: "verification_code",
  code: "482913",
  confidence: 0.9,
  candidates: [],
} as const;

async function types(store: Store, after = 0): Promise<readonly string[]> {
  return (await store.events({ after, limit: 1_000 })).events.map((event) =>
    event.type === "message.status" ? event.state : event.type,
  );
}

function watchOf(t: TestStore, changes: Partial<Watch> = {}): Watch {
  return {
    id: t.newId("watch"),
    state: "pending",
    filters: {},
    mode: "once",
    consume: "claim",
    backfill: 0,
    owner: { kind: "api" },
    createdAt: t.clock.now(),
    expiresAt: t.clock.now() + 60_000,
    signals: [],
    ...changes,
  };
}

/** A code comes in, and is caught by one who waits for it. */
async function catchCode(t: TestStore, claimsFromAgent: boolean): Promise<void> {
  const watch = watchOf(t);
  await t.store.createWatch(watch);
  const message = t.inbound({
    text: "Your code is 482913",
    annotation: ANNOTATION,
    route: "signal",
    state: "received",
  });
  const offers = [{ watchId: watch.id, claims: true, claimsFromAgent }];
  const offer = { kind: "offer_signal", messageId: message.id, offers, at: t.clock.now() } as const;
  await t.store.admit({ message, effects: [offer] });
}

/** Answers a text, and sends the answer until it is delivered. */
async function wholeTurn(t: TestStore): Promise<void> {
  await t.text();
  await t.reply(present((await t.claimTurns())[0]), "hi");
  const send = present((await t.claimSends())[0]);
  await t.accepted(send, "SMout");
  for (const status of ["sent", "sent", "delivered", "sent"]) await t.callback("SMout", status, send);
}

describe("the log of events", () => {
  test("has what happened to a text and its answer, each state once", async () => {
    const t = testStore();
    await wholeTurn(t);
    expect(await types(t.store)).toEqual([
      "message.received",
      "pending",
      "sending",
      "queued",
      "sent",
      "delivered",
    ]);
  });

  test("keeps references, never a second copy of a text, an address or a code", async () => {
    const t = testStore();
    await catchCode(t, true);
    await wholeTurn(t);
    const rows = JSON.stringify(t.client.prepare("select * from events").all());
    for (const private_ of ["482913", "hello", 'hi"', ALICE]) expect(rows).not.toContain(private_);
    expect(await types(t.store)).toContain("signal.matched");
  });

  test("tells of a text as it is now: erased and claimed ones no more", async () => {
    const t = testStore();
    const { id } = await t.text(ALICE, { message: { text: "the private text" } });
    await t.text("+15552222222", { message: { text: "another" } });
    const claimed = (await t.claimTurns()).find(({ texts }) => texts[0]?.messageId === id);
    await t.store.finishTurn({
      turnId: present(claimed).turn.id,
      end: { kind: "cancelled", reason: "denied" },
      replies: [],
      held: "keep",
      rerouted: [{ messageId: id, route: "dropped", keepText: false, policies: [] }],
      at: t.clock.now(),
    });
    const { events, position } = await t.store.events({ after: 0, limit: 100 });
    expect(JSON.stringify(events)).not.toContain("private");
    expect(
      events.map((event) => (event.type === "message.received" ? event.message.text : event.type)),
    ).toEqual(["another"]);
    expect(position).toBe(await t.store.lastEvent());
  });

  test("tells of a signal without its code once codes are purged", async () => {
    const t = testStore();
    await catchCode(t, false);
    expect(JSON.stringify((await t.store.events({ after: 0, limit: 9 })).events)).toContain("482913");
    await t.clock.advance(3_600_000);
    while (await t.store.purgeCodes(t.clock.now()));
    const { events } = await t.store.events({ after: 0, limit: 9 });
    expect(events).toHaveLength(1);
    expect(JSON.stringify(events)).not.toContain("482913");
  });

  test("has nothing of what was not committed", async () => {
    const t = testStore();
    // The code it would redeem is spent: the admission is undone.
    const pairing = {
      kind: "redeem_pairing",
      pairingId: "pair_none",
      address: { channel: "sms", address: ALICE, pairedAt: 0 },
    } as const;
    const stale = await t.store.admit({ message: t.inbound(), effects: [t.queueTurn(), pairing] });
    expect(stale.kind).toBe("stale");
    const { id } = await t.text();
    const message = present(await t.store.message(id));
    await t.store.admit({ message: t.inbound({ sid: present(message.providerSid) }), effects: [] });
    expect(await types(t.store)).toEqual(["message.received"]);
  });

  test("has nothing of texts of other routes", async () => {
    const t = testStore();
    for (const route of ["pairing", "command", "signal", "dropped"] as const)
      await t.store.admit({ message: t.inbound({ route, state: "handled" }), effects: [] });
    expect(t.client.prepare("select * from events").all()).toEqual([]);
  });

  test("has no text that a watch took from the agent", async () => {
    const t = testStore();
    const watch = watchOf(t);
    await t.store.createWatch(watch);
    const message = t.inbound({ text: "Your code is 482913", annotation: ANNOTATION });
    await t.store.admit({
      message,
      effects: [
        {
          kind: "offer_signal",
          messageId: message.id,
          offers: [{ watchId: watch.id, claims: true, claimsFromAgent: true }],
          at: t.clock.now(),
        },
        t.queueTurn(),
      ],
    });
    expect(await types(t.store)).toEqual(["signal.matched"]);
  });

  test("tells who listens after the commit, and only when there is something", async () => {
    const t = testStore();
    let told = 0;
    let seen = 0;
    const stop = t.store.onEvents(() => {
      told += 1;
      t.store.lastEvent().then((last) => {
        seen = last;
      });
    });
    await t.store.ping();
    expect(told).toBe(0);
    await t.text();
    await t.clock.flush();
    expect([told, seen]).toEqual([1, 1]);
    stop();
    await t.text("+15552222222");
    expect(told).toBe(1);
  });

  test("is read by pages and types", async () => {
    const t = testStore();
    await wholeTurn(t);
    const first = await t.store.events({ after: 0, limit: 2 });
    expect(first.events).toHaveLength(2);
    expect(first.more).toBe(true);
    const rest = await t.store.events({ after: first.position, limit: 100 });
    expect(rest.more).toBe(false);
    expect([...first.events, ...rest.events].map(({ position }) => position)).toEqual([1, 2, 3, 4, 5, 6]);
    const received = await t.store.events({ after: 0, types: ["message.received"], limit: 100 });
    expect(received.events).toHaveLength(1);
    expect(received.position).toBe(6);
  });

  test("keeps a week, and never gives a position twice", async () => {
    const t = testStore();
    await t.text();
    await t.clock.advance(7 * DAY - 1);
    await t.text("+15552222222");
    await t.store.sweep(t.clock.now());
    expect(await types(t.store)).toHaveLength(2);
    await t.clock.advance(1);
    await t.store.sweep(t.clock.now());
    expect(await types(t.store)).toHaveLength(1);
    await t.clock.advance(30 * DAY);
    while (await t.store.sweep(t.clock.now()));
    const last = await t.store.lastEvent();
    await t.text("+15553333333");
    expect(await t.store.lastEvent()).toBe(last + 1);
  });

  test("keeps at most 100,000 events", async () => {
    const t = testStore();
    t.client.exec(`insert into events (nonce, type, at) with recursive n(i) as (select 1 union all select i + 1 from n
      where i < 100500) select i, 'alert', ${t.clock.now()} from n`);
    while (await t.store.sweep(t.clock.now()));
    const { count, first } = present(
      t.client
        .prepare<[], { count: number; first: number }>("select count(*) count, min(seq) first from events")
        .get(),
    );
    expect({ count, first }).toEqual({ count: 100_000, first: 501 });
  });

  test("knows its ids, and those of another database from its own", async () => {
    const t = testStore();
    await wholeTurn(t);
    const { events } = await t.store.events({ after: 0, limit: 100 });
    for (const { id, position } of events) expect(await t.store.eventPosition(id)).toBe(position);
    const other = testStore();
    await wholeTurn(other);
    const foreign = present((await other.store.events({ after: 0, limit: 100 })).events[3]);
    expect(await t.store.eventPosition(foreign.id)).toBe(0);
    expect(await t.store.eventPosition("evt_nonsense")).toBeUndefined();
    await t.clock.advance(8 * DAY);
    while (await t.store.sweep(t.clock.now()));
    // Swept: whatever is kept comes after it.
    expect(await t.store.eventPosition(present(events[2]).id)).toBe(3);
  });
});

describe("the queue of webhooks", () => {
  const wanted = [{ key: "a", types: ["message.received"] as const }];
  const claim = (t: TestStore, store = t.store) =>
    store.claimWebhooks({ wanted, now: t.clock.now(), lease: 60_000, limit: 5, batch: 10 });

  test("gives a claimed webhook to nobody else until its lease is over, and then the same events", async () => {
    const t = testStore();
    await t.store.followWebhooks(["a"], t.clock.now());
    await t.text();
    const [first] = await claim(t);
    expect(await claim(t)).toEqual([]);
    await t.clock.advance(60_000);
    const [second] = await claim(t);
    expect(present(second).page.events.map(({ id }) => id)).toEqual(
      present(first).page.events.map(({ id }) => id),
    );
  });

  test("gives what a dead process held to the next one at once", async () => {
    const client = freshDatabase();
    const t = testStore(client);
    await t.store.followWebhooks(["a"], t.clock.now());
    await t.text();
    const [first] = await claim(t);
    const next = closeLater(createSqliteStore(client, { clock: t.clock, log: quiet }));
    await next.recover(t.clock.now());
    await next.followWebhooks(["a"], t.clock.now());
    const [second] = await claim(t, next);
    expect(present(second).page.events[0]?.id).toBe(present(first).page.events[0]?.id);
  });

  test("passes over what nobody asked for, and is not due for it", async () => {
    const t = testStore();
    await t.store.followWebhooks(["a"], t.clock.now());
    await t.store.enqueue(t.outbound());
    expect(await t.store.nextWebhookDue(wanted)).toBeUndefined();
    expect(await claim(t)).toEqual([]);
    await t.text();
    expect(await t.store.nextWebhookDue(wanted)).toBe(t.clock.now());
    expect(present((await claim(t))[0]).page.events).toHaveLength(1);
  });

  test("forgets a webhook that is no longer named; named again, it begins at the end", async () => {
    const t = testStore();
    await t.store.followWebhooks(["a"], t.clock.now());
    await t.text();
    await t.store.followWebhooks(["b"], t.clock.now());
    expect(await claim(t)).toEqual([]);
    await t.store.followWebhooks(["a"], t.clock.now());
    expect(await claim(t)).toEqual([]);
  });
});
