import { describe, expect, test } from "bun:test";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { purgeBefore } from "../../src/retention.ts";
import { createRetention } from "../../src/store/retention.ts";
import { ALICE, BOB, freshDatabase, present, type TestStore, testStore } from "./support.ts";

const DAY = 24 * 3_600_000;

/** Purges to the end; answers the steps it took. */
async function purge(t: TestStore, messages = 90 * DAY, denied = 7 * DAY): Promise<number> {
  const now = t.clock.now();
  for (let steps = 1; steps < 1_000; steps++)
    if (!(await t.store.purge({ messages: now - messages, denied: now - denied }))) return steps;
  throw new Error("it never ends");
}

function rows(t: TestStore, table: string): number {
  return present(t.client.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get());
}

async function exchange(t: TestStore, from = ALICE): Promise<void> {
  await t.text(from);
  const [claimed] = await t.claimTurns();
  const { turn } = present(claimed);
  const step = { kind: "step", step: 1, content: "secret" } as const;
  await t.store.appendJournal(turn.id, [step]);
  await t.reply(present(claimed), "an answer");
  const [send] = await t.claimSends();
  await t.accepted(present(send), `SM-out-${t.newId("msg")}`);
}

const TABLES = ["messages", "message_events", "raw_parameters", "turns", "turn_journal", "conversations"];

describe("retention of messages", () => {
  test("removes an old exchange whole: texts, events, parameters, turn, journal, conversation", async () => {
    const t = testStore();
    await exchange(t);
    const conversation = present((await t.store.conversations({ limit: 5 })).items[0]);
    await t.store.endConversation(conversation.id, t.clock.now());
    await t.clock.advance(90 * DAY);
    await purge(t);
    expect(rows(t, "messages")).toBe(2);
    await t.clock.advance(1);
    await purge(t);
    expect(Object.fromEntries(TABLES.map((table) => [table, rows(t, table)]))).toEqual(
      Object.fromEntries(TABLES.map((table) => [table, 0])),
    );
    expect(rows(t, "attempts")).toBe(0);
    expect(t.client.pragma("foreign_key_check")).toEqual([]);
  });

  test("keeps what is young, and the conversation and turn of what is kept", async () => {
    const t = testStore();
    await exchange(t, ALICE);
    await t.clock.advance(60 * DAY);
    await exchange(t, BOB);
    await t.clock.advance(40 * DAY);
    await purge(t);
    const { items } = await t.store.messages({ limit: 10 });
    expect(items.map(({ direction, from, to }) => (direction === "inbound" ? from : to))).toEqual([BOB, BOB]);
    expect((await t.store.conversations({ limit: 5 })).items.map(({ address }) => address)).toEqual([BOB]);
    expect(rows(t, "turns")).toBe(1);
  });

  test("never takes a text out of a turn that still runs or waits, nor a send out of the queue", async () => {
    const t = testStore();
    const { id } = await t.text(ALICE);
    const pending = t.outbound({ to: BOB });
    await t.store.enqueue(pending);
    for (let i = 0; i < 250; i++) await t.admit([], { createdAt: t.clock.now() });
    await t.clock.advance(100 * DAY);
    await purge(t);
    expect(rows(t, "messages")).toBe(2);
    expect(await t.stateOf(id)).toBe("queued");
    expect(await t.stateOf(pending.id)).toBe("pending");
    expect((await t.claimTurns())[0]?.texts).toHaveLength(1);
  });

  test("goes in small steps, so that a backlog stalls nobody", async () => {
    const t = testStore();
    for (let i = 0; i < 1_000; i++) t.admit([]).catch(() => {});
    await t.admit([]);
    await t.clock.advance(91 * DAY);
    const now = t.clock.now();
    expect(await t.store.purge({ messages: now - 90 * DAY, denied: now })).toBe(true);
    expect(rows(t, "messages")).toBeGreaterThanOrEqual(801);
    await purge(t);
    expect(rows(t, "messages")).toBe(0);
  });

  test("keeps its steps short whatever a row costs, and each gets something done", () => {
    const client = freshDatabase();
    const insert = client.prepare(`INSERT INTO messages
      (id, channel, direction, from_address, to_address, state, late, created_at)
      VALUES (?, 'sms', 'inbound', '+15551111111', '+15550000001', 'handled', 0, 1)`);
    for (let i = 0; i < 40; i++) insert.run(`msg_${i}`);
    let now = 0;
    // Every look at the clock takes three of the four milliseconds of a step.
    const step = createRetention(drizzle({ client }), {
      onErased() {},
      time: () => {
        now += 3;
        return now;
      },
    });
    const left = () => client.prepare("SELECT count(*) FROM messages").pluck().get();
    const seen = [left()];
    while (step({ messages: 2, denied: 2 })) seen.push(left());
    expect(left()).toBe(0);
    for (const [index, count] of seen.entries()) {
      if (index > 0) expect(Number(seen[index - 1]) - Number(count)).toBeLessThanOrEqual(2);
    }
    expect(seen.length).toBeGreaterThanOrEqual(20);
    client.close();
  });

  test("leaves opt-outs and pairings alone", async () => {
    const t = testStore();
    await t.admit([{ kind: "opt_out", channel: "sms", address: BOB, at: t.clock.now() }]);
    await t.clock.advance(400 * DAY);
    await purge(t);
    expect(await t.store.optedOut("sms", BOB)).toBe(true);
  });
});

describe("retention of denied texts", () => {
  test("removes what is left of them earlier than other texts, signals of known senders excepted", async () => {
    const t = testStore();
    const denied = { from: "+1555***4567", state: "dropped" } as const;
    await t.admit([], { ...denied, route: "dropped" });
    await t.admit([], { ...denied, route: "signal", state: "received" });
    await t.admit([], { from: "22000", route: "signal", state: "received" });
    await t.admit([], { from: ALICE });
    await t.clock.advance(7 * DAY + 1);
    await purge(t);
    const { items } = await t.store.messages({ limit: 10 });
    expect(items.map(({ from }) => from)).toEqual([ALICE, "22000"]);
  });
});

test("nothing goes while the carrier still lists it: it would be taken for a missed text and answered again", () => {
  const settings = {
    retention: { messages: 3_600_000, denied: 0, codes: 0 },
    channels: { sms: { catchUp: DAY } },
  };
  const now = 1_000 * DAY;
  // The settings of a channel are many; only one of them counts here.
  const before = purgeBefore(settings as unknown as Parameters<typeof purgeBefore>[0], now);
  expect(before.messages).toBeLessThan(now - DAY);
  expect(before.denied).toBeLessThan(now - DAY);
});
