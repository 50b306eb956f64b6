import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compilePattern } from "../../src/patterns/re2.ts";
import type { Pattern } from "../../src/watch.ts";

function compiled(source: string): Pattern {
  const pattern = compilePattern(source);
  if ("refused" in pattern) throw new Error(pattern.refused);
  return pattern;
}

function refused(source: string): string {
  const pattern = compilePattern(source);
  return "refused" in pattern ? pattern.refused : "";
}

const finds = (source: string, text: string) => compiled(source).test(text);

describe("a pattern", () => {
  test("is found anywhere in the text", () => {
    expect(finds("\\d{6}", "Your code is 482913.")).toBe(true);
    expect(finds("^\\d{6}", "Your code is 482913.")).toBe(false);
    expect(finds("(?i)YOUR CODE", "Your code is 482913.")).toBe(true);
    expect(finds("code", "Your CODE")).toBe(false);
    expect(finds("^second$", "first\nsecond")).toBe(false);
    expect(finds("(?m)^second$", "first\nsecond")).toBe(true);
    expect(finds("Ваш код: \\d+", "Ваш код: 1234")).toBe(true);
    expect(finds("^\\p{Han}+$", "验证码")).toBe(true);
    expect(finds("^.$", "😀")).toBe(true);
    expect(finds("(?<code>\\d{4})", "1234")).toBe(true);
  });

  test("can be used again and again", () => {
    const pattern = compiled("(a|b)+c$");
    for (let i = 0; i < 100; i++) {
      expect(pattern.test("abac")).toBe(true);
      expect(pattern.test("abacd")).toBe(false);
    }
  });

  test("agrees with the engine of JavaScript wherever that is bounded", () => {
    const atom = fc.constantFrom("a", "b", "c", "[ab]", "[^a]", "\\d", "\\w", ".", "\\b", "^", "$", "(?:ab)");
    const piece = fc.tuple(atom, fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,3}"));
    const source = fc
      .array(fc.array(piece, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 })
      .map((sides) =>
        sides
          .map((side) =>
            side.map(([what, times]) => (/^(\\b|\^|\$)$/.test(what) ? what : what + times)).join(""),
          )
          .join("|"),
      );
    const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "1", " ", "é"), maxLength: 12 });
    fc.assert(
      fc.property(source, text, (pattern, input) => {
        expect(finds(pattern, input)).toBe(new RegExp(pattern, "u").test(input));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a pattern that would stall a backtracking engine", () => {
  const EVIL = [
    "(a+)+$",
    "(a|aa)+$",
    "(a*)*b",
    "((a+)+)+!",
    "(.*a){12}b",
    "^(a?){40}a{60}$",
    "^[a-z]{1,120}$",
    "[\\p{L}\\p{N}]{1,40}$",
    "[^\\PL]{1,40}$",
    "(x+x+)+y",
    ".*.*.*.*.*=.*",
    "[ab]*a[ab]{230}$",
    "(\\w+\\s*)+:",
    "(\\p{L}{10}){3}!",
  ];
  const TEXTS = [
    `${"a".repeat(1_599)}!`,
    "a".repeat(1_600),
    "x".repeat(1_600),
    "ab".repeat(800),
    "aab".repeat(533),
    "word ".repeat(320),
    "漢é".repeat(800),
  ];

  for (const source of EVIL) {
    test(`${source} answers 1,600 characters within 100 ms`, () => {
      const pattern = compiled(source);
      for (const text of TEXTS) {
        // The best of a few: the machine may be busy with something else.
        const times = [1, 2, 3, 4, 5, 6].map(() => {
          const start = performance.now();
          pattern.test(text);
          return performance.now() - start;
        });
        expect(Math.min(...times)).toBeLessThan(100);
      }
    });
  }

  test("looks at no more of a text than phones send at once", () => {
    expect(finds("needle", `${" ".repeat(4_000)}needle`)).toBe(true);
    expect(finds("needle", `${" ".repeat(60_000)}needle`)).toBe(false);
  });

  test("is compiled or refused within a moment, whatever it is", () => {
    for (const unit of [
      "\\p{L}{1000}",
      "a{1000}",
      "(a|b|c){1000}",
      "(?i:\\pL){1000}",
      "(",
      "(?:",
      "a|",
      "[^a]",
      "[\\pL\\pN]?",
      "(?i)[^\\pL]?",
    ]) {
      const source = unit.repeat(Math.floor(500 / unit.length));
      const start = performance.now();
      compilePattern(source);
      expect(performance.now() - start).toBeLessThan(500);
    }
  });
});

describe("a pattern that cannot be run is refused", () => {
  const CASES: readonly (readonly [string, string])[] = [
    ["(a)\\1", "Backreferences"],
    ["(?<n>a)\\k<n>", "Backreferences"],
    ["(?P<n>a)(?P=n)", "Backreferences"],
    ["(?=code)\\d+", "Lookahead"],
    ["\\d+(?!:)", "Lookahead"],
    ["(?<=code )\\d+", "lookbehind"],
    ["(?<!code )\\d+", "lookbehind"],
    ["(?>a+)b", "possessive"],
    ["a++b", "possessive"],
    ["(?#note)a", "Comments"],
    ["(?x) a b", "x flag"],
    ["(?u)a", "i, m, s and U"],
    ["(a)?(?(1)b|c)", "Conditions"],
    ["(?'n'a)", "(?<name>…)"],
    ["\\u20ac", "\\x{20ac}"],
    ["a\\Z", "\\z"],
    ["\\q", "q without the backslash"],
    ["\\p{Foo}", "\\p{L}"],
    ["[[:foo:]]", "[:alpha:]"],
    ["[z-a]", "the smaller character first"],
    ["a**", "(?:…)"],
    ["a{2,1}", "smaller count first"],
    ["a{1001}", "at most {1000}"],
    ["[a", "] at its end"],
    ["(a", ") at its end"],
    ["a)", "\\)"],
    ["*a", "\\*"],
    ["a\\", "\\\\"],
    ["(?<n>a)(?<n>b)", "different names"],
    ["a{1000}", "too large"],
    ["(a{30}){30}", "too large"],
    ["[\\p{L}\\p{N}]{1,200}$", "too large"],
    ["(?i)(\\pL{20}){5}x", "too large"],
    ["\\pL?".repeat(20), "classes of Unicode"],
    [`a${"b".repeat(500)}`, "at most 500"],
  ];
  for (const [source, words] of CASES) {
    test(`${source.slice(0, 20)} with what to write instead`, () => {
      expect(refused(source)).toContain(words);
      expect(refused(source)).toMatch(/[.]$/);
    });
  }

  test("and nothing else can come of any text", () => {
    const unit = fc.constantFrom(..."ab1(){}[]|*+?^$\\.,-:=!<>#PpLn\u{1f600}é");
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 30 }), (source) => {
        const pattern = compilePattern(source);
        if ("refused" in pattern) expect(pattern.refused.length).toBeGreaterThan(10);
        else expect(typeof pattern.test("aab 1 a-b")).toBe("boolean");
      }),
      { numRuns: 3_000 },
    );
  });
});
