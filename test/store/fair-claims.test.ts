import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { mayTakeSlot, slotsLeftFor, TURN_SLOTS } from "../../src/turn-slots.ts";
import { present, type TestStore, testStore } from "./support.ts";

let people = 0;
const somebody = () => `+1555${4_000_000 + ++people}`;

/** One text each of so many people for an agent, a millisecond apart. */
async function wait(t: TestStore, agent: string, texts: number, channel = "sms"): Promise<void> {
  for (let i = 0; i < texts; i++) {
    await t.text(somebody(), { message: { channel }, turn: { agent, channel } });
    await t.clock.advance(1);
  }
}

async function claim(t: TestStore, limit: number, held: readonly (readonly [string, number])[] = []) {
  const now = t.clock.now();
  const claimed = await t.store.claimTurns({
    now,
    lease: 60_000,
    limit,
    channels: ["sms", "other"],
    held: new Map(held),
  });
  return claimed.map(({ turn }) => turn.agent);
}

const count = (agents: readonly string[], agent: string) => agents.filter((one) => one === agent).length;

describe("turns of several agents", () => {
  test("one agent is given half of the free slots, in the order of waiting, and the rest stay free for others", async () => {
    const t = testStore();
    await wait(t, "busy", 40);
    await wait(t, "late", 1);
    expect(await claim(t, 32)).toEqual([...Array(16).fill("busy"), "late"]);
    expect(await claim(t, 15, [["busy", 16]])).toEqual([]);
    expect(await claim(t, 32)).toEqual(Array(16).fill("busy"));
  });

  test("also where they share a channel, and where one agent waits in two channels", async () => {
    const t = testStore();
    await wait(t, "busy", 10);
    await wait(t, "busy", 10, "other");
    await wait(t, "late", 3);
    const agents = await claim(t, 8);
    expect([count(agents, "busy"), count(agents, "late")]).toEqual([4, 2]);
  });

  test("both busy all the time, they come to hold equally many", async () => {
    const t = testStore();
    await wait(t, "first", 60);
    await wait(t, "second", 60);
    const slots = 30;
    let held = new Map<string, number>();
    for (let round = 0; round < 30; round++) {
      const free = slots - [...held.values()].reduce((sum, own) => sum + own, 0);
      for (const agent of await claim(t, free, [...held])) held.set(agent, (held.get(agent) ?? 0) + 1);
      if (round === 29) break;
      // One turn of each ends.
      held = new Map([...held].map(([agent, own]) => [agent, own - 1]));
    }
    expect(Math.abs((held.get("first") ?? 0) - (held.get("second") ?? 0))).toBeLessThanOrEqual(1);
  });

  test("a turn that may have crashed the service is not kept waiting by an agent that hangs", async () => {
    const t = testStore();
    await wait(t, "busy", 1);
    for (let crashes = 0; crashes < 2; crashes++) {
      present((await t.claimTurns())[0]);
      await t.store.recover(t.clock.now());
    }
    expect(await claim(t, 2, [["busy", 60]])).toEqual(["busy"]);
  });

  test("the next turn to come is told without those of agents that can take none", async () => {
    const t = testStore();
    await wait(t, "busy", 2);
    const at = t.clock.now();
    await t.text(somebody(), { turn: { agent: "late", debounce: 1_000 } });
    expect(await t.store.nextTurnDue(["sms"])).toBeLessThan(at);
    expect(await t.store.nextTurnDue(["sms"], ["busy"])).toBe(at + 1_000);
    expect(await t.store.nextTurnDue(["sms"], ["busy", "late"])).toBeUndefined();
  });

  test("seven that hang one after the other leave a slot, eight none", () => {
    let free = TURN_SLOTS;
    const left = Array.from({ length: 8 }, () => {
      free -= slotsLeftFor(0, free);
      return free;
    });
    expect(left).toEqual([64, 32, 16, 8, 4, 2, 1, 0]);
  });

  test("whoever has taken all it may, slot by slot, has left as many as it holds, but for one", () => {
    fc.assert(
      fc.property(fc.nat(TURN_SLOTS), fc.nat(TURN_SLOTS), (held, free) => {
        let [own, left] = [held, free];
        while (mayTakeSlot(own, left)) [own, left] = [own + 1, left - 1];
        expect(own - held).toBe(slotsLeftFor(held, free));
        if (own > held) expect(left).toBeGreaterThanOrEqual(own - 1);
      }),
    );
  });
});
