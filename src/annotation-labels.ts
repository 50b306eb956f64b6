import { Kind, NOUN } from "./annotation-kinds.ts";
import type { Reading } from "./annotation-reading.ts";
import type { Term } from "./annotation-terms.ts";

/** What a term of a message says about a number beside it, after looking at its neighbours. */
export interface Label extends Term {
  readonly role: "noun" | "other" | "thing" | "number" | "none";
  /** For nouns: `secret` names a one-time code by itself, `code` and `pass` need company, `pickup` opens lockers. */
  readonly noun?: Noun;
  /** The noun stands in a sentence that warns: what is written there is about codes, not the code. */
  readonly warned: boolean;
}

export type Noun = "secret" | "cond" | "pass" | "pickup" | "code";

/** Small words between a noun and what it is a code of: `codice di spedizione`, `code promo`. */
const JOINING = new Set([
  " ",
  " de ",
  " del ",
  " da ",
  " do ",
  " du ",
  " d ",
  " di ",
  " des ",
  " van ",
  " de la ",
]);

/** One label per term, in order. */
export function labelTerms(reading: Reading): readonly Label[] {
  const { terms } = reading;
  const warnings = terms.filter((term) => (term.kinds & Kind.warn) !== 0);
  return terms.map((term, index): Label => {
    const before = neighbour(reading, terms[index - 1], term);
    const after = neighbour(reading, term, terms[index + 1]);
    const noun = isName(reading, term) ? undefined : nounOf(term.kinds, before, after);
    if (noun !== undefined) {
      const warned = noun !== "pickup" && warnings.some((w) => sameSentence(reading, w, term));
      return { ...term, role: "noun", noun, warned };
    }
    if (isName(reading, term)) return { ...term, role: "none", warned: false };
    return { ...term, role: otherRole(term.kinds, before, after), warned: false };
  });
}

/** `Tan` is a family name and `Pakistan` a country; the transaction number is written `TAN`, also in `smsTAN`. */
const CAPITALS = new Set(["tan", "tac", "otc"]);

function isName(reading: Reading, term: Term): boolean {
  const folded = reading.folded.slice(term.start, term.end);
  if (!CAPITALS.has(folded) && !(folded.endsWith("tan") && folded.length > 3)) return false;
  const ending = reading.text.slice(term.end - 3, term.end);
  return ending !== ending.toUpperCase();
}

/** The kinds of the next term over when nothing but a joining word is between. */
function neighbour(reading: Reading, left: Term | undefined, right: Term | undefined): number {
  if (left === undefined || right === undefined) return 0;
  const other = reading.folded.slice(left.end, Math.min(right.start, left.end + 8));
  if (left.end === right.start) return left.kinds | right.kinds;
  return JOINING.has(other) && left.end + other.length === right.start ? left.kinds | right.kinds : 0;
}

/**
 * `before` and `after` hold the bits of the term itself as well; only kinds that it does not have itself matter.
 */
function nounOf(kinds: number, before: number, after: number): Noun | undefined {
  if ((kinds & NOUN) === 0 || (kinds & Kind.neutral) !== 0) return undefined;
  if ((kinds & Kind.pickup) !== 0) return "pickup";
  if ((kinds & Kind.secret) !== 0) return "secret";
  if ((kinds & Kind.cond) !== 0) return "cond";
  const around = (before | after) & ~kinds;
  if ((kinds & Kind.pass) !== 0) return (kinds & Kind.ref) !== 0 ? undefined : "pass";
  // A compound: `Bestätigungscode`, `Gutscheincode`.
  if ((kinds & (Kind.promo | Kind.ref | Kind.booking)) !== 0) return undefined;
  if ((kinds & Kind.verify) !== 0) return "secret";
  if ((around & Kind.verify) !== 0) return "secret";
  if ((around & Kind.promo) !== 0) return undefined;
  if ((around & Kind.ref) !== 0 && (around & Kind.number) === 0) return undefined;
  if ((before & ~kinds & Kind.booking) !== 0) return undefined;
  if ((before & ~kinds & Kind.deliveryStrong) !== 0) return "pickup";
  return "code";
}

function otherRole(kinds: number, before: number, after: number): Label["role"] {
  // Words of advertising that were a noun before its company was seen: `code promo`.
  if ((kinds & (Kind.code | Kind.pass)) !== 0) return "other";
  const around = (before | after) & ~kinds;
  if ((kinds & Kind.number) !== 0) {
    if ((around & (NOUN | Kind.verify)) !== 0) return "none";
    return (around & (Kind.ref | Kind.thing)) !== 0 ? "other" : "number";
  }
  if ((kinds & (Kind.ref | Kind.reach)) !== 0) return "other";
  if ((kinds & Kind.thing) !== 0) return (after & ~kinds & Kind.number) !== 0 ? "other" : "thing";
  return "none";
}

function sameSentence(reading: Reading, a: Term, b: Term): boolean {
  const from = Math.min(a.end, b.end);
  const to = Math.max(a.start, b.start);
  return from >= to || (reading.stops(from, to) === 0 && reading.lines(from, to) === 0);
}
