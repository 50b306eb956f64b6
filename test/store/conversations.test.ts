import { describe, expect, test } from "bun:test";
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
