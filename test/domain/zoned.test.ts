import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Cron, parseCron } from "../../src/cron.ts";
import { instantsOf, localAt, nextDue } from "../../src/zoned.ts";

const BERLIN = "Europe/Berlin";

function cron(text: string): Cron {
  const parsed = parseCron(text);
  if ("message" in parsed) throw new Error(parsed.message);
  return parsed;
}

/** The next `count` times after `from`, as UTC. */
function dues(text: string, from: string, count: number, zone = BERLIN): string[] {
  const found: string[] = [];
  let at = Date.parse(from);
  for (let i = 0; i < count; i++) {
    const next = nextDue(cron(text), zone, at);
    if (next === undefined) break;
    found.push(new Date(next).toISOString().slice(0, 16));
    at = next;
  }
  return found;
}

describe("when a cron expression is due", () => {
  test("a daily time stays the same on the wall when the clocks go forward", () => {
    expect(dues("0 7 * * *", "2026-03-27T12:00Z", 3)).toEqual([
      "2026-03-28T06:00",
      "2026-03-29T05:00",
      "2026-03-30T05:00",
    ]);
  });

  test("a daily time stays the same on the wall when the clocks go back", () => {
    expect(dues("0 7 * * *", "2026-10-23T12:00Z", 3)).toEqual([
      "2026-10-24T05:00",
      "2026-10-25T06:00",
      "2026-10-26T06:00",
    ]);
  });

  test("a time that is left out is due an hour later, once", () => {
    expect(dues("30 2 * * *", "2026-03-28T12:00Z", 2)).toEqual(["2026-03-29T01:30", "2026-03-30T00:30"]);
  });

  test("a time that comes twice is due once, the first time", () => {
    expect(dues("30 2 * * *", "2026-10-24T12:00Z", 2)).toEqual(["2026-10-25T00:30", "2026-10-26T01:30"]);
  });

  test("every half hour goes on through a doubled and a missing hour", () => {
    expect(dues("*/30 * * * *", "2026-10-25T00:00Z", 4)).toEqual([
      "2026-10-25T00:30",
      "2026-10-25T01:00",
      "2026-10-25T01:30",
      "2026-10-25T02:00",
    ]);
    expect(dues("*/30 * * * *", "2026-03-29T00:30Z", 3)).toEqual([
      "2026-03-29T01:00",
      "2026-03-29T01:30",
      "2026-03-29T02:00",
    ]);
  });

  test("weekdays, months, steps and either kind of day are understood", () => {
    expect(dues("0 9 * * mon-fri", "2026-01-02T12:00Z", 2, "UTC")).toEqual([
      "2026-01-05T09:00",
      "2026-01-06T09:00",
    ]);
    expect(dues("0 9 13 * fri", "2026-01-08T12:00Z", 3, "UTC")).toEqual([
      "2026-01-09T09:00",
      "2026-01-13T09:00",
      "2026-01-16T09:00",
    ]);
    expect(dues("0 0 29 2 *", "2026-03-01T00:00Z", 1, "UTC")).toEqual(["2028-02-29T00:00"]);
    expect(dues("0 0 29 2 *", "2097-01-01T00:00Z", 1, "UTC")).toEqual(["2104-02-29T00:00"]);
    expect(dues("0 12 * * 7", "2026-01-01T00:00Z", 1, "UTC")).toEqual(["2026-01-04T12:00"]);
  });

  test("a change of half an hour and one at midnight are right too", () => {
    // Lord Howe goes forward by half an hour at 02:00, Beirut by an hour at midnight.
    expect(dues("15 2 * * *", "2026-10-03T12:00Z", 1, "Australia/Lord_Howe")).toEqual(["2026-10-03T15:45"]);
    expect(dues("30 0 * * *", "2026-03-28T12:00Z", 1, "Asia/Beirut")).toEqual(["2026-03-28T22:30"]);
  });

  test("every time that is due is later, and shows a minute of the expression unless it was left out", () => {
    const zones = fc.constantFrom(BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC");
    const when = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2037, 0, 1) });
    const minute = fc.integer({ min: 0, max: 59 });
    const hour = fc.integer({ min: 0, max: 23 });
    fc.assert(
      fc.property(zones, when, hour, minute, (zone, from, h, m) => {
        const at = nextDue(cron(`${m} ${h} * * *`), zone, from);
        if (at === undefined) throw new Error("never due");
        expect(at).toBeGreaterThan(from);
        expect(at - from).toBeLessThanOrEqual(26 * 3_600_000);
        const shown = new Date(localAt(at, zone));
        const wanted = new Date(shown).setUTCHours(h, m, 0, 0);
        const exists = instantsOf(wanted, zone).some((each) => localAt(each, zone) === wanted);
        if (exists) expect([shown.getUTCHours(), shown.getUTCMinutes()]).toEqual([h, m]);
      }),
      { numRuns: 300 },
    );
  });
});
