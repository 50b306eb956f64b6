/** `max` also drops accents that GSM-7 lacks, where that makes the message cheaper. */
export type Economy = boolean | "max";

/** What the domain needs to know about texts on the phone network; implemented in `text/`. */
export interface TextTools {
  /**
   * Markdown to plain text that reads well on a phone, made cheaper as `economy` allows. Every word, number and
   * URL of the source is in it. Never throws; empty only when the source says nothing.
   */
  render(markdown: string, economy: Economy): string;
  /** Segments as Twilio bills them; 0 for an empty text. */
  segments(text: string): number;
  /**
   * Cuts at natural boundaries into bodies of at most 1,600 characters (UTF-16 units), never inside a grapheme
   * or a URL (unless one alone is longer). A text that fits is returned as it is, one of whitespace alone gives
   * no part. With `hint`, every part but the last ends in it, on a line of its own; with `numbered`, parts begin
   * with `1/3 ` where there are several. Both count within the limit, and within `segments`, the most a part may
   * cost. Between parts only whitespace is left out.
   *
   * @throws RangeError when the hint leaves less than 400 characters for the text.
   */
  split(
    text: string,
    options: { readonly hint?: string; readonly numbered?: boolean; readonly segments?: number },
  ): readonly string[];
  /**
   * At most so many segments and characters, ending in `…` where something was cut; in GSM-7 text that is
   * written `...`, since the character itself would make the message UCS-2. Empty when not even that fits.
   */
  truncate(text: string, limit: { readonly segments: number; readonly characters: number }): string;
}

/** The longest body Twilio accepts, in characters. */
export const MAX_BODY = 1600;
