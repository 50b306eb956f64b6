import { describe, expect, test } from "bun:test";
import type { SendOutcome } from "../../src/carrier.ts";
import { GIVE_UP_AFTER, UNKNOWN_HOLD } from "../../src/delivery.ts";
import { AMBIGUOUS, claimOne, REFUSED, settle } from "./sends.ts";
import { ALICE, BOB, present, testStore } from "./support.ts";

describe("the outbox", () => {
  test("hands out due messages oldest first, one per person at a time", async () => {
    const t = testStore();
    const texts: [string, string][] = [
      [ALICE, "a1"],
      [ALICE, "a2"],
      [BOB, "b1"],
    ];
    for (const [to, text] of texts) {
      await t.store.enqueue(t.outbound({ to, text }));
      await t.clock.advance(1);
    }
    const first = await t.claimSends();
    expect(first.map(({ message, attempt }) => [message.text, attempt])).toEqual([
      ["a1", 1],
      ["b1", 1],
    ]);
    expect(await t.claimSends()).toEqual([]);
    await t.accepted(present(first[0]), "SM1");
    expect((await t.claimSends()).map(({ message }) => message.text)).toEqual(["a2"]);
  });

  test("gives a message back as it was put in", async () => {
    const t = testStore();
    const outbound = t.outbound({
      mediaUrls: ["https://sms.example.com/media/x"],
      contentSid: "HX1",
      contentVariables: '{"1":"x"}',
      segments: 3,
      policies: ["reply-and-paired"],
    });
    await t.store.enqueue(outbound);
    expect((await claimOne(t)).message).toEqual(outbound);
  });

  test("the same number on another channel is another queue", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound());
    await t.store.enqueue(t.outbound({ channel: "other" }));
    expect(await t.claimSends(10, ["sms", "other"])).toHaveLength(2);
  });

  test("messages of channels that may not send wait, and are not said to be due", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound());
    expect(await t.claimSends(10, ["other"])).toEqual([]);
    expect(await t.store.nextSendDue(["other"])).toBeUndefined();
    expect(await t.store.nextSendDue(["other", "sms"])).toBe(t.clock.now());
  });

  test("a claim takes no more than it asks for", async () => {
    const t = testStore();
    for (let i = 0; i < 5; i++) await t.store.enqueue(t.outbound({ to: `+1555333000${i}` }));
    expect(await t.claimSends(2)).toHaveLength(2);
    expect(await t.claimSends(10)).toHaveLength(3);
  });

  test("an accepted message takes the carrier's sid, state and segments", async () => {
    const t = testStore();
    const { id } = t.outbound();
    await t.store.enqueue(t.outbound({ id }));
    const send = await claimOne(t);
    expect(await t.stateOf(id)).toBe("sending");
    const outcome: SendOutcome = { kind: "accepted", sid: "SM1", status: "accepted", segments: 4 };
    await settle(t, send, outcome);
    expect(await t.store.message(id)).toMatchObject({ state: "queued", providerSid: "SM1", segments: 4 });
    expect(await t.eventsOf(id)).toEqual(["pending", "sending", "queued"]);
    expect(await t.store.nextSendDue(["sms"])).toBeUndefined();
  });

  test("a refused message ends with the reason, and the next one goes out", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound());
    await t.store.enqueue(t.outbound({ text: "next" }));
    const send = await claimOne(t);
    await settle(t, send, REFUSED);
    expect(await t.store.message(send.message.id)).toMatchObject({
      state: "failed",
      error: { code: 21211, meaning: "not a number" },
    });
    expect((await claimOne(t)).message.text).toBe("next");
  });

  test("a throttled message is tried again when due, before what was written after it", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound({ text: "first" }));
    await t.store.enqueue(t.outbound({ text: "second" }));
    const send = await claimOne(t);
    await settle(t, send, { kind: "retry", reason: "429" }, t.clock.now() + 2_000);
    expect(await t.stateOf(send.message.id)).toBe("pending");
    expect(await t.claimSends()).toEqual([]);
    expect(await t.store.nextSendDue(["sms"])).toBe(t.clock.now() + 2_000);
    await t.clock.advance(2_000);
    const again = await claimOne(t);
    expect([again.message.text, again.attempt]).toEqual(["first", 2]);
  });

  test("an unclear send is never repeated, and holds the person's other messages for a while only", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound({ text: "unclear" }));
    await t.store.enqueue(t.outbound({ text: "next" }));
    const send = await claimOne(t);
    await settle(t, send, AMBIGUOUS);
    expect(await t.stateOf(send.message.id)).toBe("unknown");
    expect(await t.store.nextSendDue(["sms"])).toBe(t.clock.now() + UNKNOWN_HOLD);
    await t.clock.advance(UNKNOWN_HOLD - 1);
    expect(await t.claimSends()).toEqual([]);
    await t.clock.advance(1);
    expect((await t.claimSends()).map(({ message }) => message.text)).toEqual(["next"]);
    await t.clock.advance(GIVE_UP_AFTER);
    expect(await t.claimSends()).toEqual([]);
    expect(await t.stateOf(send.message.id)).toBe("unknown");
  });

  test("what is pending for four hours is given up, with the reason", async () => {
    const t = testStore();
    const { id } = t.outbound();
    await t.store.enqueue(t.outbound({ id }));
    await t.clock.advance(GIVE_UP_AFTER - 1_000);
    await t.store.enqueue(t.outbound({ text: "young" }));
    await t.clock.advance(1_000);
    expect((await t.claimSends()).map(({ message }) => message.text)).toEqual(["young"]);
    expect(await t.store.message(id)).toMatchObject({
      state: "failed",
      error: { meaning: expect.any(String) },
    });
  });

  test("what a channel that is down leaves pending is given up by the sweep", async () => {
    const t = testStore();
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) {
      const outbound = t.outbound({ channel: "other" });
      ids.push(outbound.id);
      await t.store.enqueue(outbound);
    }
    await t.clock.advance(GIVE_UP_AFTER);
    await t.store.enqueue(t.outbound({ channel: "other", text: "young" }));
    expect(await t.store.sweep(t.clock.now())).toBe(false);
    for (const id of ids) expect(await t.stateOf(id)).toBe("failed");
    expect((await t.claimSends(10, ["other"])).map(({ message }) => message.text)).toEqual(["young"]);
  });

  test("nothing goes to who has opted out, whether it waited already or comes later", async () => {
    const t = testStore();
    const waiting = t.outbound();
    await t.store.enqueue(waiting);
    await t.store.enqueue(t.outbound({ to: BOB }));
    await t.admit([{ kind: "opt_out", channel: "sms", address: ALICE, at: t.clock.now() }]);
    const later = t.outbound();
    const outcome = await t.store.enqueue(later);
    expect(outcome).toEqual({ kind: "created", id: later.id, state: "suppressed" });
    const admitted = await t.admit([{ kind: "send", outbound: t.outbound() }]);
    expect(admitted).toEqual({ kind: "admitted", sends: 0 });
    expect((await t.claimSends()).map(({ message }) => message.to)).toEqual([BOB]);
    for (const { id } of [waiting, later]) {
      const message = present(await t.store.message(id));
      expect(message.state).toBe("suppressed");
      expect(message.error?.fix).toContain("START");
    }
  });

  test("opting out on one channel does not touch another", async () => {
    const t = testStore();
    await t.admit([{ kind: "opt_out", channel: "other", address: ALICE, at: t.clock.now() }]);
    await t.store.enqueue(t.outbound());
    expect(await t.claimSends()).toHaveLength(1);
  });

  test("what a policy forbids is shown and never sent", async () => {
    const t = testStore();
    const forbidden = { meaning: "forbidden by no-replies", fix: "change the policy" };
    const outbound = t.outbound({ forbidden });
    expect(await t.store.enqueue(outbound)).toMatchObject({ state: "suppressed" });
    expect(await t.claimSends()).toEqual([]);
    expect(await t.store.message(outbound.id)).toMatchObject({ error: forbidden });
  });

  test("a refusal because of an opt-out marks the person, so that nothing more is tried", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound());
    await t.store.enqueue(t.outbound());
    const send = await claimOne(t);
    const error = { code: 21610, meaning: "unsubscribed", fix: "START" };
    await settle(t, send, { kind: "refused", error, optedOut: true });
    expect(await t.store.message(send.message.id)).toMatchObject({ state: "suppressed", error });
    expect(await t.store.optedOut("sms", ALICE)).toBe(true);
    expect(await t.claimSends()).toEqual([]);
  });
});

