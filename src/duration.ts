/**
 * Durations as people write them in sms.yaml and in JSON: `250ms`, `30s`, `5m`, `1h`, `7d`, or a number of
 * seconds. Inside the program they are whole milliseconds.
 */
type ParsedDuration =
  | { readonly ok: true; readonly ms: number }
  /** `message` completes "the value …"; `fix` begins with "write". */
  | { readonly ok: false; readonly message: string; readonly fix: string };

const UNIT = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
type Unit = keyof typeof UNIT;
const BY_SIZE: readonly Unit[] = ["d", "h", "m", "s", "ms"];

/** Longer than anything the program waits for or keeps: ten years. */
export const MAX_DURATION = 3_650 * UNIT.d;

const FORMS = "write a whole number and its unit: 250ms, 30s, 5m, 1h or 7d";

/** Parses one duration. A number counts seconds (fractions allowed); a string needs its unit. Never throws. */
export function parseDuration(value: string | number): ParsedDuration {
  if (typeof value === "number") return inRange(Math.round(value * UNIT.s));
  const match = /^(\d{1,15})(ms|s|m|h|d)$/.exec(value);
  if (match !== null) return inRange(Number(match[1]) * UNIT[unitOf(match[2])]);
  const meant = guess(value);
  return {
    ok: false,
    message: "is not a duration",
    fix: meant === undefined ? FORMS : `write ${formatDuration(meant)}`,
  };
}

/** The shortest exact form that `parseDuration` reads back: `90s`, not `1.5m`. `ms` is not negative. */
export function formatDuration(ms: number): string {
  const whole = Math.round(ms);
  if (whole === 0) return "0s";
  for (const unit of BY_SIZE) if (whole % UNIT[unit] === 0) return `${whole / UNIT[unit]}${unit}`;
  return `${whole}ms`;
}

/** Whole seconds as `120s`, all else as `250ms`: `parseDuration` reads both back. `ms` is not negative. */
export function secondsText(ms: number): string {
  const whole = Math.round(ms);
  return whole % UNIT.s === 0 ? `${whole / UNIT.s}s` : `${whole}ms`;
}

function inRange(ms: number): ParsedDuration {
  if (Number.isNaN(ms) || ms < 0) return { ok: false, message: "is less than nothing", fix: FORMS };
  if (ms > MAX_DURATION) {
    return {
      ok: false,
      message: "is longer than ten years",
      fix: `write at most ${formatDuration(MAX_DURATION)}`,
    };
  }
  return { ok: true, ms };
}

function unitOf(text: string | undefined): Unit {
  return BY_SIZE.find((unit) => unit === text) ?? "ms";
}

const SPELLED: Readonly<Record<string, number>> = {
  ...UNIT,
  "": UNIT.s,
  msec: UNIT.ms,
  millis: UNIT.ms,
  millisecond: UNIT.ms,
  milliseconds: UNIT.ms,
  sec: UNIT.s,
  secs: UNIT.s,
  second: UNIT.s,
  seconds: UNIT.s,
  min: UNIT.m,
  mins: UNIT.m,
  minute: UNIT.m,
  minutes: UNIT.m,
  hr: UNIT.h,
  hrs: UNIT.h,
  hour: UNIT.h,
  hours: UNIT.h,
  day: UNIT.d,
  days: UNIT.d,
  w: 7 * UNIT.d,
  week: 7 * UNIT.d,
  weeks: 7 * UNIT.d,
};

/** What `5 min`, `1.5h`, `1h30m` or `30` probably mean, for the error to propose. */
function guess(text: string): number | undefined {
  const compact = text.replace(/\s+/g, "").toLowerCase();
  // A number ends where its unit begins: were units optional in between, there would be 2^n ways to read n digits.
  if (compact.length > 40 || !/^(\d+(\.\d+)?[a-z]+)*(\d+(\.\d+)?)?$/.test(compact) || compact === "")
    return undefined;
  let total = 0;
  for (const [, amount, unit] of compact.matchAll(/(\d+(?:\.\d+)?)([a-z]*)/g)) {
    const size = Object.hasOwn(SPELLED, unit ?? "") ? SPELLED[unit ?? ""] : undefined;
    if (size === undefined) return undefined;
    total += Number(amount) * size;
  }
  return total <= MAX_DURATION ? Math.round(total) : undefined;
}
