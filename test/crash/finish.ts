import type { Books, SentText } from "./accounts.ts";
import { readUnfinished, readWritten } from "./database.ts";
import type { Violation } from "./findings.ts";
import type { Logged } from "./processes.ts";
import type { Rig } from "./rig.ts";

/** What the phones did, for the accountant. */
export interface PhonesSide {
  readonly texts: readonly SentText[];
  readonly phones: () => readonly string[];
  readonly stops: ReadonlyMap<string, string>;
  /** Texts that are in none of these, as codes. */
  readonly others?: () => number;
}

/** How many texts the service is to have in the end. */
export function textsOf(load: PhonesSide): number {
  return load.texts.length + load.stops.size + (load.others?.() ?? 0);
}

/** Resolves once every channel is connected. */
export async function connected(rig: Rig): Promise<void> {
  const end = Date.now() + 20_000;
  for (;;) {
    const answer = JSON.stringify(await rig.api("GET", "/channels"));
    if (answer.split('"status":"connected"').length > rig.channels.length) return;
    if (Date.now() > end) throw new Error(`not every channel is connected: ${answer}`);
    await Bun.sleep(50);
  }
}

/**
 * Waits until nothing is left to do; with `unclear` false, not for sends of which it is not known yet whether they went
 * out, nor for reminders: that takes minutes.
 */
export async function settle(
  rig: Rig,
  load: PhonesSide,
  { patience, unclear }: { readonly patience: number; readonly unclear: boolean },
  alsoDone: () => boolean = () => true,
): Promise<{ readonly done: boolean; readonly left: string }> {
  const end = Date.now() + patience;
  for (;;) {
    const { inbound, turns, outbox, clear, reminders, events } = readUnfinished(rig.database);
    const expected = textsOf(load);
    const left = turns + events + (unclear ? outbox + reminders : clear);
    const done = inbound >= expected && left === 0 && alsoDone();
    if (done || Date.now() > end)
      return {
        done,
        left: `${expected - inbound} texts to come, ${turns} turns, ${outbox} sends, ${reminders} reminders, ${events} events`,
      };
    await Bun.sleep(250);
  }
}

/** Gathers what every side has seen, once the service has stopped. */
export async function booksOf(
  rig: Rig,
  load: PhonesSide,
  settled: boolean,
  waiters: Pick<Books, "claims" | "codes"> = { claims: new Map(), codes: [] },
): Promise<Books> {
  const carried = new Map(
    await Promise.all(load.phones().map(async (phone) => [phone, await rig.carrier.sentTo(phone)] as const)),
  );
  const stopped = new Map(
    [...load.stops].map(([phone, sid]) => [phone, rig.acknowledged.get(sid) ?? Number.POSITIVE_INFINITY]),
  );
  return {
    texts: load.texts,
    acknowledged: rig.acknowledged,
    carried,
    ...readWritten(rig.database),
    runs: rig.farEnds.runs,
    reminders: rig.farEnds.reminders,
    ...(rig.consumed ? { events: rig.farEnds.events } : {}),
    stopped,
    claims: waiters.claims,
    codes: waiters.codes,
    settled,
  };
}

export function endedByItself(service: Logged): Violation {
  return { rule: "ended by itself", about: service.printed().slice(-500) };
}
