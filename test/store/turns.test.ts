import { describe, expect, test } from "bun:test";
import { ALICE, BOB, conversationOf, heldOf, present, testStore, textsOf } from "./support.ts";

const MINUTE = 60_000;

describe("gathering texts into a turn", () => {
  test("texts within the debounce become one turn, at most five debounces after the first", async () => {
    const t = testStore();
    const start = t.clock.now();
    const dueAts: unknown[] = [];
    for (let i = 0; i < 8; i++) {
      const { outcome } = await t.text(ALICE, { message: { text: `${i}` }, turn: { debounce: 1_000 } });
      dueAts.push(
        outcome.kind === "admitted" && outcome.turnDueAt !== undefined && outcome.turnDueAt - start,
      );
      await t.clock.advance(700);
    }
    expect(dueAts).toEqual([1_000, 1_700, 2_400, 3_100, 3_800, 4_500, 5_000, 5_000]);
    expect(await textsOf(t)).toEqual([["0", "1", "2", "3", "4", "5", "6", "7"]]);
  });

  test("a turn that a text has joined is looked at once at its old time, and claimed at its new one", async () => {
    const t = testStore();
    const start = t.clock.now();
    const turn = { debounce: 1_000 };
    await t.text(ALICE, { message: { text: "a" }, turn });
    await t.clock.advance(500);
    await t.text(BOB, { message: { text: "b" }, turn });
    await t.clock.advance(200);
    await t.text(ALICE, { message: { text: "c" }, turn });
    expect(await t.store.nextTurnDue(["sms"])).toBe(start + 1_000);
    await t.clock.advance(300);
    expect(await t.claimTurns(1)).toEqual([]);
    expect(await t.store.nextTurnDue(["sms"])).toBe(start + 1_500);
    await t.clock.advance(500);
    expect(await textsOf(t)).toEqual([["b"]]);
    expect(await t.store.nextTurnDue(["sms"])).toBe(start + 1_700);
    await t.clock.advance(199);
    expect(await t.claimTurns()).toEqual([]);
    await t.clock.advance(1);
    expect(await textsOf(t)).toEqual([["a", "c"]]);
  });

  test("turns that wait longer for their texts hold up none that is due, however many they are", async () => {
    const t = testStore();
    const turn = { debounce: 1_000 };
    const many = Array.from({ length: 40 }, (_, i) => `+1555200${String(i).padStart(4, "0")}`);
    for (const phone of many) await t.text(phone, { turn });
    await t.clock.advance(1);
    await t.text(ALICE, { message: { text: "alone" }, turn });
    await t.clock.advance(500);
    for (const phone of many) await t.text(phone, { turn });
    await t.clock.advance(499);
    expect(await t.claimTurns(2)).toEqual([]);
    await t.clock.advance(1);
    expect(await textsOf(t)).toEqual([["alone"]]);
    await t.clock.advance(500);
    expect(await t.claimTurns(50)).toHaveLength(40);
  });

  test("a text that comes after the clock was put back does not wait for the turn's old time", async () => {
    const t = testStore();
    const start = t.clock.now();
    await t.text(ALICE, { turn: { debounce: 1_000 } });
    const corrected = start - 60 * MINUTE;
    const { outcome } = await t.text(ALICE, { turn: { debounce: 1_000, at: corrected } });
    expect(outcome).toMatchObject({ kind: "admitted", turnDueAt: corrected + 1_000 });
    expect(await t.store.nextTurnDue(["sms"])).toBe(corrected + 1_000);
  });

  test("a turn is not claimed before it is due", async () => {
    const t = testStore();
    await t.text(ALICE, { turn: { debounce: 1_000 } });
    await t.clock.advance(999);
    expect(await t.claimTurns()).toEqual([]);
    await t.clock.advance(1);
    expect(await t.claimTurns()).toHaveLength(1);
  });

  test("a text that comes while a turn runs joins the next one, which waits for the first", async () => {
    const t = testStore();
    await t.text(ALICE, { message: { text: "a" } });
    const first = present((await t.claimTurns())[0]);
    await t.text(ALICE, { message: { text: "b" } });
    await t.text(ALICE, { message: { text: "c" } });
    expect(await t.claimTurns()).toEqual([]);
    expect(await t.reply(first, "one")).toBe(true);
    expect(await textsOf(t)).toEqual([["b", "c"]]);
  });

  test("the limit per minute counts a turn from when its last text let it be due", async () => {
    const t = testStore();
    const start = t.clock.now();
    const turn = { debounce: 1_000, perMinute: 1 };
    await t.text(ALICE, { turn });
    await t.clock.advance(700);
    await t.text(ALICE, { turn });
    const { outcome } = await t.text(ALICE, { turn: { ...turn, agent: "another" } });
    expect(outcome).toMatchObject({ turnDueAt: start + 1_700 + MINUTE });
  });

  test("turns of different people run side by side, oldest first", async () => {
    const t = testStore();
    await t.text(BOB, { message: { text: "bob" } });
    await t.clock.advance(1);
    await t.text(ALICE, { message: { text: "alice" } });
    expect(await textsOf(t)).toEqual([["bob"], ["alice"]]);
  });

  test("in a shared conversation one turn runs at a time, across addresses and channels", async () => {
    const t = testStore();
    const key = "shared:assistant";
    await t.text(ALICE, { message: { text: "a" }, turn: { key } });
    await t.clock.advance(1);
    await t.text(BOB, { message: { text: "b" }, turn: { key } });
    await t.clock.advance(1);
    await t.text(BOB, { message: { text: "c", channel: "other" }, turn: { key } });
    const channels = ["sms", "other"];
    const ran: string[] = [];
    for (let i = 0; i < 3; i++) {
      const claimed = await t.claimTurns(10, channels);
      expect(claimed).toHaveLength(1);
      expect(await t.claimTurns(10, channels)).toEqual([]);
      ran.push(present(claimed[0]?.texts[0]).text);
      await t.reply(present(claimed[0]));
    }
    expect(ran.sort()).toEqual(["a", "b", "c"]);
    expect((await t.store.conversations({ limit: 10 })).items).toHaveLength(1);
  });

  test("a disabled channel's turns wait and hold up nobody else's", async () => {
    const t = testStore();
    const key = "shared:assistant";
    await t.text(ALICE, { turn: { key, held: true } });
    await t.text(BOB, { message: { channel: "other", text: "b" }, turn: { key } });
    expect(await t.store.nextTurnDue([])).toBeUndefined();
    const [claimed, ...more] = await t.claimTurns(10, ["other"]);
    expect(more).toEqual([]);
    expect(present(claimed).texts[0]?.text).toBe("b");
    await t.reply(present(claimed));
    const [held] = await t.claimTurns(10, ["sms"]);
    expect(held?.turn.held).toBe(true);
  });

  test("a turn is marked held when any of its texts came while the channel was down", async () => {
    const t = testStore();
    await t.text(ALICE, { turn: { debounce: 1_000 } });
    await t.text(ALICE, { turn: { debounce: 1_000, held: true } });
    await t.text(ALICE, { turn: { debounce: 1_000 } });
    await t.clock.advance(5_000);
    expect((await t.claimTurns())[0]?.turn.held).toBe(true);
  });

  test("a fresh text does not join a turn that is too old, in whose place a turn and a conversation begin", async () => {
    const t = testStore();
    const turn = { held: true, idleTimeout: 30 * MINUTE };
    const old = await t.text(ALICE, { message: { text: "old" }, turn });
    await t.clock.advance(30 * MINUTE);
    const joined = await t.text(ALICE, { message: { text: "joined" }, turn });
    await t.clock.advance(30 * MINUTE + 1);
    const fresh = await t.text(ALICE, { message: { text: "fresh" }, turn });
    const again = await t.text(ALICE, { message: { text: "again" }, turn });
    expect((await conversationOf(t, joined.id)).id).toBe((await conversationOf(t, old.id)).id);
    expect((await conversationOf(t, fresh.id)).id).not.toBe((await conversationOf(t, old.id)).id);
    expect((await conversationOf(t, old.id)).endedAt).toBe(t.clock.now());
    const shown = present((await t.claimTurns())[0]);
    expect(shown.texts.map(({ messageId }) => messageId)).toEqual([old.id, joined.id]);
    await t.store.finishTurn({
      turnId: shown.turn.id,
      end: { kind: "shown", reason: "too old" },
      replies: [],
      held: "keep",
      rerouted: [],
      at: t.clock.now(),
    });
    const [next] = await t.claimTurns();
    expect(next?.texts.map(({ messageId }) => messageId)).toEqual([fresh.id, again.id]);
    expect(next?.turn.createdAt).toBe(t.clock.now());
  });

  test("a fresh text joins a turn that has waited as long behind another, since that one will run", async () => {
    const t = testStore();
    await t.text(ALICE, { message: { text: "running" } });
    await t.claimTurns();
    const waiting = await t.text(ALICE);
    await t.clock.advance(45 * MINUTE);
    const fresh = await t.text(ALICE);
    const turns = [waiting.id, fresh.id].map(async (id) => (await t.store.message(id))?.turnId);
    expect(await turns[1]).toBe(present(await turns[0]));
    expect((await conversationOf(t, fresh.id)).id).toBe((await conversationOf(t, waiting.id)).id);
  });

  test("turns that wait when the channel goes down are marked held, those of other channels are not", async () => {
    const t = testStore();
    await t.text(ALICE);
    await t.claimTurns();
    await t.text(ALICE, { message: { text: "behind a running one" } });
    await t.text(BOB);
    await t.text(BOB, { message: { channel: "other" } });
    await t.store.holdTurns("sms");
    const held = "SELECT channel, state, held FROM turns ORDER BY seq";
    expect(t.client.prepare(held).raw().all()).toEqual([
      ["sms", "running", 0],
      ["sms", "queued", 1],
      ["sms", "queued", 1],
      ["other", "queued", 0],
    ]);
  });

  test("a sender's turns beyond the limit per minute start later, and none is lost", async () => {
    const t = testStore();
    const start = t.clock.now();
    const due: number[] = [];
    for (let i = 0; i < 7; i++) {
      const { outcome } = await t.text(ALICE, { turn: { perMinute: 3 } });
      if (outcome.kind === "admitted") due.push(present(outcome.turnDueAt) - start);
      const [claimed] = await t.claimTurns();
      if (claimed !== undefined) await t.reply(claimed);
      await t.clock.advance(100);
    }
    // The fourth and all that follow it within the minute join the one that waits.
    expect(due).toEqual([0, 100, 200, MINUTE, MINUTE, MINUTE, MINUTE]);
    expect(await t.claimTurns()).toEqual([]);
    const other = await t.text(BOB, { turn: { perMinute: 3 } });
    expect(other.outcome).toMatchObject({ turnDueAt: t.clock.now() });
    await t.clock.advance(MINUTE);
    expect((await textsOf(t)).map((texts) => texts.length).sort()).toEqual([1, 4]);
  });
});

