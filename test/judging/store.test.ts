import { describe, expect, test } from "bun:test";
import { annotate } from "../../src/annotation.ts";
import type { SettleJudgement } from "../../src/judgement.ts";
import type { WatchOwner } from "../../src/watch.ts";
import { present, type TestStore, testStore } from "../store/support.ts";

const FROM = "+15550003333";
const TEXT = "Your code is 482913";
const LEASE = 60_000;

async function watch(t: TestStore, owner: WatchOwner = { kind: "api", judge: "assistant" }): Promise<string> {
  const id = t.newId("watch");
  await t.store.createWatch({
    id,
    state: "pending",
    filters: { channel: "sms", instructions: "A code." },
    mode: "once",
    consume: "claim",
    backfill: 0,
    owner,
    createdAt: t.clock.now(),
    expiresAt: t.clock.now() + 3_600_000,
    signals: [],
  });
  return id;
}

/** A denied sender's text, written only to be judged for these watches. */
async function denied(t: TestStore, judged: readonly string[]): Promise<string> {
  const id = t.newId("msg");
  const {
    text: _,
    raw: __,
    ...message
  } = t.inbound({ id, from: "+1555***3333", route: "signal", state: "dropped" });
  const reveal = { from: FROM, text: TEXT, media: [], annotation: annotate(TEXT, FROM) };
  const outcome = await t.store.admit({
    message,
    effects: [{ kind: "offer_signal", messageId: id, offers: [], judged, reveal, at: t.clock.now() }],
  });
  expect(outcome).toMatchObject({ offered: { delivered: [], judging: true } });
  return id;
}

const claim = (t: TestStore, limit = 10) =>
  t.store.claimJudgements({ now: t.clock.now(), lease: LEASE, limit });

const settle = (t: TestStore, watchId: string, messageId: string, end: SettleJudgement["end"]) =>
  t.store.settleJudgement({ watchId, messageId, end, at: t.clock.now() });

/** What is left of the text, sender and annotation included. */
async function left(t: TestStore, id: string): Promise<string> {
  await t.store.sweep(t.clock.now());
  const row = t.client
    .prepare<[string], Record<string, unknown>>(
      "select from_address, text, annotation from messages where id = ?",
    )
    .get(id);
  return JSON.stringify(row);
}
const NOTHING = JSON.stringify({ from_address: "+1555***3333", text: null, annotation: null });

