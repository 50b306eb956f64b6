/**
 * Segments as the carrier counts them (3GPP TS 23.038). Counted here on its own, not with the code that
 * predicts the count before sending, so that a wrong prediction shows.
 */
const GSM_BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const GSM_EXTENDED = new Set("\f^{}\\[~]|€");

/** 0 for an empty body. No character is split between two segments. */
export function countSegments(body: string): number {
  if (body === "") return 0;
  const characters = [...body];
  const gsm = characters.every((character) => GSM_BASIC.has(character) || GSM_EXTENDED.has(character));
  const units = (character: string) => (gsm ? (GSM_EXTENDED.has(character) ? 2 : 1) : character.length);
  const [single, several] = gsm ? [160, 153] : [70, 67];
  let total = 0;
  for (const character of characters) total += units(character);
  if (total <= single) return 1;
  let segments = 1;
  let used = 0;
  for (const character of characters) {
    const size = units(character);
    if (used + size > several) {
      segments += 1;
      used = 0;
    }
    used += size;
  }
  return segments;
}

const PLAIN: Readonly<Record<string, string>> = {
  "\u00ab": '"',
  "\u00bb": '"',
  "\u201c": '"',
  "\u201d": '"',
  "\u201e": '"',
  "\u2018": "'",
  "\u2019": "'",
  "\u201a": "'",
  "\u2039": "<",
  "\u203a": ">",
  "\u2010": "-",
  "\u2011": "-",
  "\u2012": "-",
  "\u2013": "-",
  "\u2014": "-",
  "\u2015": "-",
  "\u2022": "*",
  "\u2026": "...",
  "\u00a0": " ",
  "\u2002": " ",
  "\u2003": " ",
  "\u2009": " ",
  "\u200b": "",
};

/** `SmartEncoded`: typographic characters in their plain form. */
export function smartEncode(body: string): string {
  return body.replace(/[\u00a0-\u203a]/g, (character) => PLAIN[character] ?? character);
}
