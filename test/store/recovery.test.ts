import { describe, expect, test } from "bun:test";
import { UNKNOWN_HOLD } from "../../src/delivery.ts";
import { SUSPECT_AFTER } from "../../src/store/turn-statements.ts";
import { MAX_TURN_CRASHES } from "../../src/turn.ts";
import { AMBIGUOUS, claimOne, REFUSED, settle } from "./sends.ts";
import { ALICE, BOB, present, testStore, textsOf } from "./support.ts";

describe("turns of a process that died", () => {
  test("running turns are queued again with one more attempt and the same id and texts", async () => {
    const t = testStore();
    await t.text();
    const before = present((await t.claimTurns())[0]);
    expect(await t.store.recover(t.clock.now())).toEqual({ turns: 1, sends: 0 });
    const after = present((await t.claimTurns())[0]);
    expect(after.turn).toEqual({ ...before.turn, attempt: 2, crashes: 1 });
    expect(after.texts).toEqual(before.texts);
  });

  test("a new text does not change a turn that an agent has already been asked", async () => {
    const t = testStore();
    await t.text(ALICE, { message: { text: "a" } });
    await t.claimTurns();
    await t.store.recover(t.clock.now());
    await t.text(ALICE, { message: { text: "b" } });
    expect(await textsOf(t)).toEqual([["a"]]);
  });

  test("a turn that stops the service every time is told so to whoever runs it, and ends even if that fails", async () => {
    const t = testStore();
    const { id } = await t.text(ALICE, { message: { text: "poison" } });
    for (let crashes = 0; crashes <= 2 * MAX_TURN_CRASHES; crashes++) {
      expect((await t.claimTurns())[0]?.turn).toMatchObject({ crashes, attempt: crashes + 1 });
      if (crashes === 2) await t.text(ALICE, { message: { text: "next" } });
      await t.store.recover(t.clock.now());
    }
    expect(await t.store.message(id)).toMatchObject({ state: "failed", error: { fix: expect.any(String) } });
    expect(await textsOf(t)).toEqual([["next"]]);
  });

  test("a clean stop is no crash, however often it cuts the same turn", async () => {
    const t = testStore();
    await t.text(ALICE, { message: { text: "long" } });
    for (let stops = 0; stops < 3 * MAX_TURN_CRASHES; stops++) {
      const { turn } = present((await t.claimTurns())[0]);
      expect(turn).toMatchObject({ attempt: stops + 1, crashes: 0 });
      await t.store.releaseTurn(turn.id);
      expect(await t.store.recover(t.clock.now())).toEqual({ turns: 0, sends: 0 });
    }
    await t.text(ALICE, { message: { text: "new" } });
    expect(await textsOf(t)).toEqual([["long"]]);
  });

  test("who is running when another's text crashes the service, is not set aside with it", async () => {
    const t = testStore();
    const others = Array.from({ length: 30 }, (_, i) => `+1555333${String(i).padStart(4, "0")}`);
    await t.text(ALICE, { message: { text: "poison" } });
    for (const other of others) await t.text(other, { message: { text: other } });
    const answered = new Map<string, number>();
    let crashes = 0;
    for (let round = 0; round < 200; round++) {
      const claimed = await t.claimTurns(64);
      if (claimed.length === 0) break;
      if (claimed.some(({ turn }) => turn.address === ALICE && turn.crashes < MAX_TURN_CRASHES)) {
        crashes += 1;
        await t.store.recover(t.clock.now());
        continue;
      }
      for (const one of claimed) {
        answered.set(one.turn.address, one.turn.crashes);
        await t.reply(one);
      }
    }
    expect(crashes).toBe(MAX_TURN_CRASHES);
    expect(answered.get(ALICE)).toBe(MAX_TURN_CRASHES);
    for (const other of others) expect(answered.get(other)).toBeLessThanOrEqual(SUSPECT_AFTER);
  });

  test("a lease that was not renewed frees the turn; one that was does not", async () => {
    const t = testStore();
    await t.text();
    const { turn } = present((await t.claimTurns())[0]);
    expect(await t.store.nextTurnDue(["sms"])).toBe(t.clock.now() + 60_000);
    await t.clock.advance(50_000);
    await t.store.extendTurns([turn.id], t.clock.now() + 60_000);
    await t.clock.advance(50_000);
    expect(await t.claimTurns()).toEqual([]);
    await t.clock.advance(10_000);
    expect((await t.claimTurns())[0]?.turn).toMatchObject({ id: turn.id, attempt: 2 });
  });
});

