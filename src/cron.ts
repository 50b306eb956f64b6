/** What a field of a cron expression may hold. Names count up from `least`. */
interface CronField {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  readonly names: readonly string[];
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: readonly CronField[] = [
  { name: "minute", least: 0, most: 59, names: [] },
  { name: "hour", least: 0, most: 23, names: [] },
  { name: "day of month", least: 1, most: 31, names: [] },
  { name: "month", least: 1, most: 12, names: MONTHS },
  { name: "day of week", least: 0, most: 7, names: DAYS },
];

const NICKNAMES: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

const FORM = 'write five fields "minute hour day-of-month month day-of-week", such as "0 7 * * mon-fri"';
const LONGEST_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** When it is due, in local time. An undefined set allows every value. */
export interface Cron {
  readonly minutes: ReadonlySet<number> | undefined;
  readonly hours: ReadonlySet<number> | undefined;
  readonly days: ReadonlySet<number> | undefined;
  /** 1 to 12. */
  readonly months: ReadonlySet<number> | undefined;
  /** 0 is Sunday. With `days` too, a day that is in either is meant. */
  readonly weekdays: ReadonlySet<number> | undefined;
}

export interface CronProblem {
  readonly message: string;
  readonly fix: string;
}

/** What is wrong with a cron expression; undefined when it is right and can ever be due. */
export function cronProblem(text: string): CronProblem | undefined {
  const parsed = parseCron(text);
  return "message" in parsed ? parsed : undefined;
}

/**
 * Reads a cron expression of five fields, each a comma list of `*`, `a`, `a-b`, with `/step` after `*` or a
 * range; months and weekdays also by their English names.
 */
export function parseCron(text: string): Cron | CronProblem {
  const plain = text.trim().toLowerCase();
  const nickname = Object.hasOwn(NICKNAMES, plain) ? NICKNAMES[plain] : undefined;
  if (nickname !== undefined) return { message: "is a cron nickname", fix: `write "${nickname}"` };
  const parts = plain.split(/\s+/);
  if (parts.length === 6) {
    return {
      message: "has six fields; seconds are not supported",
      fix: `write "${parts.slice(1).join(" ")}"`,
    };
  }
  if (parts.length !== FIELDS.length) {
    const count = plain === "" ? "no field" : parts.length === 1 ? "one field" : `${parts.length} fields`;
    return { message: `is not a cron expression: it has ${count}, not five`, fix: FORM };
  }
  const values: (ReadonlySet<number> | undefined)[] = [];
  for (const [i, field] of FIELDS.entries()) {
    const parsed = parseField(parts[i] ?? "", field);
    if (typeof parsed === "string") {
      return { message: `is not a cron expression: the ${field.name} ${parsed}`, fix: FORM };
    }
    values.push(parsed);
  }
  const [minutes, hours, days, months, weekdays] = values;
  if (days !== undefined && weekdays === undefined && neverDue(days, months)) {
    return { message: "is never due: no such day is in that month", fix: "write a day that the month has" };
  }
  const sundayFirst = weekdays && new Set([...weekdays].map((day) => day % 7));
  return { minutes, hours, days, months, weekdays: sundayFirst };
}

function neverDue(days: ReadonlySet<number>, months: ReadonlySet<number> | undefined): boolean {
  const earliest = Math.min(...days);
  return LONGEST_MONTH.every(
    (length, i) => (months !== undefined && !months.has(i + 1)) || earliest > length,
  );
}

/** The values a field allows, undefined for all of them, or what is wrong with it. */
function parseField(text: string, field: CronField): ReadonlySet<number> | undefined | string {
  const values = new Set<number>();
  let all = false;
  for (const item of text.split(",")) {
    const match = /^(?:(\*)|([a-z]+|\d+)(?:-([a-z]+|\d+))?)(?:\/(\d+))?$/.exec(item);
    if (match === null)
      return item === "" ? "has an empty item" : "is not of the form *, 5, 1-5, */10 or 1,3";
    const [, star, from, to, every] = match;
    const step = every === undefined ? 1 : Number(every);
    if (step < 1 || step > field.most) return `has a step that is not 1 to ${field.most}`;
    if (every !== undefined && star === undefined && to === undefined) return "has a step without a range";
    const first = star ? field.least : numberIn(from ?? "", field);
    const last = star ? field.most : to === undefined ? first : numberIn(to, field);
    if (first === undefined || last === undefined) {
      const names = field.names.length > 0 ? ` or ${field.names[0]} to ${field.names.at(-1)}` : "";
      return `is not ${field.least} to ${field.most}${names}`;
    }
    if (first > last) return "has a range that runs backwards";
    if (star && step === 1) all = true;
    for (let value = first; value <= last; value += step) values.add(value);
  }
  return all ? undefined : values;
}

function numberIn(text: string, field: CronField): number | undefined {
  const named = field.names.indexOf(text);
  if (named >= 0) return named + field.least;
  const value = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return value >= field.least && value <= field.most ? value : undefined;
}
