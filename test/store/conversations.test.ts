import { describe, expect, test } from "bun:test";
import type { Effect } from "../../src/store.ts";
import { ALICE, BOB, conversationOf, present, testStore, textsOf } from "./support.ts";

const MINUTE = 60_000;

describe("the conversation of a turn", () => {
  test("goes on while texts come within the idle time, and counts what belongs to it", async () => {
    const t = testStore();
    const first = await t.text();
    await t.reply(present((await t.claimTurns())[0]), "one", "two");
    await t.clock.advance(30 * MINUTE);
    const second = await t.text();
    const conversation = await conversationOf(t, second.id);
    expect(conversation).toEqual(await conversationOf(t, first.id));
    expect(conversation).toMatchObject({ messages: 4, lastAt: t.clock.now(), agent: "assistant" });
    expect(await t.store.inConversation("sms", ALICE)).toBe(true);
    expect(await t.store.inConversation("sms", BOB)).toBe(false);
  });

  test("is a fresh one after the idle time, counted from the last turn's end", async () => {
    const t = testStore();
    const first = await t.text();
    const claimed = present((await t.claimTurns())[0]);
    await t.clock.advance(20 * MINUTE);
    await t.reply(claimed, "slow answer");
    await t.clock.advance(20 * MINUTE);
    const second = await t.text();
    expect((await conversationOf(t, second.id)).id).toBe((await conversationOf(t, first.id)).id);
    await t.reply(present((await t.claimTurns())[0]));
    await t.clock.advance(30 * MINUTE + 1);
    const third = await t.text();
    expect((await conversationOf(t, third.id)).id).not.toBe((await conversationOf(t, first.id)).id);
    expect((await conversationOf(t, first.id)).endedAt).toBe(t.clock.now());
  });

  test("is kept open by a turn that runs or waits", async () => {
    const t = testStore();
    const first = await t.text();
    await t.claimTurns();
    await t.clock.advance(120 * MINUTE);
    expect(await t.store.endIdle("sms", 30 * MINUTE, t.clock.now())).toEqual([]);
    const second = await t.text();
    expect((await conversationOf(t, second.id)).id).toBe((await conversationOf(t, first.id)).id);
  });

  test("goes on by a text that begins no turn, unless it is idle; none is opened by one", async () => {
    const t = testStore();
    const goOn = () =>
      t.admit([{ kind: "go_on", key: `sms:${ALICE}`, idleTimeout: 30 * MINUTE, at: t.clock.now() }]);
    await goOn();
    expect((await t.store.conversations({ limit: 5 })).items).toEqual([]);
    const { id } = await t.text();
    await t.reply(present((await t.claimTurns())[0]));
    await t.clock.advance(30 * MINUTE);
    await goOn();
    expect(await conversationOf(t, id)).toMatchObject({ lastAt: t.clock.now(), messages: 1 });
    const lastAt = t.clock.now();
    await t.clock.advance(30 * MINUTE + 1);
    await goOn();
    expect((await conversationOf(t, id)).lastAt).toBe(lastAt);
    const next = await t.text();
    expect((await conversationOf(t, next.id)).id).not.toBe((await conversationOf(t, id)).id);
    await goOn();
    const open = (await t.store.conversations({ open: true, limit: 5 })).items;
    expect(open.map((one) => one.lastAt)).toEqual([t.clock.now()]);
  });

  test("is a fresh one when the channel has another agent, whose turn the texts do not join", async () => {
    const t = testStore();
    const first = await t.text(ALICE, { message: { text: "a" } });
    const second = await t.text(ALICE, { message: { text: "b" }, turn: { agent: "other" } });
    expect((await conversationOf(t, first.id)).endedAt).toBeDefined();
    expect((await conversationOf(t, second.id)).agent).toBe("other");
    const [turn] = await t.claimTurns();
    expect(turn?.turn.agent).toBe("assistant");
    await t.reply(present(turn));
    expect((await t.claimTurns())[0]?.turn.agent).toBe("other");
  });

  test("ends when idle, and is told once", async () => {
    const t = testStore();
    const { id } = await t.text();
    await t.reply(present((await t.claimTurns())[0]));
    await t.clock.advance(30 * MINUTE);
    expect(await t.store.endIdle("sms", 30 * MINUTE, t.clock.now())).toEqual([]);
    await t.clock.advance(1);
    expect(await t.store.endIdle("other", 30 * MINUTE, t.clock.now())).toEqual([]);
    const ended = await t.store.endIdle("sms", 30 * MINUTE, t.clock.now());
    expect(ended).toEqual([await conversationOf(t, id)]);
    expect(ended[0]?.endedAt).toBe(t.clock.now());
    expect(await t.store.endIdle("sms", 30 * MINUTE, t.clock.now())).toEqual([]);
    expect(await t.store.inConversation("sms", ALICE)).toBe(false);
  });

  test("ended by the operator takes its turns along, running ones included, and no others", async () => {
    const t = testStore();
    const first = await t.text(ALICE, { message: { text: "a" } });
    const running = present((await t.claimTurns())[0]);
    await t.text(ALICE, { message: { text: "b" } });
    await t.text(ALICE, { message: { text: "c" }, turn: { agent: "other" } });
    const { id } = await conversationOf(t, first.id);
    const open = present((await t.store.conversations({ open: true, limit: 5 })).items[0]);
    expect(await t.store.endConversation(id, t.clock.now())).toBe(false);
    expect(await t.store.endConversation(open.id, t.clock.now())).toBe(true);
    expect(await t.reply(running, "still mine")).toBe(true);
    expect(await textsOf(t)).toEqual([["b"]]);
    expect(await t.store.endConversation("conv_none", t.clock.now())).toBe(false);
  });
});

