/**
 * Plain forms, in GSM-7, of characters writers and models use for their looks. Only where the plain form says
 * the same to a reader; what has none (`♪`, `∑`, another script's letters) is not in these tables.
 */
const PLAIN = new Map<string, string>();
/** Those that look so much like their plain form that a reader hardly notices: quotes, dashes, spaces, bullets. */
const ALIKE = new Set<string>();

function define(chars: string, plain: string): void {
  for (const char of chars) PLAIN.set(char, plain);
}

function defineAlike(chars: string, plain: string): void {
  define(chars, plain);
  for (const char of chars) ALIKE.add(char);
}

defineAlike("‘’‚‛′´`ʼʹ‵", "'");
defineAlike("“”„‟″〝〞", '"');
defineAlike("‹›", "'");
defineAlike("‐‑‒–―−﹘﹣⁃", "-");
defineAlike("…", "...");
defineAlike("‥", "..");
defineAlike("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\t", " ");
defineAlike(
  "\u00ad\u200b\u200c\u200e\u200f\u2060\u2061\u2062\u2063\u2066\u2067\u2068\u2069\ufeff\u202a\u202c\ufe0e",
  "",
);
defineAlike("•‣◦▪▫●○■□▶►▸▹▷◆◇❖✦✧➤➢⦁∙⋅·・", "-");
define("→⟶➔➜➝➞➡⇾➙", "->");
define("⇒⟹", "=>");
define("←⟵⬅", "<-");
define("⇐⟸", "<=");
define("↔⟷⇄⇆", "<->");
define("⇔⟺", "<=>");
define("↑⬆", "^");
define("↓⬇", "v");
define("×✕", "x");
define("÷", "/");
define("∕⁄", "/");
define("≤⩽", "<=");
define("≥⩾", ">=");
define("≠", "!=");
define("≈≃≅∼", "~");
define("±", "+/-");
define("∓", "-/+");
define("∗＊", "*");
define("™", "(TM)");
define("©", "(c)");
define("®", "(R)");
define("№", "No.");
define("¢", "c");
define("µ", "u");
define("Ω", "Ω");
define("ª", "a");
define("º", "o");
define("℃", "C");
define("℉", "F");
define("¦", "|");
define("‖", "||");
define("†‡", "*");
define("‼", "!!");
define("⁉", "!?");
define("ﬀ", "ff");
define("ﬁ", "fi");
define("ﬂ", "fl");
define("ﬃ", "ffi");
define("ﬄ", "ffl");
define("─━┄┅┈┉╌╍═╴╶", "-");
define("│┃┆┇┊┋║╎╏", "|");
define("┌┍┎┏┐┑┒┓└┕┖┗┘┙┚┛├┝┞┟┠┡┢┣┤┥┦┧┨┩┪┫┬┭┮┯┰┱┲┳┴┵┶┷┸┹┺┻┼╋╔╗╚╝╠╣╦╩╬╭╮╯╰", "+");
define("█▓■", "#");
define("░▒", "-");
define("☐", "[ ]");
define("☑☒", "[x]");

const FRACTIONS =
  "½1/2 ¼1/4 ¾3/4 ⅓1/3 ⅔2/3 ⅕1/5 ⅖2/5 ⅗3/5 ⅘4/5 ⅙1/6 ⅚5/6 ⅛1/8 ⅜3/8 ⅝5/8 ⅞7/8 ⅐1/7 ⅑1/9 ⅒1/10 ↉0/3";
for (const fraction of FRACTIONS.split(" ")) PLAIN.set(fraction.slice(0, 1), fraction.slice(1));

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ";
const RAISED_PLAIN = "0123456789+-=()ni";
const LOWERED = "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎";
const LOWERED_PLAIN = "0123456789+-=()";
for (const [i, char] of [...LOWERED].entries()) PLAIN.set(char, LOWERED_PLAIN.charAt(i));

const CURRENCIES = new Map([
  ["₹", "Rs"],
  ["₺", "TL"],
  ["₽", "RUB"],
  ["₴", "UAH"],
  ["₩", "KRW"],
  ["₫", "VND"],
  ["₪", "ILS"],
  ["₱", "PHP"],
  ["₦", "NGN"],
  ["₸", "KZT"],
  ["₿", "BTC"],
]);

