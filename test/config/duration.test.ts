import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatDuration, MAX_DURATION, parseDuration, secondsText } from "../../src/duration.ts";

test("durations are whole numbers with a unit, or numbers of seconds", () => {
  const cases: readonly [string | number, number][] = [
    ["250ms", 250],
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["7d", 604_800_000],
    ["0s", 0],
    [90, 90_000],
    [0.25, 250],
    [0, 0],
  ];
  for (const [text, ms] of cases) expect(parseDuration(text)).toEqual({ ok: true, ms });
});

test("anything else is refused, with what was probably meant", () => {
  const cases: readonly [string | number, string][] = [
    ["30", "write 30s"],
    ["30 s", "write 30s"],
    ["5min", "write 5m"],
    ["1.5h", "write 90m"],
    ["1h30m", "write 90m"],
    ["2 weeks", "write 14d"],
    ["5M", "write 5m"],
    ["", "write a whole number and its unit: 250ms, 30s, 5m, 1h or 7d"],
    ["-5s", "write a whole number and its unit: 250ms, 30s, 5m, 1h or 7d"],
    ["5y", "write a whole number and its unit: 250ms, 30s, 5m, 1h or 7d"],
    ["constructor", "write a whole number and its unit: 250ms, 30s, 5m, 1h or 7d"],
    [-1, "write a whole number and its unit: 250ms, 30s, 5m, 1h or 7d"],
    [Number.NaN, "write a whole number and its unit: 250ms, 30s, 5m, 1h or 7d"],
    ["99999d", "write at most 3650d"],
    [Number.POSITIVE_INFINITY, "write at most 3650d"],
  ];
  for (const [text, fix] of cases) expect(parseDuration(text)).toMatchObject({ ok: false, fix });
});

test("what is formatted reads back as it was", () => {
  expect(formatDuration(90_000)).toBe("90s");
  expect(formatDuration(1_200)).toBe("1200ms");
  expect(formatDuration(1_800_000)).toBe("30m");
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_DURATION }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toEqual({ ok: true, ms });
    }),
  );
});

test("no text makes the parser throw", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.stringMatching(/^[0-9.]{0,8} ?[a-z]{0,5}$/), fc.double()),
      (value) => {
        const parsed = parseDuration(value);
        if (parsed.ok) expect(parsed.ms).toBeWithin(0, MAX_DURATION + 1);
        else expect(parsed.fix).toStartWith("write ");
      },
    ),
  );
});

test("a number without end and without a unit is read as quickly as any text", () => {
  for (const text of [`${"9".repeat(39)}é`, "9.".repeat(19), `${"1a".repeat(19)}é`, "9".repeat(200_000)]) {
    const start = performance.now();
    expect(parseDuration(text).ok).toBe(false);
    // Were each digit perhaps a number of its own, the first would take most of an hour.
    expect(performance.now() - start).toBeLessThan(200);
  }
});

test("in seconds, or milliseconds where those are not whole, a duration is read back as it was", () => {
  expect([0, 120_000, 1_000, 250, 1_500].map(secondsText)).toEqual(["0s", "120s", "1s", "250ms", "1500ms"]);
  fc.assert(
    fc.property(fc.nat(MAX_DURATION), (ms) => {
      expect(parseDuration(secondsText(ms))).toEqual({ ok: true, ms });
    }),
  );
});
