import { expect, test } from "bun:test";
import type { Carrier, InboundList } from "../../src/carrier.ts";
import { type CatchUpSeams, followList } from "../../src/catchup.ts";
import type { ChannelSettings } from "../../src/settings.ts";
import { manualClock } from "../support/clock.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const CATCH_UP = 24 * HOUR;

/** What the carrier answers to a look, given the time since the start, ms. */
type Answer = (
  since: number,
) => Partial<Extract<InboundList, { kind: "ok" }>> | Exclude<InboundList, { kind: "ok" }>;

const UNREACHABLE: Answer = () => ({ kind: "unreachable", reason: "a test" });

/** How far back each look goes, minutes, with when it began, minutes from the start. `listed`: rows of each list. */
async function looks(
  listed: number | Answer,
  over: Partial<ChannelSettings> = {},
  minutes = 70,
  retention = 90 * 24 * HOUR,
): Promise<readonly (readonly [at: number, back: number])[]> {
  const clock = manualClock();
  const start = clock.now();
  const seen: (readonly [number, number])[] = [];
  const listInbound = async (since: number): Promise<InboundList> => {
    const passed = clock.now() - start;
    seen.push([passed / MINUTE, (clock.now() - since) / MINUTE]);
    return {
      kind: "ok",
      items: [],
      listed: 0,
      ...(typeof listed === "number" ? { listed } : listed(passed)),
    } as InboundList;
  };
  const carrier: Partial<Carrier> = { listInbound };
  const channel = {
    id: "sms",
    inbound: "webhook",
    catchUp: CATCH_UP,
    pollInterval: MINUTE,
    ...over,
  } as ChannelSettings;
  const seams = {
    settings: () => ({
      channels: { sms: channel },
      retention: { messages: retention, denied: retention, codes: HOUR },
    }),
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
  const abort = new AbortController();
  const followed = followList(channel, abort.signal, seams);
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
  const seen = await looks(UNREACHABLE);
  expect(seen.slice(0, 6).map(([at]) => at * 60)).toEqual([0, 5, 15, 35, 75, 115]);
  for (const [at, back] of seen) expect(back).toBeCloseTo(WHOLE + at, 6);
});

for (const inbound of ["webhook", "poll"] as const)
  test(`what was left out of a list is looked for soon, as far back as it lies (${inbound})`, async () => {
    const start = manualClock().now();
    const old = { unfinishedSince: start - HOUR, listed: 2_000 };
    const seen = await looks((at) => (at > 0 && at < 40_000 ? old : { listed: 2_000 }), {
      inbound,
      pollInterval: 6_000,
    });
    const soon = seen.slice(0, 12).map(([at, back]) => [at * 60, Math.floor(back)]);
    if (inbound === "poll")
      expect(soon.slice(0, 8)).toEqual([
        [0, WHOLE],
        [6, 10],
        [12, 60],
        [18, 60],
        [24, 60],
        [30, 60],
        [36, 60],
        [42, 60],
      ]);
    else expect(soon[1]).toEqual([300, 15]);
    // Once nothing is left out any more, it goes no further back than before.
    expect(seen.filter(([at, back]) => at > 6 && at < 59 && back > 20)).toEqual([]);
  });

test("a webhook's channel asks again within seconds when something was left out", async () => {
  const start = manualClock().now();
  const seen = await looks((at) => (at < 100_000 ? { unfinishedSince: start - HOUR, listed: 2_000 } : {}));
  expect(seen.slice(0, 6).map(([at, back]) => [at * 60, Math.round(back)])).toEqual([
    [0, WHOLE],
    [5, 60],
    [15, 60],
    [35, 61],
    [75, 61],
    [115, 62],
  ]);
});

test("nothing is asked for that may have been removed here, however long the list could not be read", async () => {
  const seen = await looks(UNREACHABLE, {}, 200, HOUR);
  // Kept for catch_up and an hour; half of that hour is left for the look itself.
  expect(Math.max(...seen.map(([, back]) => back))).toBe(WHOLE + 30);
  expect(seen.some(([at]) => at > 180)).toBe(true);
});

test("a list that is refused is not asked for more often than one that comes", async () => {
  const refused: Answer = () => ({ kind: "refused", error: { meaning: "No.", fix: "Ask." } });
  expect((await looks(refused, {}, 20)).map(([at]) => at)).toEqual([0, 5, 10, 15, 20]);
});

test("no look goes back before a short window began", async () => {
  for (const [at, back] of await looks(0, { catchUp: 2 * MINUTE })) expect(back).toBeLessThanOrEqual(at + 2);
});
