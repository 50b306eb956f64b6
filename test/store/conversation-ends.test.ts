import { describe, expect, test } from "bun:test";
import { createConversationEnds } from "../../src/conversation-ends.ts";
import type { Settings } from "../../src/settings.ts";
import { createSqliteStore } from "../../src/store/sqlite-store.ts";
import type { ClaimedTurn } from "../../src/turn.ts";
import { afterTest } from "../support/cleanup.ts";
import { manualClock, syncAtOnce } from "../support/clock.ts";
import { ALICE, BOB, closeLater, freshDatabase, present, quiet, testStore } from "./support.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** A store whose conversations are ended; `idleTimeouts` by channel. */
function house(idleTimeouts: Readonly<Record<string, number>>) {
  const client = freshDatabase();
  const clock = manualClock();
  const t = testStore(client, clock);
  let commits = 0;
  const store = closeLater(
    createSqliteStore(client, {
      clock,
      log: quiet,
      syncFile(descriptor, done) {
        commits += 1;
        syncAtOnce(descriptor, done);
      },
    }),
  );
  const looks: number[] = [];
  const channels = Object.entries(idleTimeouts).map(([id, idleTimeout]) => [id, { id, idleTimeout }]);
  // Of the settings, only these count here.
  const settings = { channels: Object.fromEntries(channels) } as unknown as Settings;
  const ends = createConversationEnds({ settings: () => settings, store, clock, log: quiet });
  let stopped = false;
  afterTest(() => {
    stopped = true;
  });
  const lookAgain = (delay: number) =>
    clock.after(delay, async () => {
      if (stopped) return;
      looks.push(clock.now());
      lookAgain(await ends.end());
    });
  lookAgain(ends.first());
  /** In steps, since a commit takes a few turns of the event loop, in which this clock stands still. */
  const pass = async (ms: number) => {
    for (const until = clock.now() + ms; clock.now() < until; )
      await clock.advance(Math.min(until - clock.now(), ms > MINUTE ? SECOND : 100));
  };
  /** When each conversation has ended, ms after it went on for the last time; undefined while it is open. */
  const ended = async (channel?: string) => {
    const { items } = await t.store.conversations({ limit: 100, ...(channel && { channel }) });
    return items.map(({ endedAt, lastAt }) => (endedAt === undefined ? undefined : endedAt - lastAt));
  };
  const claim = async (channel = "sms"): Promise<ClaimedTurn> =>
    present((await t.claimTurns(1, [channel]))[0]);
  const answered = async (from = ALICE, channel = "sms") => {
    await t.text(from, { message: { channel } });
    await t.reply(await claim(channel), "re");
  };
  return { t, client, clock, pass, looks, ended, claim, answered, commits: () => commits };
}

describe("an idle conversation", () => {
  test("ends when idle_timeout is over, at most a second later, whenever it began", async () => {
    const { pass, ended, answered, t } = house({ sms: 2 * SECOND });
    for (const pause of [0, 700, 1_300, 12_345]) {
      await pass(pause);
      await answered();
      await pass(2 * SECOND);
      expect((await ended())[0]).toBeUndefined();
      await pass(SECOND + 100);
      expect((await ended())[0]).toBeWithin(2 * SECOND + 1, 3 * SECOND + 200);
    }
    await answered(BOB);
    await pass(1_500);
    await answered(BOB);
    await pass(1_500);
    expect((await t.store.conversations({ open: true, limit: 9 })).items).toHaveLength(1);
  });

  test("ends by the idle_timeout of its own channel", async () => {
    const { pass, ended, answered } = house({ sms: 5 * SECOND, other: 10 * MINUTE });
    await answered();
    await answered(BOB, "other");
    await pass(9 * MINUTE);
    expect((await ended("sms"))[0]).toBeWithin(5 * SECOND + 1, 6 * SECOND + 200);
    expect(await ended("other")).toEqual([undefined]);
    await pass(2 * MINUTE);
    expect((await ended("other"))[0]).toBeWithin(10 * MINUTE + 1, 10 * MINUTE + 3 * SECOND);
  });

  test("that a turn kept open ends when idle_timeout is over after that turn", async () => {
    const { t, pass, ended, claim } = house({ sms: 2 * SECOND });
    await t.text();
    const turn = await claim();
    await pass(45 * SECOND);
    expect(await ended()).toEqual([undefined]);
    await t.reply(turn, "at last");
    await pass(3 * SECOND + 100);
    expect((await ended())[0]).toBeWithin(2 * SECOND + 1, 3 * SECOND + 200);
  });

  test("ends within half a minute where its turn was cancelled, which is no activity", async () => {
    const { t, clock, pass, ended, claim } = house({ sms: 2 * SECOND });
    await t.text();
    await claim();
    await pass(45 * SECOND);
    await t.admit([{ kind: "cancel_turns", key: `sms:${ALICE}`, at: clock.now(), reason: "STOP" }]);
    await pass(30 * SECOND);
    expect(await ended()).toEqual([expect.any(Number)]);
  });

  test("ends soon also where thousands do", async () => {
    const { client, clock, pass, ended, t } = house({ sms: MINUTE });
    const insert = client.prepare(
      "INSERT INTO conversations (id, key, channel, address, agent, started_at, last_at, messages) VALUES (?, ?, 'sms', ?, 'a', ?, ?, 1)",
    );
    client.transaction(() => {
      for (let i = 0; i < 2_200; i++)
        insert.run(`conv_${i}`, `sms:${i}`, `${i}`, clock.now() + i, clock.now() + i);
    })();
    await pass(MINUTE + 10 * SECOND);
    expect((await t.store.conversations({ open: true, limit: 9 })).items).toEqual([]);
    expect(await ended()).not.toContain(undefined);
  });
});

test("nothing is written while nothing is to end, and with a long idle_timeout one look is half a minute from the next", async () => {
  const { t, pass, commits, looks, answered, claim } = house({ sms: 30 * MINUTE, other: 2 * SECOND });
  await answered();
  await t.text(BOB, { message: { channel: "other" } });
  await claim("other"); // runs all the time
  await pass(10 * MINUTE);
  expect(commits()).toBe(0);
  const pauses = looks.slice(1).map((at, i) => at - (looks[i] ?? 0));
  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(SECOND);

  const long = house({ sms: 30 * MINUTE });
  await long.answered();
  await long.pass(20 * MINUTE);
  expect(long.looks).toHaveLength(40);
  expect(long.commits()).toBe(0);
  await long.pass(20 * MINUTE);
  expect(long.commits()).toBe(1);
});
