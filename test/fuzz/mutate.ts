/** Numbers that follow from a seed alone, the same on every machine. */
export interface Random {
  /** A whole number from 0 up to, and without, `below`. */
  below(below: number): number;
  pick<T>(from: readonly [T, ...T[]] | readonly T[]): T;
}

/** mulberry32 over the seed. */
export function randomOf(seed: number): Random {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    below,
    pick(from) {
      const found = from[below(from.length)];
      if (found === undefined) throw new Error("nothing to pick from");
      return found;
    },
  };
}

/** Longest input, UTF-16 units. */
const MAX_INPUT = 12_000;

/** What trips programs up wherever it stands. */
const ODD = [
  "\0",
  "\ud800",
  "\udc00",
  "\u202e",
  "\u200b",
  "\ufeff",
  "\u2028",
  "\r",
  "\n",
  "\t",
  "é",
  "e\u0301",
  "😀",
  "👨‍👩‍👧‍👦",
  "🇩🇪",
  "\u{10ffff}",
  "ſ",
  "İ",
  "一",
  "ع",
  "%00",
  "%ff",
  "%",
  "\\",
  "'",
  '"',
  "`",
  "__proto__",
  "constructor",
  "toString",
  "-1",
  "0",
  "1e999",
  "9".repeat(20),
  "NaN",
  "null",
  "$".concat("{A}"),
  "../",
  "\x1b[31m",
];

/** A new input from one or two of the pool. `tokens`: words of the language the target reads. */
export function mutate(pool: readonly string[], tokens: readonly string[], random: Random): string {
  let text = pool.length === 0 ? "" : random.pick(pool);
  for (let times = 1 + random.below(5); times > 0; times--) text = mutateOnce(text, pool, tokens, random);
  return text.slice(0, MAX_INPUT);
}

function mutateOnce(
  text: string,
  pool: readonly string[],
  tokens: readonly string[],
  random: Random,
): string {
  const [from, to] = [random.below(text.length + 1), random.below(text.length + 1)].sort((a, b) => a - b);
  const [start = 0, end = 0] = [from, to];
  const put = (piece: string) => text.slice(0, start) + piece + text.slice(start);
  switch (random.below(11)) {
    case 0:
      return text.slice(0, start) + text.slice(Math.min(end, start + 40));
    case 1:
      return put(random.pick(ODD));
    case 2:
    case 3:
    case 4:
      return put(tokens.length === 0 ? random.pick(ODD) : random.pick(tokens));
    case 5:
      // Once more, or often: what is nested or repeated shows what is not linear.
      return put(text.slice(start, Math.min(end, start + 60)).repeat(random.pick([1, 2, 10, 200])));
    case 6:
      return put(String.fromCharCode(random.below(random.pick([0x80, 0x100, 0x3000, 0x10000]))));
    case 7: {
      const other = pool.length === 0 ? "" : random.pick(pool);
      return text.slice(0, start) + other.slice(random.below(other.length + 1));
    }
    case 8:
      return text.slice(0, start) + random.pick(ODD) + text.slice(end);
    case 9:
      return text.replace(/\d+/, () =>
        random.pick(["0", "-1", "1e9", "99999999999999999999", "00", "0x1f", ""]),
      );
    default:
      return text.slice(0, start) + [...text.slice(start, end)].reverse().join("") + text.slice(end);
  }
}
