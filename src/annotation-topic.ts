import { Kind } from "./annotation-kinds.ts";
import type { Reading } from "./annotation-reading.ts";

export type Topic = "delivery" | "appointment" | "payment";

/** What a message without a code is about, and how sure that is (0 to 1). */
export interface TopicGuess {
  readonly topic: Topic | "other";
  readonly confidence: number;
}

const TOPICS = ["delivery", "appointment", "payment"] as const;
const STRONG = {
  delivery: Kind.deliveryStrong,
  appointment: Kind.appointmentStrong,
  payment: Kind.paymentStrong,
} as const;
const WEAK = { delivery: Kind.delivery, appointment: Kind.appointment, payment: Kind.payment } as const;
/** A strong word counts two, all weak ones of a topic together one (two for deliveries); a topic needs this much. */
const ENOUGH = 2;

/** Counts each topic's words once; advertising outweighs a topic that is only mentioned. */
export function guessTopic(reading: Reading): TopicGuess {
  const seen = new Set<string>();
  const score = { delivery: 0, appointment: 0, payment: 0 };
  const weak = { delivery: 0, appointment: 0, payment: 0 };
  let promo = 0;
  for (const term of reading.terms) {
    const word = reading.folded.slice(term.start, term.end);
    if (seen.has(word)) continue;
    seen.add(word);
    if ((term.kinds & Kind.promo) !== 0) promo += 1;
    for (const topic of TOPICS) {
      if ((term.kinds & STRONG[topic]) !== 0) score[topic] += 2;
      else if ((term.kinds & WEAK[topic]) !== 0)
        weak[topic] = Math.min(weak[topic] + 1, topic === "delivery" ? 2 : 1);
    }
  }
  for (const topic of TOPICS) score[topic] += weak[topic];
  if (hasAmount(reading) && score.payment > 0) score.payment += 2;
  if (hasTime(reading) && score.appointment >= 2) score.appointment += 2;
  if ((reading.kinds & Kind.travel) !== 0) score.appointment -= 3;
  const ranked = (Object.entries(score) as [Topic, number][]).sort((a, b) => b[1] - a[1]);
  const [best, second] = ranked;
  if (best === undefined || best[1] < ENOUGH || promo * 2 >= best[1])
    return { topic: "other", confidence: 0.6 };
  const lead = best[1] - (second?.[1] ?? 0);
  return {
    topic: best[0],
    confidence: Math.min(0.95, Math.round((0.6 + 0.05 * best[1] + 0.03 * lead) * 100) / 100),
  };
}

/** How many different words of a message are plainly of deliveries. */
export function deliveryWords(reading: Reading): number {
  const found = reading.terms.filter((term) => (term.kinds & Kind.deliveryStrong) !== 0);
  return new Set(found.map((term) => reading.folded.slice(term.start, term.end))).size;
}

const SIGNED_AMOUNT = /[$€£¥₹₽₩₪₫₴₺₱฿₦]\s?\d|\d\s?[$€£¥₹₽₩₪₫₴₺₱฿₦]|\d\s?(?:元|円|원)/;

function hasAmount(reading: Reading): boolean {
  if (SIGNED_AMOUNT.test(reading.text)) return true;
  return reading.terms.some(
    (term) => (term.kinds & Kind.money) !== 0 && besideDigit(reading, term.start, term.end),
  );
}

function hasTime(reading: Reading): boolean {
  return (reading.kinds & Kind.day) !== 0 || /(?:^|\D)\d{1,2}[:.h]\d{2}(?:\D|$)/.test(reading.text);
}

function besideDigit(reading: Reading, start: number, end: number): boolean {
  const around = reading.text.slice(Math.max(0, start - 2), start) + reading.text.slice(end, end + 2);
  return /\d/.test(around);
}