describe("a request with an idempotency key", () => {
  test("gives the first message again, with its present state", async () => {
    const t = testStore();
    const key = { key: "order-1", fingerprint: "abc" };
    const first = t.outbound();
    expect(await t.store.enqueue(first, key)).toEqual({ kind: "created", id: first.id, state: "pending" });
    await t.accepted(await claimOne(t), "SM1", "sent");
    expect(await t.store.enqueue(t.outbound(), key)).toEqual({
      kind: "replayed",
      id: first.id,
      state: "sent",
    });
    expect((await t.store.messages({ limit: 10 })).items).toHaveLength(1);
  });

  test("sent many times at once gives one message", async () => {
    const t = testStore();
    const key = { key: "order-1", fingerprint: "abc" };
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => t.store.enqueue(t.outbound(), key)));
    expect(outcomes.filter(({ kind }) => kind === "created")).toHaveLength(1);
    expect(new Set(outcomes.map((outcome) => (outcome.kind === "key_conflict" ? "" : outcome.id))).size).toBe(
      1,
    );
  });

  test("used for something else is a conflict; after a day it is forgotten", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound(), { key: "k", fingerprint: "abc" });
    const other = { key: "k", fingerprint: "xyz" };
    expect(await t.store.enqueue(t.outbound(), other)).toEqual({ kind: "key_conflict" });
    await t.clock.advance(24 * 3_600_000 - 1);
    await t.store.sweep(t.clock.now());
    expect(await t.store.enqueue(t.outbound(), other)).toEqual({ kind: "key_conflict" });
    await t.clock.advance(1);
    await t.store.sweep(t.clock.now());
    expect(await t.store.enqueue(t.outbound(), other)).toMatchObject({ kind: "created" });
  });
});
