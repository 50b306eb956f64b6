import { CharClass, classAt } from "./annotation-text.ts";

export function isPhone(
  text: string,
  start: number,
  lengths: readonly number[],
  groups: readonly string[],
): boolean {
  const total = lengths.reduce((a, b) => a + b, 0);
  if (text[start - 1] === "+" || text[start - 1] === "(") return true;
  if (/\)\s?$/.test(text.slice(Math.max(0, start - 2), start))) return true;
  return total > 8 && phoneLike(groups);
}

/** `555-1234`, and Korean service numbers like `1588-1234`. */
export function isLocalPhone(groups: readonly string[]): boolean {
  const [first = "", second = ""] = groups;
  return groups.length === 2 && second.length === 4 && (first.length === 3 || /^1[5-9]\d\d$/.test(first));
}

export function phoneLike(groups: readonly string[]): boolean {
  const digits = groups.join("");
  return digits.length >= 9 && digits.length <= 15 && groups.length >= 2;
}

export function isDate(groups: readonly string[]): boolean {
  if (groups.length < 2 || groups.length > 3) return false;
  const numbers = groups.map(Number);
  const [a = 0, b = 0, c = 0] = numbers;
  const lengths = groups.map((group) => group.length);
  if (lengths[0] === 4)
    return (
      isYear(groups[0] ?? "") &&
      b >= 1 &&
      b <= 12 &&
      (lengths[1] ?? 3) <= 2 &&
      (groups.length === 2 || (c >= 1 && c <= 31))
    );
  if ((lengths[0] ?? 3) > 2 || (lengths[1] ?? 3) > 2) return false;
  const dayAndMonth = a >= 1 && b >= 1 && ((a <= 31 && b <= 12) || (a <= 12 && b <= 31));
  if (groups.length === 2) return false;
  return dayAndMonth && (lengths[2] === 2 || (lengths[2] === 4 && isYear(groups[2] ?? "")));
}

/** `20240517` or `17052024`. */
export function isCompactDate(value: string): boolean {
  const forward = isYear(value.slice(0, 4)) && inRange(value.slice(4, 6), 12) && inRange(value.slice(6), 31);
  return (
    forward || (isYear(value.slice(4)) && inRange(value.slice(0, 2), 31) && inRange(value.slice(2, 4), 12))
  );
}

function inRange(digits: string, most: number): boolean {
  const number = Number(digits);
  return number >= 1 && number <= most;
}

export function isYear(value: string): boolean {
  return value.length === 4 && (value.startsWith("19") || value.startsWith("20"));
}

export function isCurrency(char: string): boolean {
  return char !== "" && "$€£¥₹₽₩₪₫₴₺₦₱฿₡₲₵₸₼₾￥￡￦".includes(char);
}

export function isAlnum(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  return (unit >= 0x30 && unit <= 0x39) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a);
}

export function isDigit(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  return unit >= 0x30 && unit <= 0x39;
}

/** A letter, beyond ASCII, of an alphabet whose words a number cannot be glued to. */
export function isSpacedLetter(text: string, index: number): boolean {
  return (
    index >= 0 &&
    text.charCodeAt(index) >= 0xc0 &&
    text.charCodeAt(index) < 0x530 &&
    classAt(text, index) === CharClass.letter
  );
}
