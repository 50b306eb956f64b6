import { beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { AppError } from "../../src/errors.ts";
import { compilePattern } from "../../src/patterns/re2.ts";
import type { Settings } from "../../src/settings.ts";
import { ADMIN, type Caller } from "../../src/token.ts";
import { parseWait, type WaitRequest } from "../../src/wait-request.ts";
import { stackSettings } from "./stack.ts";

let settings: Settings;
beforeAll(() => {
  settings = stackSettings();
});

type Context = { readonly caller?: Caller; readonly agent?: string };

function parse(
  kind: "await" | "watch",
  fields: unknown,
  { caller = ADMIN, agent }: Context = {},
): WaitRequest {
  const context = { settings, compile: compilePattern, caller, ...(agent === undefined ? {} : { agent }) };
  return parseWait(kind, fields, context);
}

/** The problems as `path: message`. */
function problems(kind: "await" | "watch", fields: unknown, context: Context = {}): readonly string[] {
  try {
    parse(kind, fields, context);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "invalid") throw error;
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

describe("a request to wait", () => {
  test("has defaults for everything", () => {
    expect(parse("await", {})).toEqual({
      watch: { filters: {}, mode: "once", consume: "claim", backfill: 120_000, expiresIn: 25_000 },
    });
    expect(parse("watch", {}).watch).toMatchObject({ mode: "once", consume: "claim", expiresIn: 86_400_000 });
    expect(parse("watch", { mode: "continuous" }).watch).toMatchObject({ consume: "peek" });
  });

  test("is read with every field", () => {
    const fields = {
      channel: "sms",
      from: ["+15551234567", "22000", "MYBANK", "whatsapp:+1555*"],
      match: "(?i)code",
      category: "verification_code",
      origin: "@Example.COM",
      instructions: " the code for the bank ",
      mode: "once",
      consume: "peek",
      backfill: "10m",
      expires_in: 3600,
      timeout: "300s",
    };
    expect(parse("await", fields)).toEqual({
      watch: {
        filters: {
          channel: "sms",
          from: fields.from,
          match: "(?i)code",
          category: "verification_code",
          origin: "example.com",
          instructions: "the code for the bank",
        },
        mode: "once",
        consume: "peek",
        backfill: 600_000,
        expiresIn: 300_000,
      },
      judge: "assistant",
    });
  });

  test("takes one sender as well as several, and null as absent", () => {
    expect(parse("await", { from: "MYBANK", channel: null, match: null }).watch.filters).toEqual({
      from: ["MYBANK"],
    });
  });

  test("takes durations as text and as seconds", () => {
    expect(parse("await", { timeout: 2.5, backfill: "250ms" }).watch).toMatchObject({
      expiresIn: 2_500,
      backfill: 250,
    });
    expect(parse("await", { timeout: "60s", expires_in: "10s" }).watch.expiresIn).toBe(10_000);
    expect(parse("await", { timeout: 0, backfill: 0 }).watch).toMatchObject({ expiresIn: 0, backfill: 0 });
  });

  test("names everything that is wrong at once, each with what to write", () => {
    const fields = {
      chanel: "sms",
      channel: "coeds",
      from: ["15551234567", "+1 (555) 123-4567", "*", "+1*5*", 7],
      match: "(?=a)",
      category: "verification-code",
      origin: "https://login.example.com/path",
      mode: "twice",
      consume: "take",
      backfill: "11m",
      timeout: "5 min",
      expires_in: true,
    };
    expect(problems("await", fields)).toEqual([
      "chanel: Write channel.",
      "channel: There is no channel coeds; write codes.",
      'from.0: Write "+15551234567".',
      'from.1: Write "+15551234567".',
      "from.2: This matches every sender; leave the field out instead.",
      "from.3: A * stands only at the end.",
      'from.4: Write "+15551234567", a short code, a sender name, or the beginning of one and a *.',
      expect.stringContaining("match: The pattern cannot be run. Lookahead"),
      "category: Write verification_code.",
      "origin: Write login.example.com.",
      "mode: Write one of once, continuous.",
      "consume: Write one of claim, peek.",
      "backfill: At most 600 s.",
      "expires_in: Write a duration, as 30s, or a number of seconds.",
      "timeout: This is not a duration; write 5m.",
    ]);
  });

  test("that is no object is refused", () => {
    for (const input of [undefined, null, "x", 7, ["x"]])
      expect(problems("await", input)).toEqual([': Write an object, as {"from": "+15551234567"}.']);
  });

  test("has limits", () => {
    expect(problems("await", { timeout: "301s" })).toEqual(["timeout: At most 300 s."]);
    expect(problems("await", { timeout: -1 })[0]).toContain("timeout: This is less than nothing");
    expect(problems("watch", { expires_in: "500ms" })).toEqual(["expires_in: At least 1 s."]);
    expect(problems("await", { from: [] })[0]).toContain("from: This is empty");
    expect(problems("await", { from: Array.from({ length: 51 }, () => "22000") })[0]).toContain("At most 50");
    expect(problems("await", { match: "" })).toEqual(["match: This is empty; leave the field out instead."]);
    expect(problems("await", { channel: "out" })[0]).toContain("only sends");
  });

  test("cannot go on after its answer", () => {
    expect(problems("await", { mode: "continuous" })[0]).toContain("make a standing watch");
    expect(problems("watch", { timeout: "5s" })).toEqual([
      "timeout: A standing watch has no timeout; write expires_in.",
    ]);
  });

  test("with instructions needs an llm agent to judge", () => {
    const instructions = "the code for the bank";
    expect(parse("await", { channel: "sms", instructions }).judge).toBe("assistant");
    expect(parse("await", { instructions }, { agent: "assistant" }).judge).toBe("assistant");
    expect(problems("await", { instructions })).toEqual([
      "instructions: Instructions are judged by an llm agent, and without a channel there is no agent to ask; name a channel with an llm agent (sms), or use match, category or from.",
    ]);
    expect(problems("await", { channel: "codes", instructions })[0]).toContain(
      "the channel codes has no agent",
    );
    expect(problems("await", { channel: "shout", instructions })[0]).toContain(
      "the agent parrot is no llm agent",
    );
    expect(problems("await", { channel: "nope", instructions })).toHaveLength(1);
  });

  test("of a token that is limited to channels names only those", () => {
    const one: Caller = { id: "t", scopes: ["signals:await"], channels: ["codes"] };
    const two: Caller = { id: "t", scopes: ["signals:await"], channels: ["codes", "sms"] };
    expect(parse("await", {}, { caller: one }).watch.filters).toEqual({ channel: "codes" });
    expect(problems("await", {}, { caller: two })).toEqual([
      "channel: This token is limited to channels; write one of sms, codes.",
    ]);
    expect(problems("await", { channel: "shout" }, { caller: one })).toEqual([
      "channel: There is no channel shout; write codes.",
    ]);
  });

  test("is either read or refused with named fields, whatever it is", () => {
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom("sms", "22000", "*", "25s", "claim", "once", "(a+)+$", "example.com", "__proto__"),
    );
    const names = ["channel", "from", "match", "category", "origin", "instructions", "mode", "consume"];
    const name = fc.oneof(
      fc.constantFrom(...names, "backfill", "expires_in", "timeout", "__proto__", "constructor"),
      fc.string({ maxLength: 8 }),
    );
    fc.assert(
      fc.property(
        fc.dictionary(name, value),
        fc.constantFrom("await" as const, "watch" as const),
        (fields, kind) => {
          for (const problem of problems(kind, fields)) expect(problem).toMatch(/: [A-Z"'].*\.$/s);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
