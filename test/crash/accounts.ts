import type { CarriedText } from "./carrier.ts";
import type { Run, ToldEvent } from "./far-ends.ts";
import type { Fate, Rule, Violation } from "./findings.ts";
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
    const turn = run.splitFrom ?? run.turnId;
    for (const number of run.numbers) turns.set(number, (turns.get(number) ?? new Set()).add(turn));
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
