import { type Cron, parseCron } from "./cron.ts";
import { ToolFailure } from "./tool.ts";
import { instantsOf, localAt, nextDue } from "./zoned.ts";

/** What the model asked for, checked. */
export interface ReminderRequest {
  readonly kind: "text" | "prompt";
  readonly content: string;
  readonly timezone: string;
  readonly cron?: string;
  readonly nextAt: number;
}

const MAX_TEXT = 480;
const MAX_PROMPT = 1_000;
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const FURTHEST = 5 * 366 * DAY;
/** A repeating reminder costs a text each time, so it comes at most this often within a day. */
const MOST_PER_DAY = 24;

type Input = Readonly<Record<string, unknown>>;

/** Reads what `remind` was given to set. Throws a ToolFailure that says what to write instead. */
export function parseReminder(input: Input, defaultZone: string, now: number): ReminderRequest {
  const { kind, content } = contentOf(input);
  const timezone = zoneOf(input, defaultZone);
  const given = ["at", "in_minutes", "repeat", "cron"].filter((name) => input[name] !== undefined);
  if (given.length !== 1)
    throw new ToolFailure("Give exactly one of at, in_minutes, repeat and cron to say when.");
  const base = { kind, content, timezone };
  if (input.at !== undefined) return { ...base, nextAt: momentOf(input.at, timezone, now) };
  if (input.in_minutes !== undefined) return { ...base, nextAt: now + minutesOf(input.in_minutes) };
  const cron = input.cron === undefined ? cronOf(input) : text(input, "cron");
  return { ...base, cron, nextAt: firstOf(cron, timezone, now) };
}

function text(input: Input, name: string): string {
  const value = input[name];
  if (typeof value !== "string" || value.trim() === "") throw new ToolFailure(`${name} must be a text.`);
  return value.trim();
}

function contentOf(input: Input): Pick<ReminderRequest, "kind" | "content"> {
  if ((input.text === undefined) === (input.prompt === undefined))
    throw new ToolFailure("Give either text, which is sent as it is, or prompt, which you do at that time.");
  const kind = input.text === undefined ? "prompt" : "text";
  const content = text(input, kind);
  const most = kind === "text" ? MAX_TEXT : MAX_PROMPT;
  if (content.length > most)
    throw new ToolFailure(`${kind} has ${content.length} characters; write at most ${most}.`);
  return { kind, content };
}

function zoneOf(input: Input, defaultZone: string): string {
  if (input.timezone === undefined) return defaultZone;
  const timezone = text(input, "timezone");
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
  } catch {
    throw new ToolFailure(
      `${timezone.slice(0, 64)} is no time zone; write an IANA name such as Europe/Berlin.`,
    );
  }
  if (!/^[A-Za-z]/.test(timezone))
    throw new ToolFailure("Write the time zone as an IANA name such as Europe/Berlin, not as an offset.");
  return timezone;
}

function minutesOf(value: unknown): number {
  const minutes = typeof value === "string" ? Number(value) : value;
  if (typeof minutes !== "number" || !Number.isFinite(minutes) || minutes < 1 || minutes * MINUTE > FURTHEST)
    throw new ToolFailure("in_minutes must be a number from 1 on, at most five years.");
  return Math.round(minutes * MINUTE);
}

const MOMENT = /^(\d{4})-(\d{2})-(\d{2})[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(Z|[+-]\d{2}:\d{2})?$/i;
const TIME = /^(\d{1,2}):(\d{2})$/;
const MOMENT_FORM =
  'write at as "2026-03-29T07:30", local time, or as "07:30" for the next time it is that late';

/** An absolute time; without an offset local, without a date the next one. */
function momentOf(value: unknown, timezone: string, now: number): number {
  const written = typeof value === "string" ? value.trim() : "";
  const time = TIME.exec(written);
  if (time !== null) {
    const cron = `${Number(time[2])} ${Number(time[1])} * * *`;
    const next = nextDue(expression(cron), timezone, now);
    if (next !== undefined) return next;
  }
  const match = MOMENT.exec(written);
  if (match === null)
    throw new ToolFailure(`${JSON.stringify(value)?.slice(0, 64)} is no time: ${MOMENT_FORM}.`);
  const [, year, month, day, hour, minute, second = "0", offset] = match;
  const local = Date.UTC(
    Number(year),
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
  );
  const shown = new Date(local);
  if (shown.getUTCMonth() !== Number(month) - 1 || shown.getUTCDate() !== Number(day) || Number(minute) > 59)
    throw new ToolFailure(`${written} is no day of the calendar or no time of it: ${MOMENT_FORM}.`);
  const instants = offset === undefined ? instantsOf(local, timezone) : [local - offsetOf(offset)];
  const at = instants.find((instant) => instant > now);
  if (at === undefined) {
    const present = new Date(localAt(now, timezone)).toISOString().slice(0, 16);
    throw new ToolFailure(`${written} is over: it is now ${present} in ${timezone}.`);
  }
  if (at - now > FURTHEST) throw new ToolFailure(`${written} is more than five years away.`);
  return at;
}

function offsetOf(offset: string): number {
  if (offset.toUpperCase() === "Z") return 0;
  const [hours = 0, minutes = 0] = offset.slice(1).split(":").map(Number);
  return (offset.startsWith("-") ? -1 : 1) * (hours * 60 + minutes) * MINUTE;
}

const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** `repeat` with its `time`, and `weekday` for a weekly one, as a cron expression. */
function cronOf(input: Input): string {
  const time = TIME.exec(typeof input.time === "string" ? input.time.trim() : "");
  if (time === null) throw new ToolFailure('A repeating reminder needs time, such as "07:30".');
  const at = `${Number(time[2])} ${Number(time[1])} * *`;
  switch (input.repeat) {
    case "daily":
      return `${at} *`;
    case "weekdays":
      return `${at} mon-fri`;
    case "weekly": {
      const weekday = typeof input.weekday === "string" ? input.weekday.trim().toLowerCase().slice(0, 3) : "";
      if (!WEEKDAYS.includes(weekday))
        throw new ToolFailure(`A weekly reminder needs weekday, one of ${WEEKDAYS.join(", ")}.`);
      return `${at} ${weekday}`;
    }
    default:
      throw new ToolFailure("repeat is daily, weekdays or weekly; for anything else write cron.");
  }
}

function expression(cron: string): Cron {
  const parsed = parseCron(cron);
  if ("message" in parsed) throw new ToolFailure(`"${cron.slice(0, 64)}" ${parsed.message}: ${parsed.fix}.`);
  return parsed;
}

function firstOf(cron: string, timezone: string, now: number): number {
  const parsed = expression(cron);
  const first = nextDue(parsed, timezone, now);
  if (first === undefined) throw new ToolFailure(`"${cron}" is never due.`);
  let at: number | undefined = first;
  for (let count = 1; at !== undefined && at < first + DAY; count++) {
    if (count > MOST_PER_DAY)
      throw new ToolFailure(`"${cron}" is due more than ${MOST_PER_DAY} times a day.`);
    at = nextDue(parsed, timezone, at);
  }
  return first;
}