describe("a text that waits to be judged", () => {
  test("is claimed once, with all the judge needs, and again when the lease has run out", async () => {
    const t = testStore();
    const id = await watch(t);
    const messageId = await denied(t, [id]);
    expect(await claim(t)).toMatchObject([
      {
        watchId: id,
        instructions: "A code.",
        judge: "assistant",
        signal: { messageId, text: TEXT, from: FROM },
        attempt: 1,
      },
    ]);
    expect(await claim(t)).toEqual([]);
    expect(await t.store.nextJudgementDue()).toBe(t.clock.now() + LEASE);
    await t.clock.advance(LEASE);
    expect(await claim(t)).toMatchObject([{ attempt: 2 }]);
    await t.store.recover(t.clock.now());
    expect(await claim(t)).toMatchObject([{ attempt: 3 }]);
  });

  test("is tried again at its time; a try that was cut by the end of the service does not count", async () => {
    const t = testStore();
    const id = await watch(t);
    const messageId = await denied(t, [id]);
    await claim(t);
    await settle(t, id, messageId, { kind: "released", dueAt: t.clock.now() });
    expect(await claim(t)).toMatchObject([{ attempt: 1 }]);
    await settle(t, id, messageId, { kind: "retry", dueAt: t.clock.now() + 2_000 });
    expect(await claim(t)).toEqual([]);
    await t.clock.advance(2_000);
    expect(await claim(t)).toMatchObject([{ attempt: 2 }]);
  });

  test("stays until the last judge has said no", async () => {
    const t = testStore();
    const [one, two] = [await watch(t), await watch(t)];
    const messageId = await denied(t, [one, two]);
    expect(await claim(t)).toHaveLength(2);
    await settle(t, one, messageId, { kind: "no_match" });
    expect(await left(t, messageId)).toContain(TEXT);
    await settle(t, two, messageId, { kind: "no_match" });
    expect(await left(t, messageId)).toBe(NOTHING);
    expect(await t.store.nextJudgementDue()).toBeUndefined();
  });

  test("stays for good once a watch got it, unclaimed", async () => {
    const t = testStore();
    const [one, two] = [await watch(t), await watch(t)];
    const messageId = await denied(t, [one, two]);
    const outcome = await settle(t, one, messageId, { kind: "match" });
    expect(outcome).toMatchObject({ delivered: [{ watchId: one, ended: true }], claimed: false });
    await settle(t, two, messageId, { kind: "given_up", reason: "It could not be asked." });
    expect(await left(t, messageId)).toContain(TEXT);
    const message = present(await t.store.message(messageId));
    expect(message).toMatchObject({ state: "handled", text: TEXT, from: FROM });
    expect(message.error).toBeUndefined();
    expect(present(await t.store.watch(one)).signals).toMatchObject([{ text: TEXT }]);
  });

  test("goes with the watch: matched by another text, cancelled, or expired", async () => {
    for (const end of ["matched", "cancelled", "expired"] as const) {
      const t = testStore();
      const id = await watch(t);
      const messageId = await denied(t, [id]);
      if (end === "cancelled") await t.store.cancelWatch(id, t.clock.now());
      if (end === "expired") await t.store.expireWatches(t.clock.now() + 3_600_000);
      if (end === "matched") {
        const other = await denied(t, [id]);
        await settle(t, id, other, { kind: "match" });
      }
      expect(present(await t.store.watch(id)).state).toBe(end);
      expect(await left(t, messageId)).toBe(NOTHING);
      // A verdict that comes too late changes nothing.
      expect((await settle(t, id, messageId, { kind: "match" })).delivered).toEqual([]);
      expect(await left(t, messageId)).toBe(NOTHING);
    }
  });

  test("goes when its turn is cancelled", async () => {
    const t = testStore();
    await t.text();
    const [claimed] = await t.claimTurns();
    const { turn } = present(claimed);
    const id = await watch(t, {
      kind: "agent",
      agent: "assistant",
      turnId: turn.id,
      callId: "call_1",
      channel: turn.channel,
      address: turn.address,
    });
    await t.store.finishTurn({
      turnId: turn.id,
      end: { kind: "parked", calls: ["call_1"] },
      replies: [],
      held: "keep",
      rerouted: [],
      at: t.clock.now(),
    });
    const messageId = await denied(t, [id]);
    await t.store.endConversation(turn.conversationId, t.clock.now());
    expect(present(await t.store.watch(id)).state).toBe("cancelled");
    expect(await left(t, messageId)).toBe(NOTHING);
  });

  test("goes after the retention of codes, judged or not", async () => {
    const t = testStore();
    const id = await watch(t);
    const messageId = await denied(t, [id]);
    await t.store.purgeCodes(t.clock.now() + 1);
    expect(await claim(t)).toEqual([]);
    expect(await left(t, messageId)).toBe(NOTHING);
    expect(await t.store.nextJudgementDue()).toBeUndefined();
  });

  test("is queued once for a watch, and not when the watch has it already", async () => {
    const t = testStore();
    const id = await watch(t);
    const messageId = await denied(t, [id]);
    const again = { kind: "offer_signal", messageId, offers: [], judged: [id], at: t.clock.now() } as const;
    expect((await t.store.offerSignal(again)).judging).toBeUndefined();
    expect(await claim(t)).toHaveLength(1);
  });

  test("that is erased goes to nobody who brings no copy of it", async () => {
    const t = testStore();
    const [one, two] = [await watch(t), await watch(t)];
    const messageId = await denied(t, [one]);
    await settle(t, one, messageId, { kind: "no_match" });
    const offers = [{ watchId: two, claims: false, claimsFromAgent: false }];
    const offer = { kind: "offer_signal", messageId, offers, at: t.clock.now() } as const;
    expect((await t.store.offerSignal(offer)).delivered).toEqual([]);
    expect(present(await t.store.watch(two)).state).toBe("pending");
  });
});
