import { septetsOf } from "./gsm7.ts";

/** Latin letters that are not a base letter with an accent. */
const LETTERS = new Map(
  "łl ŁL đd ĐD ðd ÐD ıi ħh ĦH ŧt ŦT þth ÞTh œoe ŒOE ĸk ŋng ŊNG ſs ẞSS əe ƏE ɓb ɗd ĳij ĲIJ ŀl ĿL ŉ'n"
    .split(" ")
    .map((pair) => [pair.slice(0, 1), pair.slice(1)] as const),
);
const LATIN = /[\p{Script=Latin}--\p{ASCII}]/gv;
const ACCENTS = /\p{M}+/gu;

/** Latin letters GSM-7 lacks without their accents, `ç` as `c`, `ł` as `l`; `ä`, `é`, `ñ` and the like stay. */
export function withoutAccents(text: string): string {
  return text
    .normalize("NFC")
    .replace(LATIN, (letter) => {
      if (septetsOf(letter.charCodeAt(0)) > 0) return letter;
      const other = LETTERS.get(letter);
      if (other !== undefined) return other;
      const base = letter.normalize("NFD").replace(ACCENTS, "");
      return LETTERS.get(base) ?? base;
    })
    .replace(/(?<=\p{Script=Latin})\p{Mn}+/gu, "");
}
