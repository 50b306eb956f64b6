import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { formatProblems } from "../../src/config/problems.ts";
import { BAD_CONFIGS } from "./bad-configs.ts";
import { load } from "./loading.ts";

const EXAMPLE = readFileSync(new URL("../../sms.example.yaml", import.meta.url), "utf8");

/** Never throws; the settings, or problems that point into the text. */
function holds(text: string): void {
  const loaded = load(text, { env: { A: "1", B: "true", C: "x: y" } });
  if (loaded.kind === "ok") return;
  expect(loaded.problems.length).toBeGreaterThan(0);
  const lines = text.split("\n").length;
  for (const { line, column, message, fix } of loaded.problems) {
    expect(line).toBeWithin(1, lines + 1);
    expect(column).toBeGreaterThanOrEqual(1);
    expect(message).not.toBe("");
    expect(fix).not.toBe("");
  }
  expect(formatProblems(loaded.problems)).not.toContain("undefined");
}

test("any text at all gives settings or problems", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" })), holds), { numRuns: 300 });
});

test("any sequence of YAML's own signs and our own keys does", () => {
  const piece = fc.constantFrom(
    ..."{ } [ ] , : - ? & * ! | > ' \" % @ ` # ~ << --- ...".split(" "),
    ...[
      "\n",
      " ",
      "  ",
      "\t",
      ": ",
      "- ",
      "&a ",
      "*a",
      "<<: *a",
      "!!map ",
      `\${A}`,
      `\${B:-`,
      "}",
      `$\${`,
      "%YAML 1.1\n---\n",
    ],
    ...[
      "channels:",
      "sms:",
      "agents:",
      "provider: simulator",
      "agent: x",
      "mode:",
      "from_number:",
      "+15551234567",
    ],
    ...[
      "reply:",
      "twilio:",
      "auth_token:",
      "webhooks:",
      "events:",
      "2001-01-01",
      ".nan",
      "-.inf",
      "0x1f",
      "1e999",
      "null",
      "__proto__:",
      "constructor:",
    ],
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 60 }).map((parts) => parts.join("")),
      holds,
    ),
    { numRuns: 1_500 },
  );
});

test("any value in any place does", () => {
  const keys = [...new Set(EXAMPLE.match(/\b[a-z_]+(?=:)/g) ?? [])];
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      fc.constantFrom(
        null,
        true,
        0,
        -1,
        1.5,
        "",
        "x",
        "30s",
        "twilio",
        "simulator",
        "llm",
        "http",
        "enc:v1:AAAA",
        `\${A}`,
        `\${NONE}`,
      ),
      fc.array(tie("node"), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom(...keys), tie("node"), { maxKeys: 6 }),
    ),
  })).node;
  const file = fc
    .dictionary(fc.constantFrom(...keys), value, { maxKeys: 8 })
    .map((object) => JSON.stringify(object));
  fc.assert(fc.property(file, holds), { numRuns: 500 });
});

test("the example with any stretch cut out or put elsewhere does", () => {
  const place = fc.nat(EXAMPLE.length);
  fc.assert(
    fc.property(place, place, place, (a, b, c) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      const cut = EXAMPLE.slice(0, from) + EXAMPLE.slice(to);
      holds(cut);
      holds(cut.slice(0, c) + EXAMPLE.slice(from, to) + cut.slice(c));
    }),
    { numRuns: 100 },
  );
});

test("deep nesting, many aliases and long files are refused or read in bounded time", () => {
  const started = performance.now();
  holds("[".repeat(20_000));
  holds(`channels: ${"{a: ".repeat(5_000)}`);
  holds("- ".repeat(5_000));
  const bomb = Array.from(
    { length: 30 },
    (_, i) => `k${i}: &k${i} [${`*k${i - 1}, `.repeat(i === 0 ? 0 : 9)}x]`,
  ).join("\n");
  holds(bomb);
  holds(
    `channels:\n  a: &a0 { agent: x }\n${Array.from({ length: 200 }, (_, i) => `  a${i}: &a${i + 1} { <<: [*a${i}, *a${i}] }\n`).join("")}`,
  );
  holds("x".repeat(1_000_001));
  expect(performance.now() - started).toBeLessThan(10_000);
});

test("every wrong file is still refused with something more wrong in it", () => {
  for (const { text } of BAD_CONFIGS) holds(`${text}\nmore: [`);
});
