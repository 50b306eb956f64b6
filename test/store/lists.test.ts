import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Message } from "../../src/message.ts";
import type { MessageQuery, Page } from "../../src/store.ts";
import { manualClock } from "../support/clock.ts";
import { ALICE, BOB, freshDatabase, present, refusal, type TestStore, testStore } from "./support.ts";

/** All pages of a list, with a check that none is larger than asked for. */
async function all<T>(
  limit: number,
  page: (cursor: string | undefined) => Promise<Page<T>>,
): Promise<readonly T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 200; pages++) {
    const found = await page(cursor);
    expect(found.items.length).toBeLessThanOrEqual(limit);
    items.push(...found.items);
    if (found.nextCursor === undefined) return items;
    cursor = found.nextCursor;
  }
  throw new Error("the list does not end");
}

function allMessages(t: TestStore, query: Omit<MessageQuery, "cursor">): Promise<readonly Message[]> {
  return all(query.limit, (cursor) =>
    t.store.messages({ ...query, ...(cursor === undefined ? {} : { cursor }) }),
  );
}

async function filled(): Promise<TestStore> {
  const t = testStore();
  for (let i = 0; i < 12; i++) {
    const from = i % 3 === 0 ? BOB : ALICE;
    const channel = i % 4 === 0 ? "other" : "sms";
    await t.text(from, { message: { channel } });
    if (i % 2 === 0) {
      const [turn] = await t.claimTurns(1, ["sms", "other"]);
      if (turn !== undefined) await t.reply(turn, "re");
    }
    if (i % 5 === 0) await t.admit([], { route: "signal", state: "received", from: "22000" });
    await t.clock.advance(1_000);
  }
  return t;
}

const FILTERS = {
  channel: ["sms", "other", "none"],
  direction: ["inbound", "outbound"],
  state: ["queued", "handled", "received", "pending", "delivered"],
  route: ["message", "signal", "dropped"],
  address: [ALICE, BOB, "22000", "+15550000001", "+15559999999"],
} as const;

function matches(message: Message, query: Omit<MessageQuery, "limit">): boolean {
  return (
    (query.channel === undefined || message.channel === query.channel) &&
    (query.direction === undefined || message.direction === query.direction) &&
    (query.state === undefined || message.state === query.state) &&
    (query.route === undefined || message.route === query.route) &&
    (query.conversationId === undefined || message.conversationId === query.conversationId) &&
    (query.address === undefined || message.from === query.address || message.to === query.address)
  );
}

