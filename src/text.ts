/** `max` also drops accents that GSM-7 lacks, where that makes the message cheaper. */
export type Economy = boolean | "max";

/** What the domain needs to know about texts on the phone network; implemented in `text/`. */
export interface TextTools {
  /** Markdown to plain text that reads well on a phone, made cheaper as `economy` allows. */
  render(markdown: string, economy: Economy): string;
  /** Segments as Twilio bills them; 0 for an empty text. */
  segments(text: string): number;
  /**
   * Cuts at natural boundaries into bodies of at most 1,600 characters, never inside a grapheme or a URL
   * (unless one alone is longer). With `hint`, every part but the last ends in it, within the limit.
   */
  split(text: string, options: { readonly hint?: string; readonly numbered?: boolean }): readonly string[];
  /** At most `segments` segments, ending in `…` where something was cut. */
  truncate(text: string, limit: { readonly segments: number; readonly characters: number }): string;
}

/** The longest body Twilio accepts, in characters. */
export const MAX_BODY = 1600;
