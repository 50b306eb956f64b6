import type { CarriedText } from "./carrier.ts";
import type { Run, ToldEvent } from "./far-ends.ts";
import { type ReminderOutcome, remindersIn } from "./model.ts";

/** A text that a phone sent: its body holds its number as `#17#`. */
export interface SentText {
  readonly number: number;
  readonly phone: string;
  readonly channel: string;
  readonly sid: string;
  /** When the carrier was given it, epoch ms. */
  readonly at: number;
}

/** An inbound message as the service wrote it down. */
export interface InboundRow {
  readonly seq: number;
  readonly id: string;
  readonly sid: string;
  readonly channel: string;
  readonly phone: string;
  readonly state: string;
  readonly route: string;
  readonly late: number;
  readonly turnId: string | null;
  readonly error: string | null;
}

export interface OutboundRow {
  readonly seq: number;
  readonly id: string;
  readonly channel: string;
  readonly phone: string;
  readonly text: string;
  readonly state: string;
  readonly error: string | null;
  readonly lastAttemptAt: number | null;
  readonly attempts: number;
}

/** Everything that was seen, from every side. */
export interface Books {
  readonly texts: readonly SentText[];
  /** When the service answered the webhook of a text with 200 for the first time, by sid. */
  readonly acknowledged: ReadonlyMap<string, number>;
  /** What the carrier took for each phone. */
  readonly carried: ReadonlyMap<string, readonly CarriedText[]>;
  readonly inbound: readonly InboundRow[];
  readonly outbound: readonly OutboundRow[];
  readonly runs: readonly Run[];
  /** What the language model was told of its reminders, by the number of the text. */
  readonly reminders: ReadonlyMap<number, ReminderOutcome>;
  /** What the webhook consumer was told; undefined where there was none. */
  readonly events?: ReadonlyMap<string, ToldEvent>;
  /** Phones that sent STOP, and when that was acknowledged. */
  readonly stopped: ReadonlyMap<string, number>;
  /** The code each claimer was given, by claimer; undefined for one that got none. */
  readonly claims: ReadonlyMap<string, string | undefined>;
  /** Codes that were texted. */
  readonly codes: readonly string[];
  /** True once nothing was left to do: then no reply may still wait. */
  readonly settled: boolean;
}

/** What became of a text; each is in exactly one of these. */
const FATES = {
  answered: "its reply reached the phone",
  undelivered: "the carrier took the reply and could not deliver it",
  refused: "the carrier refused the reply for good",
  unknown: "whether the carrier took the reply cannot be told, and it is not sent again",
  behind: "the reply waits behind one whose fate is not known yet, so that the order is kept",
  silent: "the agent chose to say nothing",
  apologised: "the agent failed, and the phone was told so",
  captured: "taken for a signal, as the channel's mode was at that moment",
  stopped: "its sender had opted out",
  missing: "nothing came of it",
} as const;

export type Fate = keyof typeof FATES;

export const RULES = {
  "acknowledged and lost": "a text was answered with 200 and is not in the database",
  missing: "a text has no reply, and no reason why",
  doubled: "the carrier was given a reply more than once",
  "written twice": "two replies were made for one text",
  astray: "a phone got the reply to another phone's text",
  "run twice": "one text was given to an agent in two turns",
  "two ids": "a turn came under a webhook-id that is not its own",
  "out of order": "a reply overtook one to an earlier text of the same phone",
  "reminder lost": "a reminder that was set did not come",
  "reminder twice": "a reminder came more than once",
  "after STOP": "a text was sent to a phone that had opted out",
  "event missing": "the webhook consumer was not told of a text",
  "event twice": "the webhook consumer was told of one text under two ids",
  "code twice": "one code was given to two who waited",
  "code lost": "a code was given to nobody although somebody waited",
  "ended by itself": "the service was not there any more when it was to be killed",
  "ended badly": "the service did not end well when it was asked to",
  damaged: "the database is not sound",
  "unexpected error": "the log holds an error that no fault explains",
} as const;

export type Rule = keyof typeof RULES;

export interface Violation {
  readonly rule: Rule;
  /** What to look for in the database and the logs. */
  readonly about: string;
  /** The texts it concerns. */
  readonly numbers?: readonly number[];
}

