import { describe, expect, test } from "bun:test";
import { MAX_TURN_CRASHES } from "../../src/turn.ts";
import { ALICE, BOB, present, type TestStore, testStore, textsOf } from "./support.ts";

const ERROR = { meaning: "it died", fix: "nothing" };
const GATHER = { turn: { debounce: 1_000 } };

/** A running turn that has gathered these texts; answers their ids. */
async function gathered(t: TestStore, ...bodies: readonly string[]) {
  const ids: string[] = [];
  for (const text of bodies) ids.push((await t.text(ALICE, { message: { text }, ...GATHER })).id);
  await t.clock.advance(5_000);
  const { turn } = present((await t.claimTurns())[0]);
  return { turn, ids };
}

function split(t: TestStore, turnId: string, ids: readonly string[], crashes = MAX_TURN_CRASHES - 2) {
  return t.store.splitTurn({
    turnId,
    parts: ids.map((messageId) => ({ messageId, turnId: t.newId("turn") })),
    crashes,
    error: ERROR,
    rerouted: [],
    at: t.clock.now(),
  });
}

/** Answers what is due until nothing is; the texts of each turn. */
async function answered(t: TestStore): Promise<readonly string[][]> {
  const all: string[][] = [];
  for (;;) {
    const claimed = await t.claimTurns();
    if (claimed.length === 0) return all;
    for (const one of claimed) {
      all.push(one.texts.map(({ text }) => text));
      await t.reply(one, "fine");
    }
    await t.clock.advance(2_000);
  }
}

describe("a turn that is split", () => {
  test("gives each of its texts a turn, in order, before what was texted since, and no text joins them", async () => {
    const t = testStore();
    const { turn, ids } = await gathered(t, "one", "two", "three");
    await t.text(ALICE, { message: { text: "since" }, ...GATHER });
    expect(await split(t, turn.id, ids)).toBe(true);
    await t.text(ALICE, { message: { text: "later" }, ...GATHER });
    expect(await answered(t)).toEqual([["one"], ["two"], ["three"], ["since", "later"]]);
    for (const id of ids) expect(await t.stateOf(id)).toBe("handled");
    expect(await t.store.turn(turn.id)).toMatchObject({ state: "failed", error: ERROR });
  });

  test("names itself to the new turns, which begin with the crashes they are given and run one at a time", async () => {
    const t = testStore();
    const { turn, ids } = await gathered(t, "one", "two");
    await split(t, turn.id, ids);
    await t.text(BOB);
    const claimed = await t.claimTurns();
    expect(claimed.map(({ texts }) => texts.map(({ text }) => text))).toEqual([["one"], ["hello"]]);
    expect(claimed[0]?.turn).toMatchObject({ crashes: MAX_TURN_CRASHES - 2, attempt: 1, splitFrom: turn.id });
    expect(claimed[1]?.turn.splitFrom).toBeUndefined();
  });

  test("keeps its texts in their conversation, each counted once, and open", async () => {
    const t = testStore();
    const { turn, ids } = await gathered(t, "one", "two");
    const before = present(await t.store.conversation(turn.conversationId)).messages;
    await split(t, turn.id, ids);
    expect(present(await t.store.conversation(turn.conversationId)).messages).toBe(before);
    const [next] = await t.claimTurns();
    expect(next?.turn.conversationId).toBe(turn.conversationId);
  });

  test("is not split again once it has ended, nor takes texts of others with it", async () => {
    const t = testStore();
    const { turn, ids } = await gathered(t, "one", "two");
    const bob = await t.text(BOB, { message: { text: "of bob" } });
    expect(await split(t, turn.id, [...ids, bob.id])).toBe(true);
    expect(await split(t, turn.id, ids)).toBe(false);
    const texts = (await answered(t)).flat();
    expect(texts.toSorted()).toEqual(["of bob", "one", "two"]);
  });

  test("with a text that is denied by now lets that one go, and runs the others", async () => {
    const t = testStore();
    const { turn, ids } = await gathered(t, "one", "denied", "three");
    const [one, denied, three] = ids.map((id) => present(id));
    await t.store.splitTurn({
      turnId: turn.id,
      parts: [one, three].map((messageId) => ({ messageId: present(messageId), turnId: t.newId("turn") })),
      crashes: 3,
      error: ERROR,
      rerouted: [{ messageId: present(denied), route: "dropped", keepText: false, policies: [] }],
      at: t.clock.now(),
    });
    expect(await answered(t)).toEqual([["one"], ["three"]]);
    expect(await t.stateOf(present(denied))).toBe("dropped");
  });

  test("leaves a text that kills the service alone to be set aside, and the next one is told nothing of it", async () => {
    const t = testStore();
    const { turn, ids } = await gathered(t, "poison", "fine");
    await split(t, turn.id, ids);
    for (let tries = 0; tries < 2; tries++) {
      expect(await textsOf(t)).toEqual([["poison"]]);
      await t.store.recover(t.clock.now());
    }
    const { turn: last } = present((await t.claimTurns())[0]);
    expect(last.crashes).toBe(MAX_TURN_CRASHES);
    await t.store.finishTurn({
      turnId: last.id,
      end: { kind: "failed", error: ERROR },
      replies: [],
      held: "keep",
      rerouted: [],
      at: t.clock.now(),
    });
    expect(await textsOf(t)).toEqual([["fine"]]);
    expect(await t.store.history(last.conversationId, 10)).toEqual([]);
  });
});