describe("the list of messages", () => {
  test("is newest first, and every combination of filters gives exactly what passes it, in pages", async () => {
    const t = await filled();
    const everything = await allMessages(t, { limit: 500 });
    expect(everything.length).toBeGreaterThan(18);
    const newestFirst = [...everything].sort((a, b) => (a.id < b.id ? 1 : -1));
    expect(everything.map(({ id }) => id)).toEqual(newestFirst.map(({ id }) => id));
    const conversations = everything.flatMap(({ conversationId }) => conversationId ?? []);
    const some = <T>(...values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
    const query = fc.record({
      channel: some(...FILTERS.channel),
      direction: some(...FILTERS.direction),
      state: some(...FILTERS.state),
      route: some(...FILTERS.route),
      address: some(...FILTERS.address),
      conversationId: some(...conversations),
      limit: fc.integer({ min: 1, max: 9 }),
    });
    await fc.assert(
      fc.asyncProperty(query, async ({ limit, ...wide }) => {
        const filters = Object.fromEntries(Object.entries(wide).filter(([, value]) => value !== undefined));
        const found = await allMessages(t, { ...filters, limit });
        const expected = everything.filter((message) => matches(message, filters));
        expect(found).toEqual(expected);
      }),
      { numRuns: 150 },
    );
  });

  test("goes on where it was when messages come in between", async () => {
    const t = await filled();
    const before = await allMessages(t, { limit: 500 });
    const first = await t.store.messages({ limit: 5 });
    await t.text();
    const rest = await all(5, (cursor) =>
      t.store.messages({ limit: 5, cursor: cursor ?? present(first.nextCursor) }),
    );
    expect([...first.items, ...rest].map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  });

  test("refuses a cursor that is not its own, naming the field", async () => {
    const t = await filled();
    const conversations = await t.store.conversations({ limit: 1 });
    for (const cursor of [
      "",
      "x",
      "m",
      "m.",
      "m.1.2",
      "m.-1",
      "m.zzzzzzzzzzzz",
      present(conversations.nextCursor),
    ]) {
      const error = await refusal(t.store.messages({ limit: 5, cursor }));
      expect([error.code, error.problems[0]?.path]).toEqual(["invalid", "cursor"]);
    }
    const { nextCursor } = await t.store.messages({ limit: 1 });
    expect((await refusal(t.store.conversations({ limit: 1, cursor: present(nextCursor) }))).code).toBe(
      "invalid",
    );
  });

  test("looks at a bounded number of rows, and still finds everything over its pages", async () => {
    const client = freshDatabase();
    const insert = client.prepare(`INSERT INTO messages
      (id, channel, direction, from_address, to_address, state, late, created_at)
      VALUES (?, ?, 'outbound', ?, ?, ?, 0, 1)`);
    client.exec("BEGIN");
    for (let i = 0; i < 25_000; i++) {
      // Both conditions are common, and meet in three rows only.
      const both = i === 3 || i === 2_000 || i === 24_000;
      const [channel, state] = both ? ["sms", "failed"] : i % 2 === 0 ? ["sms", "sent"] : ["other", "failed"];
      insert.run(`msg_${i}`, channel, "+15550000001", ALICE, state);
    }
    client.exec("COMMIT");
    const t = testStore(client);
    const found = await allMessages(t, { channel: "sms", state: "failed", limit: 2 });
    expect(found.map(({ id }) => id)).toEqual(["msg_24000", "msg_2000", "msg_3"]);
    const both = await allMessages(t, { channel: "sms", state: "failed", address: ALICE, limit: 2 });
    expect(both.map(({ id }) => id)).toEqual(["msg_24000", "msg_2000", "msg_3"]);
    const first = await t.store.messages({ channel: "sms", state: "failed", limit: 2 });
    expect(first.items.map(({ id }) => id)).toEqual(["msg_24000"]);
    expect(first.nextCursor).toBeDefined();
    // A condition that few rows pass is found at once, however common the other one is.
    insert.run("msg_rare", "rare", "+15550000001", ALICE, "sent");
    for (const query of [
      { channel: "rare", state: "sent" },
      { channel: "rare", address: ALICE },
    ]) {
      const page = await t.store.messages({ ...query, limit: 2 });
      expect([page.items.map(({ id }) => id), page.nextCursor]).toEqual([["msg_rare"], undefined]);
    }
    // So is one that some hundred rows pass, of which none passes the other.
    for (let i = 0; i < 300; i++)
      insert.run(`msg_few_${i}`, i === 0 ? "sms" : "few", "+15550000001", ALICE, i === 0 ? "sent" : "read");
    const few = await t.store.messages({ channel: "few", state: "sent", limit: 2 });
    expect([few.items, few.nextCursor]).toEqual([[], undefined]);
  });

  test("has no message of an id that is not there", async () => {
    const t = testStore();
    expect(await t.store.message("msg_none")).toBeUndefined();
    expect(await t.store.conversation("conv_none")).toBeUndefined();
  });
});

describe("the list of conversations", () => {
  test("is by latest activity, filtered and paged", async () => {
    const t = await filled();
    const list = (query: { readonly channel?: string; readonly open?: boolean }, limit = 2) =>
      all(limit, (cursor) =>
        t.store.conversations({ ...query, limit, ...(cursor === undefined ? {} : { cursor }) }),
      );
    await t.store.endConversation(present((await list({}))[1]).id, t.clock.now());
    const everything = await list({}, 500);
    expect(everything).toHaveLength(4);
    expect(everything.map(({ lastAt }) => lastAt)).toEqual(
      everything
        .map(({ lastAt }) => lastAt)
        .sort()
        .reverse(),
    );
    for (const channel of [undefined, "sms", "other"]) {
      for (const open of [undefined, true, false]) {
        const query = {
          ...(channel === undefined ? {} : { channel }),
          ...(open === undefined ? {} : { open }),
        };
        const expected = everything.filter(
          (one) =>
            (channel === undefined || one.channel === channel) &&
            (open === undefined || (one.endedAt === undefined) === open),
        );
        expect(await list(query)).toEqual(expected);
      }
    }
  });
});

describe("queries", () => {
  /** What reads a whole table or index, or sorts. */
  const COSTLY = /^SCAN (?!looked|some)|USE TEMP B-TREE|turns_sender \(channel=\?\)$/;
  /** Small by nature: what has not ended, is running or under way; what the operator has configured. */
  const SMALL =
    /^SCAN (turns USING (COVERING )?INDEX turns_(active|lease|running)|outbox USING (COVERING )?INDEX outbox_(until|age)|doubts USING INDEX doubts_(untold|due)|judgements( USING COVERING INDEX judgements_message)?|pragma_page_(count|size) VIRTUAL TABLE INDEX 0:|webhooks|tokens|json_each VIRTUAL TABLE INDEX 1:)$/;
  /** Sorted because there are few of them: the open turns of one key, what one watch caught. */
  const FEW = /"turns"."key" = \+\?|"watch_signals"."watch" = \+\?/;

  test("never scan or sort a table, for any filter of any list and any claim", async () => {
    const client = freshDatabase();
    const prepared = new Set<string>();
    const prepare = client.prepare.bind(client);
    Object.assign(client, {
      prepare: (source: string) => {
        prepared.add(source);
        return prepare(source);
      },
    });
    const t = testStore(client, manualClock());
    const values = { channel: "a", direction: "inbound", state: "b", route: "signal", address: "c" } as const;
    const keys = [...Object.keys(values), "conversationId"];
    for (let set = 0; set < 2 ** keys.length; set++) {
      const query = Object.entries({ ...values, conversationId: "d" }).filter(
        (_, i) => ((set >> i) & 1) === 1,
      );
      await t.store.messages({ ...Object.fromEntries(query), limit: 5 });
    }
    for (const channel of [{}, { channel: "a" }]) {
      for (const open of [{}, { open: true }, { open: false }])
        await t.store.conversations({ ...channel, ...open, limit: 5 });
    }
    expect(prepared.size).toBeGreaterThan(150);
    const costly: string[] = [];
    for (const source of prepared) {
      if (!/^(select|insert|update|delete)/.test(source)) continue;
      const plan = client.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${source}`);
      const parameters = Array(source.split("?").length - 1).fill(1);
      for (const { detail } of plan.all(...parameters)) {
        const few = detail.startsWith("USE TEMP") && FEW.test(source);
        if (COSTLY.test(detail) && !SMALL.test(detail) && !few) costly.push(`${detail}: ${source}`);
      }
    }
    expect(costly).toEqual([]);
  });
});