function classOf(chars: Iterable<string>): string {
  return [...chars].map((char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`).join("");
}

const SIMPLE = new RegExp(`[${classOf(PLAIN.keys())}]\uFE0F?`, "gu");
const CURRENCY = new RegExp(`(\\p{Nd} ?)?([${classOf(CURRENCIES.keys())}])(?= ?(\\p{Nd})?)`, "gu");
const EXPONENT = new RegExp(`[${classOf(RAISED)}]+`, "gu");
/** Letters drawn bold, in script or in circles; NFKC knows the plain ones. */
const DRAWN = /[\u{1D400}-\u{1D7FF}\u2160-\u217F\u2460-\u249B\u24B6-\u24E9\u2776-\u2793Ａ-Ｚａ-ｚ０-９]+/gu;
const ANY = new RegExp(
  `[${classOf(PLAIN.keys())}${classOf(CURRENCIES.keys())}${classOf(RAISED)}«»—°\\u0300-\\u036F\\u{1D400}-\\u{1D7FF}\\u2160-\\u217F\\u2460-\\u249B\\u24B6-\\u24E9\\u2776-\\u2793★☆⭐]`,
  "u",
);

/**
 * A letter of a script GSM-7 does not write, or that script's own punctuation. Such a line is not touched:
 * its quotation marks and dashes are its own, and plain ones would make it no cheaper.
 */
const OTHER_SCRIPT =
  /[[\p{L}\p{M}]--\p{Script=Latin}--\p{Script=Inherited}--\p{Script=Common}--[ΓΔΘΛΞΠΣΦΨΩ]]|[\u3001-\u3003\u3008-\u3011\uFF01-\uFF0F\uFF1A-\uFF20\u060C\u061B\u061F\u06D4\u0660-\u0669\u06F0-\u06F9]/v;

function hasOtherScript(text: string): boolean {
  return OTHER_SCRIPT.test(text);
}

/**
 * Typographic characters in their plain forms, line by line; lines with another script stay as they are. With
 * `alike` only quotes, dashes, spaces and bullets: enough where the message stays UCS-2 whatever is done.
 */
export function plainTypography(prose: string, extent: "all" | "alike"): string {
  if (!ANY.test(prose)) return prose;
  const change = extent === "all" ? plainLine : alikeLine;
  return prose
    .split(/([\n\uFDD2\uFDD3])/)
    .map((line) => (hasOtherScript(line) || !ANY.test(line) ? line : change(line)))
    .join("");
}

function alikeLine(line: string): string {
  return plainPunctuation(line.normalize("NFC")).replace(SIMPLE, (match) => {
    const char = String.fromCodePoint(match.codePointAt(0) ?? 0);
    return ALIKE.has(char) ? (PLAIN.get(char) ?? match) : match;
  });
}

/** Guillemets and long dashes, whose spaces differ from those of their plain forms. */
function plainPunctuation(line: string): string {
  return line
    .replace(/(?<![\p{L}\p{N}.,!?])« |«[\u00a0\u202f]?/gu, '"')
    .replace(/(?:[\u00a0\u202f]|(?<=[.,!?\p{L}\p{N}]) (?![^ ]*[\p{L}\p{N}]))?»/gu, '"')
    .replace(/(?<=[\p{L}\p{N},.!?:;)"'”’\]])—(?=[\p{L}\p{N}("'“‘¿¡])/gu, " - ")
    .replace(/—+/g, (dashes) => "-".repeat(dashes.length));
}

function plainLine(line: string): string {
  return plainPunctuation(line.normalize("NFC"))
    .replace(DRAWN, plainDrawn)
    .replace(EXPONENT, plainExponent)
    .replace(/(?<=\b[nN])°/g, "o")
    .replace(/°(?= ?[CFK]\b)/g, "")
    .replace(/ ?°(?=\p{L})/gu, " deg ")
    .replace(/ ?°/g, " deg")
    .replace(/(\d?)([½¼¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅐⅑⅒↉])/gu, (_, whole: string, fraction: string) =>
      whole === "" ? (PLAIN.get(fraction) ?? fraction) : `${whole} ${PLAIN.get(fraction) ?? fraction}`,
    )
    .replace(CURRENCY, plainCurrency)
    .replace(/[★⭐]\uFE0F?(?:[★⭐]\uFE0F?)+[☆✩]*|★+[☆✩]+/gu, plainStars)
    .replace(/(?<=\d ?)⭐\uFE0F?|★/gu, "*")
    .replace(SIMPLE, (match) => PLAIN.get(String.fromCodePoint(match.codePointAt(0) ?? 0)) ?? match);
}

/** In code only what is seen and not read: box drawings, hard spaces, and tabs that indent. */
export function plainCode(code: string): string {
  return code
    .replace(/[\u2500-\u257F\u00A0\u202F]/g, (char) => PLAIN.get(char) ?? char)
    .replace(/^\t+/gm, (tabs) => "  ".repeat(tabs.length));
}

function plainDrawn(chars: string): string {
  return chars.replace(/./gu, (char) => {
    const plain = char.normalize("NFKC");
    if (/[\u2776-\u2793]/.test(char)) return `(${(((char.codePointAt(0) ?? 0) - 0x2776) % 10) + 1})`;
    return /[\u2460-\u2473\u24B6-\u24E9]/.test(char) ? `(${plain})` : plain;
  });
}

/** `5 m²` and `CO²` lose nothing as `m2`; a power of a number or a variable keeps its sign. */
function plainExponent(raised: string, offset: number, line: string): string {
  const plain = [...raised].map((char) => RAISED_PLAIN.charAt([...RAISED].indexOf(char))).join("");
  const before = line.slice(Math.max(0, offset - 4), offset);
  if (/(?:^|[^\p{L}])(?:[kcdm]?m|in|ft|yd|mi|s)$/u.test(before) && /^[23]$/.test(plain)) return plain;
  return /[\p{L}\p{N})]$/u.test(before) ? `^${plain}` : plain;
}

function plainCurrency(
  _: string,
  before: string | undefined,
  symbol: string,
  after: string | undefined,
): string {
  const code = CURRENCIES.get(symbol) ?? symbol;
  if (before !== undefined) return `${before.trim()} ${code}`;
  return after === undefined ? code : `${code} `;
}

/** `★★★★☆` is four of five; stars alone stay as many. */
function plainStars(stars: string): string {
  const chars = [...stars].filter((char) => char !== "\uFE0F");
  const full = chars.filter((char) => char === "★" || char === "⭐").length;
  return full < chars.length ? `${full}/${chars.length}` : "*".repeat(full);
}