describe("sends of a process that died", () => {
  test("become unknown and are never sent again; the rest of the queue goes on", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound({ text: "cut" }));
    await t.store.enqueue(t.outbound({ text: "next" }));
    await t.store.enqueue(t.outbound({ to: BOB, text: "waiting" }));
    const cut = await claimOne(t);
    expect(await t.store.recover(t.clock.now())).toEqual({ turns: 0, sends: 1 });
    expect(await t.stateOf(cut.message.id)).toBe("unknown");
    expect((await t.claimSends()).map(({ message }) => message.text)).toEqual(["waiting"]);
    await t.clock.advance(UNKNOWN_HOLD);
    expect((await t.claimSends()).map(({ message }) => message.text)).toEqual(["next"]);
    await t.clock.advance(10 * UNKNOWN_HOLD);
    expect((await t.claimSends()).map(({ message }) => message.text)).not.toContain("cut");
  });

  test("a lease that ran out in a living process makes the send unknown too; a late answer still counts", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound());
    const send = await claimOne(t);
    expect(await t.store.nextSendDue(["sms"])).toBe(t.clock.now() + 60_000);
    await t.clock.advance(60_000);
    expect(await t.claimSends()).toEqual([]);
    expect(await t.stateOf(send.message.id)).toBe("unknown");
    await t.accepted(send, "SM1");
    expect(await t.stateOf(send.message.id)).toBe("queued");
  });

  test("a second try whose answer is lost after its lease ran out is still looked for", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound());
    await settle(t, await claimOne(t), { kind: "retry", reason: "429" }, t.clock.now());
    const second = await claimOne(t);
    await t.clock.advance(60_000);
    await t.claimSends();
    await settle(t, second, AMBIGUOUS);
    const claim = { now: t.clock.now(), lease: 60_000, limit: 10, channels: ["sms"] };
    expect((await t.store.claimLooks(claim)).looks).toMatchObject([
      { messageId: second.message.id, attempt: 2 },
    ]);
  });

  test("a late answer to an earlier try does not decide the present one", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound());
    const first = await claimOne(t);
    await settle(t, first, { kind: "retry", reason: "429" }, t.clock.now());
    const second = await claimOne(t);
    for (const outcome of [REFUSED, AMBIGUOUS, { kind: "retry", reason: "429" } as const]) {
      await settle(t, first, outcome);
      expect(await t.stateOf(second.message.id)).toBe("sending");
    }
    await t.accepted(second, "SM2");
    expect(await t.store.message(second.message.id)).toMatchObject({ state: "queued", providerSid: "SM2" });
  });

  test("an answer that says it was certainly not taken brings it back, however late, in its place", async () => {
    const t = testStore();
    await t.store.enqueue(t.outbound({ text: "first" }));
    await t.store.enqueue(t.outbound({ text: "second" }));
    await t.store.enqueue(t.outbound({ text: "third" }));
    const send = await claimOne(t);
    await t.clock.advance(60_000);
    await t.claimSends();
    await t.clock.advance(UNKNOWN_HOLD);
    const second = await claimOne(t);
    await settle(t, send, { kind: "retry", reason: "refused connection" }, t.clock.now());
    expect(await t.stateOf(send.message.id)).toBe("pending");
    expect(await t.claimSends()).toEqual([]);
    await t.accepted(second, "SM2");
    const again = await claimOne(t);
    expect([again.message.text, again.attempt]).toEqual(["first", 2]);
    await t.accepted(again, "SM1");
    expect((await claimOne(t)).message.text).toBe("third");
  });
});
