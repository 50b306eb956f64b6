import { Mark } from "./marks.ts";

/**
 * One emoji, with skin tone, joined figures, tag sequence (as in the Scottish flag), flag or keycap. Signs that
 * are letters or arrows (`©`, `™`, `↔`) count only when they ask to be drawn in colour.
 */
const FIGURE =
  "(?:[[\\p{Extended_Pictographic}--[©®™‼⁉ℹ↔-↙↩↪]]\\u2713\\u2717\\u2718][\\uFE0E\\uFE0F]?|[©®™‼⁉ℹ↔-↙↩↪]\\uFE0F)" +
  "\\p{EMod}?[\\u{E0020}-\\u{E007F}]*";
const ONE = `(?:${FIGURE}(?:\\u200D${FIGURE}|\\u200D[♀♂⚕⚖✈❤]\\uFE0F?)*|[0-9#*]\\uFE0F?\\u20E3|\\p{RI}{1,2}|\\p{EMod})`;
const EMOJI = new RegExp(ONE, "v");
/** Also in brackets of its own. */
const ITEM = `(?:${ONE}|\\( ?${ONE}(?: ?${ONE})* ?\\))`;
const MANY = `${ITEM}(?:[ \\u00A0]{0,2}${ITEM})*\\uFE0F?`;
const ONLY = new RegExp(`^${MANY}$`, "v");
/** Code and URLs, which are kept, or a run of emoji with the spaces around it. */
const RUN = new RegExp(
  `(\\uFDD0[^\\uFDD1]*\\uFDD1)|(\\uFDD5?)([ \\u00A0]{0,3})(${MANY})([ \\u00A0]{0,3})`,
  "gv",
);
const KEYCAP = /([\n\uFDD2-\uFDD4]|)([0-9#*])\uFE0F?\u20E3(?=( \p{L})|)/gu;

const ARROW = /^[➡⬅⬆⬇↔-↙↩↪⤴⤵]\uFE0F?$/u;
const YES = /[✅✔✓☑]/u;
const NO = /[❌✖✗✘❎]/u;
const WARNING = /⚠/u;

export function hasEmoji(text: string): boolean {
  return EMOJI.test(text);
}

export function isOnlyEmoji(text: string): boolean {
  return ONLY.test(text);
}

/**
 * The rendered text without its emoji and the spaces that stood beside them. What only they say is kept:
 * keycaps become digits and arrows plain arrows; where ticks and crosses are told apart they become `OK` and
 * `X`; and one that is quoted, or is all there is in a table cell or after a colon, stays.
 */
export function dropEmoji(marked: string): string {
  if (!hasEmoji(marked)) return marked;
  const marksDiffer = YES.test(marked) && NO.test(marked);
  return marked
    .replace(KEYCAP, (_, start: string, digit: string, word: string | undefined, offset: number) => {
      const numbering = (start !== "" || offset === 0) && word !== undefined && digit >= "0" && digit <= "9";
      return start + digit + (numbering ? "." : "");
    })
    .replace(
      RUN,
      (
        whole: string,
        kept: string | undefined,
        sole: string,
        before: string,
        run: string,
        after: string,
        offset: number,
        text: string,
      ) => {
        if (kept !== undefined) return kept;
        const left = text.charAt(offset - 1);
        const right = text.charAt(offset + whole.length);
        if (ARROW.test(run)) return before + run.replace("\uFE0F", "") + after;
        const alone =
          sole !== "" || (before === "" && after === "" && isQuoted(left, right)) || isAnswer(left, right);
        const plain = alone || marksDiffer ? plainMark(run) : "";
        if (plain !== "") return before + plain + (after === "" && isWord(right) ? " " : after);
        if (alone) return whole;
        if (isBreak(left) || left === "(") return "";
        if (isMarker(text, offset)) return before;
        if (isBreak(right)) return "";
        return after !== "" || isWord(right) ? " " : "";
      },
    );
}

function plainMark(run: string): string {
  if (YES.test(run)) return "OK";
  if (NO.test(run)) return "X";
  return WARNING.test(run) ? "!" : "";
}

function isQuoted(left: string, right: string): boolean {
  return left !== "" && right !== "" && "\"“‘„«'".includes(left) && "\"”’“»'".includes(right);
}

/** `Status: ✅` */
function isAnswer(left: string, right: string): boolean {
  return left === ":" && isBreak(right);
}

function isBreak(char: string): boolean {
  return char === "" || char === "\n" || char === Mark.GAP || char === Mark.SECTION || char === Mark.INDENT;
}

function isWord(char: string): boolean {
  return /[\p{L}\p{N}\uFDD0]/u.test(char);
}

/** Is a list marker all that stands before it on the line? */
function isMarker(text: string, offset: number): boolean {
  const line = text.slice(Math.max(0, offset - 12), offset);
  return /(?:^|[\n\uFDD2-\uFDD4])[> ]*(?:[->]|\d{1,3}[.)]|\[[x ]\])$/.test(line);
}