describe("a part of a reply that is asked for", () => {
  async function part(wait: number, between: readonly Effect[] = []) {
    const t = testStore();
    const { id } = await t.text();
    const { turn } = present((await t.claimTurns())[0]);
    await t.reply(present({ turn, texts: [] }), "one");
    await t.clock.advance(wait);
    if (between.length > 0) await t.admit(between);
    const outbound = t.outbound({ text: "two", conversationId: turn.conversationId, turnId: turn.id });
    const ifOpen = { key: `sms:${ALICE}`, idleTimeout: 30 * MINUTE, at: t.clock.now() };
    await t.admit([{ kind: "send", outbound, ifOpen }]);
    const said = (await t.store.history(turn.conversationId, 9)).map(({ text }) => text);
    const { messages } = await conversationOf(t, id);
    return { part: present(await t.store.message(outbound.id)), turn, said, messages };
  }

  test("belongs to the reply's conversation and turn while that is open", async () => {
    const asked = await part(30 * MINUTE);
    expect(asked.part).toMatchObject({
      conversationId: asked.turn.conversationId,
      turnId: asked.turn.id,
      state: "pending",
    });
    expect([asked.said, asked.messages]).toEqual([["hello", "one", "two"], 3]);
  });

  test("belongs to none once that is idle or has ended, and is sent all the same", async () => {
    const ended: Effect = { kind: "end_conversation", key: `sms:${ALICE}`, at: 0 };
    for (const asked of [await part(30 * MINUTE + 1), await part(0, [ended])]) {
      expect(asked.part.state).toBe("pending");
      expect([asked.part.conversationId, asked.part.turnId]).toEqual([undefined, undefined]);
      expect([asked.said, asked.messages]).toEqual([["hello", "one"], 2]);
    }
  });
});

describe("history", () => {
  test("is what was said and sent, oldest first, without what still waits", async () => {
    const t = testStore();
    const texts = ["a", "b", "c"];
    for (const text of texts) {
      await t.text(ALICE, { message: { text } });
      await t.reply(present((await t.claimTurns())[0]), `re ${text}`);
    }
    const { id } = await t.text(ALICE, { message: { text: "waiting" } });
    const { id: conversationId } = await conversationOf(t, id);
    const said = async (limit: number) =>
      (await t.store.history(conversationId, limit)).map(({ role, text }) => `${role}: ${text}`);
    expect(await said(40)).toEqual([
      "user: a",
      "assistant: re a",
      "user: b",
      "assistant: re b",
      "user: c",
      "assistant: re c",
    ]);
    expect(await said(3)).toEqual(["assistant: re b", "user: c", "assistant: re c"]);
    expect(await said(0)).toEqual([]);
  });

  test("leaves out what never reached the person", async () => {
    const t = testStore();
    const { id } = await t.text();
    await t.reply(present((await t.claimTurns())[0]), "refused");
    const [send] = await t.claimSends();
    const error = { meaning: "no", fix: "none" };
    await t.store.settleSend({
      messageId: present(send).message.id,
      attempt: 1,
      outcome: { kind: "refused", error, optedOut: false },
      at: t.clock.now(),
    });
    const { id: conversationId } = await conversationOf(t, id);
    expect((await t.store.history(conversationId, 10)).map(({ text }) => text)).toEqual(["hello"]);
  });
});
