import type { SentMessage } from "./carrier.ts";
import type { Sighting } from "./doubt.ts";
import { type AskedText, type Likeness, likeness } from "./sent-likeness.ts";

/** An attempt of ours of which nobody knows whether the carrier took it. */
export interface DoubtfulTry extends AskedText {
  /** Identifies the message; several attempts of one message have the same. */
  readonly message: number;
  readonly attempt: number;
  /** Epoch ms. */
  readonly startedAt: number;
}

export interface SentMatch {
  readonly message: number;
  readonly attempt: number;
  readonly sent: SentMessage;
}

/** The carrier's clock is corrected by its own word, and the network is quick; so near is where ours are. Ms. */
const NEAR = 5 * 60_000;
/** Older than this before the attempt, a message in the list cannot be it, however wrong our clock was. Ms. */
export const LOOK_BACK = 3_600_000;

/**
 * Finds the doubtful attempts to one recipient in what the carrier's list has for it. `sent` must be without the
 * messages whose sid is ours already. Each listed message belongs to one attempt at most; of attempts with the same
 * text as many are found as there are messages, and which one is which matters to nobody.
 */
export function matchSent(tries: readonly DoubtfulTry[], sent: readonly SentMessage[]): readonly SentMatch[] {
  const pairs = tries
    .flatMap((one, a) => sent.map((other, b) => ({ a, b, fit: fitOf(one, other) })))
    .flatMap(({ a, b, fit }) => (fit?.sure === true ? [{ a, b, ...fit }] : []))
    .sort((one, other) => one.rank - other.rank || one.distance - other.distance || one.a - other.a);
  const tryOf = new Map<number, number>();
  const sentOf = new Map<number, number>();
  const join = (a: number, b: number) => {
    tryOf.set(b, a);
    sentOf.set(a, b);
  };
  for (const { a, b } of pairs) if (!sentOf.has(a) && !tryOf.has(b)) join(a, b);
  // The nearest may have taken what another one alone could have had: let them change places.
  const place = (a: number, seen: Set<number>): boolean => {
    for (const { b } of pairs.filter((pair) => pair.a === a)) {
      if (seen.has(b)) continue;
      seen.add(b);
      const holder = tryOf.get(b);
      if (holder === undefined || place(holder, seen)) {
        join(a, b);
        return true;
      }
    }
    return false;
  };
  for (const a of tries.keys()) if (!sentOf.has(a)) place(a, new Set());
  return [...sentOf].flatMap(([a, b]) => {
    const [one, other] = [tries[a], sent[b]];
    return one === undefined || other === undefined
      ? []
      : [{ message: one.message, attempt: one.attempt, sent: other }];
  });
}

/** What the list says of one message, when `matches` are those of all doubtful attempts to its recipient. */
export function sightingOf(
  message: number,
  tries: readonly DoubtfulTry[],
  sent: readonly SentMessage[],
  matches: readonly SentMatch[],
): Sighting {
  if (matches.some((match) => match.message === message)) return "found";
  const free = sent.filter((one) => !matches.some((match) => match.sent === one));
  const own = tries.filter((one) => one.message === message);
  return own.some((one) => free.some((other) => fitOf(one, other) !== undefined)) ? "unclear" : "missed";
}

interface Fit {
  /** Enough to take it for ours. */
  readonly sure: boolean;
  readonly rank: number;
  /** Between the attempt and the listed message, ms. */
  readonly distance: number;
}

const RANK: Readonly<Record<Exclude<Likeness, "other">, number>> = { same: 0, alike: 1, perhaps: 2 };

function fitOf(one: DoubtfulTry, other: SentMessage): Fit | undefined {
  const like = likeness(one, other);
  const { createdAt = one.startedAt } = other;
  if (like === "other" || createdAt < one.startedAt - LOOK_BACK) return undefined;
  const distance = Math.abs(createdAt - one.startedAt);
  return { sure: like !== "perhaps" && distance <= NEAR, rank: RANK[like], distance };
}
