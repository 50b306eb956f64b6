/** What we asked the carrier to send. */
export interface AskedText {
  readonly text: string;
  /** How many files go with it. */
  readonly media: number;
  /** The values put into a template; absent where the text is our own. A template's text is the carrier's. */
  readonly template?: readonly string[];
}

/** What the carrier says it sent. */
export interface ListedText {
  readonly body: string;
  readonly media: number;
}

/**
 * How well a message in the carrier's list fits one of ours. Carriers rewrite texts: trimmed, with typographic
 * characters made plain ("smart encoding"), with the words of a trial account before it or an opt-out notice
 * behind it, pictures turned into links, or not shown at all where an account redacts them.
 *
 * - `same`: word for word, but for white space and the carrier's own preface
 * - `alike`: the same letters and digits
 * - `perhaps`: nothing speaks against it, and not enough for it
 */
export type Likeness = "same" | "alike" | "perhaps" | "other";

export function likeness(asked: AskedText, listed: ListedText): Likeness {
  const body = tidy(listed.body);
  if (asked.template !== undefined) {
    const told = letters(body);
    const values = asked.template.map(letters).filter((value) => value !== "");
    // Without values to be found in it, it could be any text.
    return values.length > 0 && values.every((value) => told.includes(value)) ? "alike" : "perhaps";
  }
  const text = tidy(asked.text);
  // A file that cannot be shown is made into a link in the text.
  const whole = asked.media > 0 === listed.media > 0;
  if (body === text) return whole ? "same" : "perhaps";
  if (body === "" || MASKED.test(body)) return "perhaps";
  const [mine, theirs] = [letters(text), letters(body)];
  if (mine === "") return isEnd(text, body) ? "perhaps" : "other";
  if (mine === theirs) return whole ? "alike" : "perhaps";
  return isEnd(mine, theirs) ? "perhaps" : "other";
}

/** Whether something was put before or behind. */
function isEnd(part: string, whole: string): boolean {
  return whole.startsWith(part) || whole.endsWith(part);
}

/** Before every text of an account that has not been paid for. */
const TRIAL = /^Sent from your Twilio trial account\s*-\s*/i;
const MASKED = /^[*xX•█]+$/;

function tidy(text: string): string {
  return text.replace(TRIAL, "").normalize("NFC").replace(/\s+/gu, " ").trim();
}

/**
 * Letters and digits alone, without accents. What only looks like a mark counts as one, since carriers make it one: the
 * apostrophes among the letters (`здоровʼя`, `Hawaiʻi`), and clicks, which become `!` and `|`.
 */
function letters(text: string): string {
  const plain = text.normalize("NFKD").replace(/\p{M}/gu, "");
  return plain.replace(/[^\p{L}\p{N}]|\p{Lm}|[\u01c0-\u01c3]/gu, "");
}
