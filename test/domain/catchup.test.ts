import { expect, test } from "bun:test";
import type { Carrier, InboundList } from "../../src/carrier.ts";
import { type CatchUpSeams, followList } from "../../src/catchup.ts";
import type { ChannelSettings } from "../../src/settings.ts";
import { manualClock } from "../support/clock.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const CATCH_UP = 24 * HOUR;

/** How far back each look goes, minutes, with when it began, minutes from the start. */
async function looks(
  listed: number | "unreachable" | "unfinished",
  over: Partial<ChannelSettings> = {},
  minutes = 70,
): Promise<readonly (readonly [at: number, back: number])[]> {
  const clock = manualClock();
  const start = clock.now();
  const seen: (readonly [number, number])[] = [];
  const listInbound = async (since: number): Promise<InboundList> => {
    seen.push([(clock.now() - start) / MINUTE, (clock.now() - since) / MINUTE]);
    return listed === "unreachable"
      ? { kind: "unreachable", reason: "a test" }
      : {
          kind: "ok",
          items: [],
          listed: listed === "unfinished" ? 1 : listed,
          unfinished: listed === "unfinished",
        };
  };
  const carrier: Partial<Carrier> = { listInbound };
  const seams = {
    carrier: () => carrier as Carrier,
    admit: async () => {},
    record: async () => {},
    store: {
      knownSids: async () => new Set<string>(),
      openDeliveries: async () => [],
      restoredAt: async () => undefined,
    },
    clock,
    log: { debug() {}, info() {}, warn() {}, error() {} },
  } satisfies CatchUpSeams;
  const channel = { id: "sms", inbound: "webhook", catchUp: CATCH_UP, pollInterval: MINUTE, ...over };
  const abort = new AbortController();
  const followed = followList(channel as ChannelSettings, abort.signal, seams);
  for (let minute = 0; minute < minutes; minute++) await clock.advance(MINUTE);
  abort.abort();
  await followed;
  return seen;
}

const WHOLE = CATCH_UP / MINUTE;

test("the whole window is looked at every five minutes while its list is at most 1,000 messages long", async () => {
  const whole = Array.from({ length: 14 }, (_, look) => [look * 5, WHOLE] as const);
  expect((await looks(1_000)).slice(0, 14)).toEqual(whole);
});

test("a long list is read whole once an hour, and from the last look on between", async () => {
  const seen = await looks(1_001);
  expect(seen.filter(([, back]) => back === WHOLE).map(([at]) => at)).toEqual([0, 60]);
  // Five minutes since the last look, and ten of overlap.
  for (const [at, back] of seen) if (at % 60 !== 0) expect(back).toBe(15);
});

test("who polls looks at the last minutes at every interval, and at the whole window every five minutes", async () => {
  const seen = (await looks(10, { inbound: "poll" }, 30)).slice(0, 30);
  expect(seen.map(([at]) => at)).toEqual([...seen.keys()]);
  for (const [at, back] of seen) expect([at, back]).toEqual([at, at % 5 === 0 ? WHOLE : 11]);
});

test("a list that cannot be read for hours is asked for from the beginning, so that nothing is left out", async () => {
  const seen = await looks("unreachable");
  expect(seen.slice(0, 6).map(([at]) => at * 60)).toEqual([0, 5, 15, 35, 75, 115]);
  for (const [at, back] of seen) expect(back).toBeCloseTo(WHOLE + at, 6);
});

test("what was left out of a list is looked for soon, and however long it takes", async () => {
  const seen = await looks("unfinished");
  expect(seen.slice(0, 4).map(([at]) => at * 60)).toEqual([0, 5, 15, 35]);
  for (const [at, back] of seen) expect(back).toBeCloseTo(WHOLE + at, 6);
});

test("no look goes back before a short window began", async () => {
  for (const [at, back] of await looks(0, { catchUp: 2 * MINUTE })) expect(back).toBeLessThanOrEqual(at + 2);
});
