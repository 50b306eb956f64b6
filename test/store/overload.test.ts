import { describe, expect, test } from "bun:test";
import { MAX_TURN_TEXTS } from "../../src/turn.ts";
import { ALICE, present, testStore, textsOf } from "./support.ts";

const FLOOD = { perMinute: 1_000, debounce: 1_000 };
const OTHERS = Array.from({ length: 5 }, (_, i) => `+1555222000${i}`);

describe("a sender who texts far more than the agent can take", () => {
  test("has each twenty texts become a turn, in order, and none left out", async () => {
    const t = testStore();
    const bodies = Array.from({ length: 2 * MAX_TURN_TEXTS + 5 }, (_, i) => `${i}`);
    for (const body of bodies) await t.text(ALICE, { message: { text: body }, turn: FLOOD });
    await t.clock.advance(5_000);
    const turns: string[][] = [];
    for (let i = 0; i < 3; i++) {
      const [claimed, ...more] = await t.claimTurns();
      expect(more).toEqual([]);
      turns.push(present(claimed).texts.map(({ text }) => text));
      await t.reply(present(claimed));
    }
    expect(turns.map(({ length }) => length)).toEqual([MAX_TURN_TEXTS, MAX_TURN_TEXTS, 5]);
    expect(turns.flat()).toEqual(bodies);
    expect(await t.claimTurns()).toEqual([]);
  });

  test("goes to the end of the line after each turn, behind whoever has come meanwhile", async () => {
    const t = testStore();
    for (let i = 0; i < 10 * MAX_TURN_TEXTS; i++) await t.text(ALICE, { turn: FLOOD });
    for (const other of OTHERS) {
      await t.clock.advance(10);
      await t.text(other, { turn: FLOOD });
    }
    await t.clock.advance(5_000);
    const served: string[] = [];
    for (let i = 0; i < 10 + OTHERS.length; i++) {
      const claimed = present((await t.claimTurns(1))[0]);
      served.push(claimed.turn.address);
      await t.clock.advance(500);
      await t.reply(claimed);
    }
    expect(served.slice(0, 1 + OTHERS.length).sort()).toEqual([ALICE, ...OTHERS].sort());
    expect(served.slice(1 + OTHERS.length)).toEqual(Array(9).fill(ALICE));
  });

  test("starts no more turns in a minute than the limit, however many are waiting", async () => {
    const t = testStore();
    for (let i = 0; i < 9 * MAX_TURN_TEXTS; i++) await t.text(ALICE, { turn: { perMinute: 3 } });
    const starts: number[] = [];
    for (let minute = 0; minute < 3; minute++) {
      let started = 0;
      for (let [claimed] = await t.claimTurns(); claimed !== undefined; [claimed] = await t.claimTurns()) {
        started += 1;
        await t.reply(claimed);
      }
      starts.push(started);
      await t.clock.advance(60_000);
    }
    expect(starts).toEqual([3, 3, 3]);
    expect(await textsOf(t)).toEqual([]);
  });
});
