import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { billedSegments, costOf, createLocalDays } from "../../src/usage.ts";

const HOUR = 3_600_000;

describe("a local day", () => {
  test("is of 23 hours when the clocks go forward, and of 25 when they go back", () => {
    const localDay = createLocalDays(() => "Europe/Berlin");
    const spring = localDay(Date.UTC(2026, 2, 28, 23));
    expect(spring).toMatchObject({ day: "2026-03-29", end: Date.UTC(2026, 2, 29, 22) });
    const autumn = localDay(Date.UTC(2026, 9, 24, 22));
    expect(autumn).toMatchObject({ day: "2026-10-25", end: Date.UTC(2026, 9, 25, 23) });
  });

  test("follows a time zone that was changed", () => {
    let zone = "UTC";
    const localDay = createLocalDays(() => zone);
    const at = Date.UTC(2026, 0, 1, 23);
    expect(localDay(at).day).toBe("2026-01-01");
    zone = "Asia/Tokyo";
    expect(localDay(at).day).toBe("2026-01-02");
  });

  test("ends with the first moment of the next one, in every zone and whatever was asked before", () => {
    const zones = ["UTC", "America/Havana", "Pacific/Apia", "Asia/Kathmandu", "Australia/Lord_Howe"];
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.array(fc.integer({ min: Date.UTC(2010, 0), max: Date.UTC(2030, 0) }), {
          minLength: 1,
          maxLength: 4,
        }),
        (zone, times) => {
          const localDay = createLocalDays(() => zone);
          for (const at of times) {
            const { day, end } = localDay(at);
            expect(createLocalDays(() => zone)(at).day).toBe(day);
            expect(localDay(end - 1).day).toBe(day);
            expect(localDay(end).day > day).toBe(true);
            expect(end - at).toBeLessThanOrEqual(25 * HOUR);
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});

test("a picture without words costs a segment, and so does what nobody counted", () => {
  expect([billedSegments(0), billedSegments(null), billedSegments(undefined), billedSegments(3)]).toEqual([
    1, 1, 1, 3,
  ]);
});

test("money is not off by the noise of binary fractions", () => {
  const prices = { outboundSegment: 0.1, inboundSegment: 0.2 };
  expect(costOf({ segments: 1, inboundSegments: 1 }, prices)).toBe(0.3);
});
