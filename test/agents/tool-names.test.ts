import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { modelToolName } from "../../src/agents/tool-names.ts";

describe("the name a model knows a tool by", () => {
  test("is the tool's own where it can be", () => {
    expect(modelToolName("remind")).toBe("remind");
    expect(modelToolName("home.unlock_door")).toBe("home__unlock_door");
    expect(modelToolName("my-files.read-all")).toBe("my-files__read-all");
  });

  test("of a tool with other characters or a long name is readable, short and always the same", () => {
    const odd = modelToolName("home.lights.kitchen/ceiling");
    expect(odd).toMatch(/^home__lights_kitchen_ceiling_x[0-9a-f]{10}$/);
    expect(modelToolName("home.lights.kitchen/ceiling")).toBe(odd);
    const long = modelToolName(`home.${"very_".repeat(40)}long`);
    expect(long).toHaveLength(64);
    expect(long).toStartWith("home__very_very_");
  });

  const part = fc.oneof(
    fc.stringMatching(/^[a-z_.-]{1,6}$/),
    fc.stringMatching(/^[a-zA-Z0-9_-]{1,90}$/),
    fc.string({ minLength: 1, unit: "grapheme" }),
  );
  const name = fc.oneof(
    part,
    fc.tuple(part, part).map(([server, tool]) => `${server}.${tool}`),
  );

  test("is one that every provider takes", () => {
    fc.assert(
      fc.property(name, (each) => {
        expect(modelToolName(each)).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
      }),
      { numRuns: 2_000 },
    );
  });

  test("is never that of another tool", () => {
    fc.assert(
      fc.property(name, name, (one, other) => {
        fc.pre(one !== other);
        expect(modelToolName(one)).not.toBe(modelToolName(other));
      }),
      { numRuns: 5_000 },
    );
    const close = [
      "a.b__c",
      "a__b.c",
      "a_._b",
      "a._b",
      "a_.b",
      "a__b",
      "a.b",
      "a_b",
      "a..b",
      ".a__b",
      "a.b.",
      "__a",
      "a__",
    ];
    close.push(...close.map(modelToolName));
    expect(new Set(close.map(modelToolName)).size).toBe(new Set(close).size);
  });
});
