/**
 * What a text message is, found locally and without a model: whether it carries a one-time code or a
 * confirmation link, for whom, and otherwise roughly what it is about. Pure; microseconds; linear in the text.
 *
 * The order of trust: the origin-bound last line, a message marked for Android's SMS Retriever, a code's name
 * near a number, a message about signing in, the shape alone. Numbers that are labelled as something else
 * (orders, cards, prices, dates…) are never the code; `annotation-lexicon.ts` holds the words.
 *
 * A code for a locker or a courier is a `code` of category `delivery`, since whoever waits for a login must not
 * be handed it. A link that confirms an appointment or follows a parcel is no confirmation link: those prove an
 * address, an account or a sign-in.
 */
import { ENOUGH, isBare, type Judged, judge } from "./annotation-judge.ts";
import { Kind } from "./annotation-kinds.ts";
import { labelTerms } from "./annotation-labels.ts";
import { confirmationLink } from "./annotation-links.ts";
import { readNumbers } from "./annotation-numbers.ts";
import { type Reading, readMessage } from "./annotation-reading.ts";
import { normalise, originalOffset } from "./annotation-text.ts";
import { deliveryWords, guessTopic } from "./annotation-topic.ts";

export type Category =
  | "verification_code"
  | "confirmation_link"
  | "delivery"
  | "appointment"
  | "payment"
  | "other";

export interface Annotation {
  readonly category: Category;
  /** What a person would type: ASCII digits and letters, groups joined, `G-` and the like left out. */
  readonly code?: string;
  /** Only ever the link that confirms, signs in or resets; as written, without trailing punctuation. */
  readonly link?: string;
  /** The host of an origin-bound code (`@example.com #123456`), lower case. */
  readonly origin?: string;
  /** The host of the embedded frame an origin-bound code is for (`… %frame.example`), lower case. */
  readonly embedded?: string;
  /** 0 to 1, of the category. */
  readonly confidence: number;
  /** Everything that has the shape of a code and is not plainly a date, a price or the like; best first. */
  readonly candidates: readonly CodeCandidate[];
}

export interface CodeCandidate {
  readonly value: string;
  /** 0 to 1; the best from 0.5 on is the code. */
  readonly score: number;
  readonly reason?: string;
}

/** Total: every text has an annotation. `from` is the sender's address or name, as the carrier gave it. */
export function annotate(text: string, from: string): Annotation {
  const reading = readMessage(text);
  const judged = judgeNumbers(reading, from);
  const candidates = candidateList(reading, judged);
  const best = candidates[0];
  const code = best !== undefined && best.score >= ENOUGH ? best : undefined;
  const link = confirmationLink(reading, code !== undefined);
  const bound = reading.originBound;
  const shared = {
    ...(code === undefined ? {} : { code: code.value }),
    ...(link === undefined ? {} : { link: link.url }),
    ...(bound === undefined ? {} : { origin: bound.origin }),
    ...(bound?.embedded === undefined ? {} : { embedded: bound.embedded }),
    candidates,
  };
  if (code !== undefined) {
    const category = isDeliveryCode(reading, judged, code.value) ? "delivery" : "verification_code";
    return { category, confidence: code.score, ...shared };
  }
  if (link !== undefined) return { category: "confirmation_link", confidence: link.score, ...shared };
  const { topic, confidence } = guessTopic(reading);
  return { category: topic, confidence, ...shared };
}

/** The text in which `annotate` finds codes: digits of all scripts as ASCII, nothing invisible. */
export function normalisedText(text: string): string {
  return normalise(text).text;
}

const REDACTED = "***";

/** The text with every candidate, grouped or not, and the confirmation link replaced by `***`; for logs. */
export function redactCodes(
  text: string,
  annotation: Pick<Annotation, "candidates" | "code" | "link">,
): string {
  const normal = normalise(text);
  const values = [annotation.code, ...annotation.candidates.map((c) => c.value)].filter(
    (v) => v !== undefined,
  );
  const spans: [number, number][] = [];
  if (annotation.link !== undefined) {
    for (
      let at = normal.text.indexOf(annotation.link);
      at >= 0;
      at = normal.text.indexOf(annotation.link, at + 1)
    ) {
      spans.push([at, at + annotation.link.length]);
    }
  }
  for (const value of new Set(values)) {
    for (let at = 0; at < normal.text.length; at++) {
      const end = occurrence(normal.text, at, value);
      if (end !== undefined) spans.push([at, end]);
    }
  }
  spans.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  let out = "";
  let done = 0;
  let copied = 0;
  for (const [start, end] of spans) {
    if (start < done) continue;
    out += text.slice(copied, originalOffset(normal, start)) + REDACTED;
    done = end;
    copied = originalOffset(normal, end);
  }
  return out + text.slice(copied);
}

/** Where an occurrence of a value at `start` ends, single separators between its characters allowed. */
function occurrence(text: string, start: number, value: string): number | undefined {
  let at = start;
  for (let i = 0; i < value.length; i++) {
    if (i > 0 && text[at] !== value[i] && " -.".includes(text.charAt(at))) at += 1;
    if (value === "" || text[at] !== value[i]) return undefined;
    at += 1;
  }
  return value === "" ? undefined : at;
}

function judgeNumbers(reading: Reading, from: string): readonly Judged[] {
  const sender = from.replace(/\D/g, "");
  const numbers = readNumbers(reading).filter((c) => c.value !== sender);
  const judged = judge(reading, labelTerms(reading), numbers);
  return judged.map((j) => bareScore(reading, j, from, numbers.length));
}

/** A number with nothing around it is taken for a code; a short one only from a service. */
function bareScore(reading: Reading, judged: Judged, from: string, count: number): Judged {
  if (judged.score >= ENOUGH || count > 1 || judged.candidate.shape !== "digits") return judged;
  if (judged.candidate.doubt !== undefined || judged.candidate.other !== undefined) return judged;
  if (judged.reason.startsWith("labelled") || !isBare(reading, judged.candidate)) return judged;
  const person = /^\+?\d{7,}$/.test(from.replace(/^[a-z]+:/, ""));
  if (judged.candidate.value.length > 8 || (person && judged.candidate.value.length < 6)) return judged;
  return { ...judged, score: 0.55, reason: "by itself" };
}

/** The origin-bound code first, then what was judged, each value once with its best score. */
function candidateList(reading: Reading, judged: readonly Judged[]): readonly CodeCandidate[] {
  const best = new Map<string, CodeCandidate>();
  const add = (candidate: CodeCandidate) => {
    const known = best.get(candidate.value);
    if (known === undefined || known.score < candidate.score) best.set(candidate.value, candidate);
  };
  const bound = reading.originBound;
  if (bound !== undefined) add({ value: bound.code, score: 1, reason: `bound to ${bound.origin}` });
  for (const { candidate, score, reason } of judged) {
    add({ value: candidate.value, score, reason });
    if (candidate.written !== undefined)
      add({ value: candidate.written, score: Math.min(0.3, score), reason: "as written" });
  }
  return [...best.values()].sort((a, b) => b.score - a.score);
}

function isDeliveryCode(reading: Reading, judged: readonly Judged[], value: string): boolean {
  if (reading.originBound !== undefined) return false;
  const noun = judged.find((j) => j.candidate.value === value && j.score >= ENOUGH)?.noun;
  if (noun === "pickup") return true;
  // `Share the one-time code with the driver`: a code's own name needs more of a parcel around it.
  const least = noun === "secret" || noun === "cond" || (reading.kinds & Kind.verify) !== 0 ? 2 : 1;
  return deliveryWords(reading) >= least;
}
