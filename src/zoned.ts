import type { Cron } from "./cron.ts";

// Local times and when they are. A local time is written as the epoch milliseconds at which UTC shows it.

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(timeZone, format);
  }
  return format;
}

/** The local time at an instant, whole seconds. */
export function localAt(at: number, timeZone: string): number {
  const parts: Record<string, number> = {};
  for (const { type, value } of formatOf(timeZone).formatToParts(at)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function offsetAt(at: number, timeZone: string): number {
  return localAt(at, timeZone) - Math.floor(at / 1_000) * 1_000;
}

/**
 * The instants at which clocks show a local time, earliest first: two where it comes twice. A time that a change
 * of the clocks leaves out is as much later as the change is wide: 02:30 becomes 03:30.
 */
export function instantsOf(local: number, timeZone: string): readonly [number, ...number[]] {
  const before = offsetAt(local - DAY, timeZone);
  const after = offsetAt(local + DAY, timeZone);
  if (before === after) return [local - before];
  const [first, second] = [local - before, local - after];
  const shown = [first, second]
    .filter((at) => localAt(at, timeZone) === local)
    .sort((one, other) => one - other);
  const [earliest, ...later] = shown;
  return earliest === undefined ? [first] : [earliest, ...later];
}

/** Longer than any expression waits: 29 February comes back after eight years at the latest. */
const HORIZON = 8 * 366 + 1;

/**
 * The first time after `after` at which the expression is due in a time zone; undefined when there is none within
 * eight years.
 *
 * On a day on which the clocks change, a time that comes twice is meant once, the first time, and one that is
 * left out is due as much later as the change is wide. An expression of every hour goes by the passing of time:
 * it is due in both of the doubled hours.
 */
export function nextDue(cron: Cron, timeZone: string, after: number): number | undefined {
  const today = Math.floor(localAt(after, timeZone) / DAY) * DAY;
  // Yesterday too: what a change of the clocks moves may cross midnight.
  for (let i = -1; i <= HORIZON; i++) {
    const day = today + i * DAY;
    if (!isDueOn(day, cron)) continue;
    const found = firstOn(day, cron, timeZone, after);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isDueOn(day: number, { days, months, weekdays }: Cron): boolean {
  const date = new Date(day);
  if (months !== undefined && !months.has(date.getUTCMonth() + 1)) return false;
  const byDay = days?.has(date.getUTCDate());
  const byWeekday = weekdays?.has(date.getUTCDay());
  if (byDay === undefined && byWeekday === undefined) return true;
  return byDay === true || byWeekday === true;
}

function firstOn(day: number, cron: Cron, timeZone: string, after: number): number | undefined {
  const offset = offsetAt(day - DAY, timeZone);
  const steady = offset === offsetAt(day + 2 * DAY, timeZone);
  let found: number | undefined;
  for (let hour = 0; hour < 24; hour++) {
    if (cron.hours !== undefined && !cron.hours.has(hour)) continue;
    for (let minute = 0; minute < 60; minute++) {
      if (cron.minutes !== undefined && !cron.minutes.has(minute)) continue;
      const local = day + (hour * 60 + minute) * MINUTE;
      const instants = steady ? [local - offset] : instantsOf(local, timeZone);
      for (const at of cron.hours === undefined ? instants : instants.slice(0, 1))
        if (at > after && (found === undefined || at < found)) found = at;
      // Nothing later in a steady day can be earlier.
      if (steady && found !== undefined) return found;
    }
  }
  return found;
}

/** `Sunday, 29 March 2026, 07:30 (Europe/Berlin)`. */
export function localTimeText(at: number, timeZone: string): string {
  const day = new Intl.DateTimeFormat("en-GB", {
    timeZone,
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
  }).format(at);
  return `${day}, ${clockTimeText(at, timeZone)} (${timeZone})`;
}

/** `07:30`. */
export function clockTimeText(at: number, timeZone: string): string {
  const format = { timeZone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  return new Intl.DateTimeFormat("en-GB", format).format(at);
}