export interface Accounts {
  readonly sent: number;
  readonly acknowledged: number;
  readonly fates: Readonly<Record<Fate, number>>;
  /** Texts whose fate needs a word, with it. */
  readonly explained: readonly { readonly number: number; readonly fate: Fate; readonly reason: string }[];
  readonly agentCalls: number;
  readonly agentTurns: number;
  /** Replies the carrier took. */
  readonly carried: number;
  readonly arrived: number;
  readonly codes: number;
  readonly claimed: number;
  /** Reminders the model was told are set. */
  readonly reminders: number;
  readonly violations: readonly Violation[];
}

export function textOf(number: number): string {
  return `#${number}#`;
}

export function numbersIn(text: string): readonly number[] {
  return [...text.matchAll(/#(\d+)#/g)].map((match) => Number(match[1]));
}

/** Compares all sides. */
export function balance(books: Books): Accounts {
  const violations: Violation[] = [];
  const violated = (rule: Rule, about: string, ...numbers: readonly number[]) =>
    void violations.push({ rule, about, numbers });
  const explained: { number: number; fate: Fate; reason: string }[] = [];
  const fates: Record<Fate, number> = {
    answered: 0,
    undelivered: 0,
    refused: 0,
    unknown: 0,
    behind: 0,
    silent: 0,
    apologised: 0,
    captured: 0,
    stopped: 0,
    missing: 0,
  };
  const rows = new Map(books.inbound.map((row) => [row.sid, row]));
  const senders = new Map(books.texts.map((text) => [text.number, text]));
  const written = groupedByNumber(books.outbound, (row) => row.text);
  const unclear = new Set(
    books.outbound
      .filter(({ state }) => state === "unknown")
      .map(({ channel, phone }) => `${channel} ${phone}`),
  );
  const silentTurns = new Set(books.runs.filter((run) => !run.replied).map((run) => run.turnId));

  let [carried, arrived] = [0, 0];
  const taken = new Map<number, number>();
  const reached = new Set<number>();
  for (const [phone, texts] of books.carried) {
    for (const text of texts) {
      const numbers = numbersIn(text.text);
      if (numbers.length === 0) continue;
      carried += 1;
      if (text.arrived) arrived += 1;
      for (const number of numbers) {
        taken.set(number, (taken.get(number) ?? 0) + 1);
        if (text.arrived) reached.add(number);
        if (senders.get(number)?.phone !== phone) violated("astray", `${textOf(number)} at ${phone}`);
      }
    }
    for (const { numbers, about } of overtaken(texts, senders, rows))
      violated("out of order", `${about} of ${phone}`, ...numbers);
  }

  for (const text of books.texts) {
    const { number, phone, channel, sid } = text;
    const row = rows.get(sid);
    const replies = written.get(number) ?? [];
    if (row === undefined && books.acknowledged.has(sid))
      violated("acknowledged and lost", `${textOf(number)} ${sid} of ${phone}`);
    if ((taken.get(number) ?? 0) > 1) violated("doubled", `${textOf(number)} to ${phone}`, number);
    if (replies.length > 1)
      violated("written twice", `${textOf(number)}: ${replies.map(({ id }) => id).join(", ")}`, number);
    const fate = fateOf();
    fates[fate.kind] += 1;
    if (fate.reason !== undefined) explained.push({ number, fate: fate.kind, reason: fate.reason });
    if (fate.kind === "missing" || (fate.kind === "behind" && books.settled))
      violated("missing", `${textOf(number)} ${sid} of ${phone} on ${channel}: ${fate.reason}`);

    function fateOf(): { readonly kind: Fate; readonly reason?: string } {
      const reply = replies[0];
      if (reached.has(number)) return { kind: "answered" };
      if (reply !== undefined) {
        const reason = `${reply.id} is ${reply.state}${reply.error === null ? "" : `: ${reply.error}`}`;
        if (reply.state === "unknown") return { kind: "unknown", reason };
        if (reply.state === "suppressed") return { kind: "stopped" };
        if (taken.has(number)) return { kind: "undelivered" };
        // A carrier that no longer takes texts for a phone refuses them, too.
        if (reply.state === "failed")
          return { kind: books.stopped.has(phone) ? "stopped" : "refused", reason };
        if (reply.state === "pending" && unclear.has(`${channel} ${phone}`))
          return { kind: "behind", reason };
        return { kind: "missing", reason };
      }
      if (row === undefined) return { kind: "missing", reason: "it is not in the database" };
      const reason = `${row.id} is ${row.state} by route ${row.route}${row.error === null ? "" : `: ${row.error}`}`;
      if (row.route === "signal") return { kind: "captured" };
      if (books.stopped.has(phone)) return { kind: "stopped" };
      if (row.state === "failed") return { kind: "apologised", reason };
      if (row.turnId !== null && silentTurns.has(row.turnId)) return { kind: "silent" };
      return { kind: "missing", reason };
    }
  }

  const turns = new Map<number, Set<string>>();
  for (const run of books.runs) {
    if (run.webhookId !== run.turnId) violated("two ids", `${run.turnId} came as ${run.webhookId}`);
    for (const number of run.numbers) turns.set(number, (turns.get(number) ?? new Set()).add(run.turnId));
  }
  for (const [number, ids] of turns)
    if (ids.size > 1) violated("run twice", `${textOf(number)}: ${[...ids].join(", ")}`, number);

  for (const row of books.outbound) {
    const since = books.stopped.get(row.phone);
    if (since !== undefined && row.lastAttemptAt !== null && row.lastAttemptAt > since)
      violated("after STOP", `${row.id} to ${row.phone}`);
  }

  if (books.events !== undefined) {
    const told = new Map<string, number>();
    for (const { type, message } of books.events.values())
      if (type === "message.received") told.set(message, (told.get(message) ?? 0) + 1);
    for (const row of books.inbound) {
      const times = told.get(row.id) ?? 0;
      if (times > 1) violated("event twice", row.id);
      if (times === 0 && row.route === "message" && books.settled) violated("event missing", row.id);
    }
  }

  checkReminders(books, violated);

  const claimed = new Map<string, number>();
  for (const code of books.claims.values())
    if (code !== undefined) claimed.set(code, (claimed.get(code) ?? 0) + 1);
  for (const [code, times] of claimed) if (times > 1) violated("code twice", code);
  if (books.settled) for (const code of books.codes) if (!claimed.has(code)) violated("code lost", code);

  return {
    sent: books.texts.length,
    acknowledged: books.texts.filter(({ sid }) => books.acknowledged.has(sid)).length,
    fates,
    explained,
    agentCalls: books.runs.length,
    agentTurns: new Set(books.runs.map(({ turnId }) => turnId)).size,
    carried,
    arrived,
    codes: books.codes.length,
    claimed: claimed.size,
    reminders: [...books.reminders.values()].filter((outcome) => outcome === "set").length,
    violations,
  };
}

/** Each reminder makes one text, which the carrier is given at most once. */
function checkReminders(books: Books, violated: (rule: Rule, about: string) => void): void {
  const count = (texts: Iterable<string>) => {
    const times = new Map<number, number>();
    for (const text of texts)
      for (const number of remindersIn(text)) times.set(number, (times.get(number) ?? 0) + 1);
    return times;
  };
  const written = count(books.outbound.map(({ text }) => text));
  const carried = count([...books.carried.values()].flat().map(({ text }) => text));
  for (const number of new Set([...written.keys(), ...carried.keys()]))
    if ((written.get(number) ?? 0) > 1 || (carried.get(number) ?? 0) > 1)
      violated("reminder twice", `~${number}~`);
  if (!books.settled) return;
  for (const [number, outcome] of books.reminders)
    if (outcome === "set" && !written.has(number)) violated("reminder lost", `~${number}~`);
}

export function describeFate(fate: Fate): string {
  return FATES[fate];
}

/** Replies that the carrier took after one to a later text; order is that of admission. */
function overtaken(
  carried: readonly CarriedText[],
  senders: ReadonlyMap<number, SentText>,
  rows: ReadonlyMap<string, InboundRow>,
): readonly { readonly numbers: readonly number[]; readonly about: string }[] {
  const found: { numbers: readonly number[]; about: string }[] = [];
  const last = new Map<string, { readonly seq: number; readonly number: number }>();
  for (const { text } of carried) {
    for (const number of numbersIn(text)) {
      const sender = senders.get(number);
      const row = sender === undefined ? undefined : rows.get(sender.sid);
      if (sender === undefined || row === undefined) continue;
      const before = last.get(sender.channel);
      if (before !== undefined && before.seq > row.seq)
        found.push({
          numbers: [number, before.number],
          about: `${textOf(number)} after ${textOf(before.number)}`,
        });
      else last.set(sender.channel, { seq: row.seq, number });
    }
  }
  return found;
}

function groupedByNumber<T>(
  rows: readonly T[],
  textIn: (row: T) => string,
): ReadonlyMap<number, readonly T[]> {
  const groups = new Map<number, T[]>();
  for (const row of rows) {
    for (const number of new Set(numbersIn(textIn(row)))) {
      const group = groups.get(number);
      if (group === undefined) groups.set(number, [row]);
      else group.push(row);
    }
  }
  return groups;
}
