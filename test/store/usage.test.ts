import { describe, expect, test } from "bun:test";
import type { SendOutcome } from "../../src/carrier.ts";
import type { ClaimedSend, Effect } from "../../src/store.ts";
import { ALICE, BOB, freshDatabase, type TestStore, testStore } from "./support.ts";

const DAY = 24 * 3_600_000;

function claim(t: TestStore, segmentsPerDay: number): Promise<readonly ClaimedSend[]> {
  return t.store.claimSends({
    now: t.clock.now(),
    lease: 60_000,
    limit: 10,
    channels: ["sms", "other"],
    segmentsPerDay,
  });
}

function settle(t: TestStore, send: ClaimedSend | undefined, outcome: SendOutcome): Promise<unknown> {
  if (send === undefined) throw new Error("nothing was claimed");
  const { message, attempt } = send;
  return t.store.settleSend({
    messageId: message.id,
    attempt,
    outcome,
    at: t.clock.now(),
    dueAt: t.clock.now(),
  });
}

const used = (t: TestStore) => t.store.segmentsUsed(t.clock.now());
const accepted: SendOutcome = { kind: "accepted", sid: "SM1", status: "queued" };
const refused: SendOutcome = {
  kind: "refused",
  error: { code: 21211, meaning: "not a number", fix: "use a number" },
  optedOut: false,
};

test("texts of one commit are counted together, but not one that is undone or was there", async () => {
  const t = testStore();
  const first = t.inbound({ segments: 2 });
  const spent: Effect = {
    kind: "redeem_pairing",
    pairingId: "pair_none",
    address: { channel: "sms", address: ALICE, pairedAt: t.clock.now() },
  };
  const outcomes = await Promise.all([
    t.store.admit({ message: first, effects: [] }),
    t.admit([spent]),
    t.store.admit({ message: { ...t.inbound(), sid: first.sid }, effects: [] }),
    t.admit([]),
  ]);
  expect(outcomes.map(({ kind }) => kind)).toEqual(["admitted", "stale", "duplicate", "admitted"]);
  const [today] = await t.store.usage("2000-01-01");
  expect(today).toMatchObject({ inbound: 2, inboundSegments: 3 });
  await t.admit([]);
  expect((await t.store.usage("2000-01-01"))[0]).toMatchObject({ inbound: 3, inboundSegments: 4 });
});

describe("the segments of a day", () => {
  test("are counted over all channels, and what does not fit stays pending until midnight", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound({ to: ALICE, segments: 3 }));
    await t.store.enqueue(t.outbound({ to: BOB, channel: "other", segments: 3 }));
    const late = t.outbound({ to: "+15553333333", segments: 1 });
    await t.store.enqueue(late);
    const sent = await claim(t, 6);
    expect(sent).toHaveLength(2);
    expect(await used(t)).toBe(6);
    expect(await t.stateOf(late.id)).toBe("pending");
    const midnight = Date.UTC(2026, 0, 2);
    expect(await t.store.sendsHeldUntil(["sms", "other"], t.clock.now(), 6)).toBe(midnight);
    expect(await t.store.sendsHeldUntil(["sms", "other"], t.clock.now(), 7)).toBeUndefined();
    for (const send of sent) await settle(t, send, { ...accepted, sid: `SM${send.message.to}` });
    await t.clock.advance(midnight - t.clock.now() - 1);
    expect(await claim(t, 6)).toEqual([]);
    const next = t.outbound({ to: BOB, segments: 1 });
    await t.store.enqueue(next);
    await t.clock.advance(1);
    // What waited for longer than four hours is given up, as ever; what did not goes out.
    expect((await claim(t, 6)).map(({ message }) => message.id)).toEqual([next.id]);
    expect(await t.stateOf(late.id)).toBe("failed");
    expect(await used(t)).toBe(1);
  });

  test("are never exceeded by a message that is longer than what is left", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound({ to: ALICE, segments: 4 }));
    await t.store.enqueue(t.outbound({ to: BOB, segments: 4 }));
    expect(await claim(t, 7)).toHaveLength(1);
    expect(await used(t)).toBe(4);
  });

  test("are given back when the carrier did not take the message, and only once", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound({ to: ALICE, segments: 2 }));
    await t.store.enqueue(t.outbound({ to: BOB, segments: 3 }));
    const [first, second] = await claim(t, 500);
    await settle(t, first, refused);
    await settle(t, first, refused);
    await settle(t, second, { kind: "retry", reason: "busy" });
    expect(await used(t)).toBe(0);
    const [again] = await claim(t, 500);
    expect(again?.attempt).toBe(2);
    expect(await used(t)).toBe(3);
  });

  test("of a message whose fate is unknown stay counted, and a proof of acceptance is not undone", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound({ to: ALICE, segments: 2 }));
    await t.store.enqueue(t.outbound({ to: BOB, segments: 3 }));
    const [first, second] = await claim(t, 500);
    await settle(t, first, { kind: "ambiguous", reason: "time-out" });
    if (second !== undefined) await t.callback("SM2", "sent", second);
    await settle(t, second, { kind: "retry", reason: "the connection was reset" });
    expect(await used(t)).toBe(5);
    await settle(t, first, { kind: "retry", reason: "the carrier does not have it" });
    expect(await used(t)).toBe(3);
  });

  test("are given back to the day they were taken from", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound({ segments: 2 }));
    const [send] = await claim(t, 500);
    await t.clock.advance(DAY);
    await settle(t, send, refused);
    expect(await t.store.usage("2026-01-01")).toMatchObject([
      { day: "2026-01-01", outbound: 0, segments: 0 },
    ]);
  });

  test("follow the carrier's own count", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound({ segments: 1 }));
    const [send] = await claim(t, 500);
    await settle(t, send, { ...accepted, segments: 2 });
    await settle(t, send, { ...accepted, segments: 2 });
    expect(await used(t)).toBe(2);
  });

  test("survive a restart, and an opted-out recipient costs none", async () => {
    const client = freshDatabase();
    const t = testStore(client);
    await t.admit([{ kind: "opt_out", channel: "sms", address: BOB, at: t.clock.now() }], { segments: 2 });
    await t.store.enqueue(t.outbound({ to: BOB, segments: 9 }));
    await t.store.enqueue(t.outbound({ to: ALICE, segments: 4 }));
    await claim(t, 5);
    const again = testStore(client, t.clock);
    expect(await used(again)).toBe(4);
    await again.store.enqueue(t.outbound({ to: "+15554444444", segments: 2 }));
    expect(await claim(again, 5)).toEqual([]);
    expect(await again.store.usage("2026-01-01")).toEqual([
      {
        day: "2026-01-01",
        channel: "sms",
        inbound: 1,
        outbound: 1,
        segments: 4,
        inboundSegments: 2,
        inputTokens: 0,
        outputTokens: 0,
      },
    ]);
  });

  test("of a text that is delivered twice are counted once", async () => {
    const t = testStore();
    const message = t.inbound({ segments: 3, state: "received" });
    await t.store.admit({ message, effects: [] });
    await t.store.admit({ message: { ...message, id: t.newId("msg") }, effects: [] });
    expect(await t.store.usage("2026-01-01")).toMatchObject([{ inbound: 1, inboundSegments: 3 }]);
  });
});