describe("finishing a turn", () => {
  test("handles its texts and puts its replies into the outbox", async () => {
    const t = testStore();
    const { id } = await t.text();
    const claimed = present((await t.claimTurns())[0]);
    await t.clock.advance(500);
    await t.reply(claimed, "one", "two");
    expect(await t.store.message(id)).toMatchObject({ state: "handled", turnId: claimed.turn.id });
    expect(await t.eventsOf(id)).toEqual(["queued", "handled"]);
    const sent = await t.claimSends();
    expect(sent.map(({ message }) => message.text)).toEqual(["one"]);
    const reply = present(await t.store.message(present(sent[0]).message.id));
    expect(reply).toMatchObject({
      direction: "outbound",
      from: "+15550000001",
      to: ALICE,
      turnId: claimed.turn.id,
      conversationId: claimed.turn.conversationId,
    });
  });

  test("a failure is kept with the texts it left unanswered", async () => {
    const t = testStore();
    const { id } = await t.text();
    const { turn } = present((await t.claimTurns())[0]);
    const error = { meaning: "The agent gave no reply.", fix: "Check it." };
    const finish = { turnId: turn.id, replies: [], held: "keep" as const, rerouted: [], at: t.clock.now() };
    expect(await t.store.finishTurn({ ...finish, end: { kind: "failed", error } })).toBe(true);
    expect(await t.store.message(id)).toMatchObject({ state: "failed", error });
    expect(await t.store.finishTurn({ ...finish, end: { kind: "done" } })).toBe(false);
    expect(await t.stateOf(id)).toBe("failed");
  });

  test("a turn too old to run is shown with its texts", async () => {
    const t = testStore();
    const { id } = await t.text(ALICE, { turn: { held: true } });
    const { turn } = present((await t.claimTurns())[0]);
    const end = { kind: "shown", reason: "It waited too long." } as const;
    await t.store.finishTurn({
      turnId: turn.id,
      end,
      replies: [],
      held: "keep",
      rerouted: [],
      at: t.clock.now(),
    });
    expect(await t.store.message(id)).toMatchObject({ state: "failed", error: { meaning: end.reason } });
  });

  test("a turn cancelled meanwhile says nothing any more", async () => {
    const t = testStore();
    const { id } = await t.text();
    const claimed = present((await t.claimTurns())[0]);
    await t.admit([{ kind: "cancel_turns", key: `sms:${ALICE}`, at: t.clock.now(), reason: "stopped" }]);
    expect(await t.reply(claimed, "too late")).toBe(false);
    expect(await t.claimSends()).toEqual([]);
    expect(await t.stateOf(id)).toBe("dropped");
    await t.text();
    expect(await t.claimTurns()).toHaveLength(1);
  });

  test("replaces, keeps or drops what was held for the person", async () => {
    const t = testStore();
    const held = (id: string) => heldOf(id, t.clock.now() + MINUTE);
    const heldNow = async () =>
      (await t.store.senderFacts({ channel: "sms", address: ALICE, now: t.clock.now() })).held;
    const finish = async (change: ReturnType<typeof held> | undefined | "keep") => {
      await t.text();
      const { turn } = present((await t.claimTurns())[0]);
      const at = t.clock.now();
      await t.store.finishTurn({
        turnId: turn.id,
        end: { kind: "done" },
        replies: [],
        held: change,
        rerouted: [],
        at,
      });
    };
    await finish(held("msg_1"));
    await finish("keep");
    expect(await heldNow()).toEqual(held("msg_1"));
    await finish(held("msg_2"));
    expect(await heldNow()).toEqual(held("msg_2"));
    await finish(undefined);
    expect(await heldNow()).toBeUndefined();
  });

  test("a text denied when checked again is erased, with its sender, and leaves the conversation", async () => {
    const t = testStore();
    const secret = "the code word is heliotrope";
    const denied = await t.text(ALICE, {
      message: { text: secret, raw: JSON.stringify({ Body: secret }) },
      turn: { debounce: 1_000 },
    });
    const kept = await t.text(ALICE, { message: { text: "fine" }, turn: { debounce: 1_000 } });
    await t.clock.advance(5_000);
    const { turn } = present((await t.claimTurns())[0]);
    await t.store.finishTurn({
      turnId: turn.id,
      end: { kind: "done" },
      replies: [],
      held: "keep",
      rerouted: [{ messageId: denied.id, route: "dropped", keepText: false, policies: ["no-more"] }],
      at: t.clock.now(),
    });
    const message = present(await t.store.message(denied.id));
    expect(message).toMatchObject({ state: "dropped", route: "dropped", from: "+1555***1111" });
    expect(message.policies).toEqual(["no-more"]);
    expect(message.text).toBeUndefined();
    expect(message.conversationId).toBeUndefined();
    expect(await t.stateOf(kept.id)).toBe("handled");
    expect((await conversationOf(t, kept.id)).messages).toBe(1);
    // Neither the database nor its log holds the text any more.
    await t.store.sweep(t.clock.now());
    for (const file of [t.client.name, `${t.client.name}-wal`]) {
      const bytes = Buffer.from(await Bun.file(file).arrayBuffer());
      expect(bytes.includes("heliotrope")).toBe(false);
    }
  });

  test("a text whose route is now signal is kept and no longer part of the conversation", async () => {
    const t = testStore();
    const { id } = await t.text();
    const { turn } = present((await t.claimTurns())[0]);
    await t.store.finishTurn({
      turnId: turn.id,
      end: { kind: "cancelled", reason: "denied" },
      replies: [],
      held: "keep",
      rerouted: [{ messageId: id, route: "signal", keepText: true, policies: ["all-signals"] }],
      at: t.clock.now(),
    });
    expect(await t.store.message(id)).toMatchObject({
      state: "received",
      route: "signal",
      text: "hello",
      from: ALICE,
    });
  });
});
