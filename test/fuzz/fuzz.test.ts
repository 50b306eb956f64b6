import { describe, expect, test } from "bun:test";
import { corpusFiles, fuzz, minimise, type Target, told, tryOut } from "./engine.ts";
import { TARGETS } from "./targets.ts";

/** For all targets together; CI and people give more. */
const SECONDS = Number(process.env.FUZZ_SECONDS ?? "20");
/** Another one every day: what is never the same finds more, and what fails says how to get there again. */
const SEED = Number(process.env.FUZZ_SEED ?? Math.floor(Date.now() / 86_400_000));

describe("whatever it is given", () => {
  for (const target of TARGETS) {
    test(
      `${target.name} keeps its promises: what failed once, and new inputs`,
      () => {
        for (const input of target.seeds) expect(tryOut(target, input)).toBeString();
        for (const { file, input } of corpusFiles(target.name))
          expect(tryOut(target, input), `corpus/${target.name}/${file}`).toBeString();
        const share = (SECONDS * 1_000) / TARGETS.length;
        const { failure, inputs, outcomes } = fuzz(target, SEED, performance.now() + share);
        expect(failure === undefined ? "" : told(failure)).toBe("");
        expect(inputs).toBeGreaterThan(0);
        expect(outcomes).toBeGreaterThan(0);
      },
      { timeout: 60_000 + SECONDS * 1_000 },
    );
  }
});

describe("the fuzzer itself", () => {
  const fragile: Target = {
    name: "fragile",
    seeds: ["a=1&b=2"],
    tokens: ["&", "=", "boom"],
    check(input) {
      if (/boom.*=.*boom/s.test(input)) throw new Error(`breaks on "${input}"`);
      return String(input.length % 7);
    },
  };

  test("finds what chance alone would not, and leads there again by its seed", () => {
    const first = fuzz(fragile, 1, performance.now() + 20_000).failure;
    expect(first).toBeDefined();
    const again = fuzz(fragile, first?.seed ?? 0, performance.now() + 20_000).failure;
    expect(again?.input).toBe(first?.input ?? "");
  });

  test("minimises what it finds", () => {
    const input = `${"x".repeat(3_000)}boom${"y".repeat(500)}=zzboom${"w".repeat(2_000)}`;
    expect(minimise(fragile, input, new Error(`breaks on "${input}"`))).toBe("boom=boom");
  });

  test("tells what is out of all proportion", () => {
    const slow: Target = {
      name: "slow",
      patience: 0.05,
      seeds: [],
      tokens: [],
      check(input) {
        let steps = 0;
        for (let i = 0; i < input.length ** 2; i++) steps += i % 3;
        return String(steps < 0);
      },
    };
    expect(tryOut(slow, "short")).toBeString();
    expect(String(tryOut(slow, "a".repeat(12_000)))).toContain("out of all proportion");
  });
});
