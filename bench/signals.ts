/**
 * How well the local annotation finds codes and confirmation links: precision and recall over a table of
 * real-shaped messages (bench/corpus/signals.jsonl), at least half of which carry neither.
 *
 *   bun run bench signals          figures and misses
 *   bun run bench signals --json   the same as JSON
 */
import { readFileSync } from "node:fs";
import { type Annotation, annotate, type Category } from "../src/annotation.ts";

export interface SignalCase {
  readonly text: string;
  readonly from: string;
  /** BCP 47. */
  readonly language: string;
  readonly expect: {
    readonly category: Category;
    readonly code: string | null;
    readonly link: string | null;
    readonly origin?: string;
  };
  /**
   * Written before the annotation was first run on it. What it missed then was mended by rule, so the figures of
   * these messages too are of texts it has seen; only new messages measure it blindly.
   */
  readonly held_out?: boolean;
}

/** Counts of answers (a code or a link is one answer each). */
export interface Score {
  readonly messages: number;
  /** Messages that expect neither code nor link. */
  readonly traps: number;
  readonly expected: number;
  readonly given: number;
  readonly right: number;
  readonly precision: number;
  readonly recall: number;
  /** Share of messages with the right category. */
  readonly category: number;
}

export interface Miss {
  readonly case: SignalCase;
  readonly got: Annotation;
  readonly what: "answer" | "category" | "origin";
}

export function readCases(): readonly SignalCase[] {
  const file = new URL("./corpus/signals.jsonl", import.meta.url);
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as SignalCase);
}

export function scoreCases(cases: readonly SignalCase[]): {
  readonly score: Score;
  readonly misses: readonly Miss[];
} {
  let expected = 0;
  let given = 0;
  let right = 0;
  let rightCategory = 0;
  let traps = 0;
  const misses: Miss[] = [];
  for (const one of cases) {
    const got = annotate(one.text, one.from);
    const pairs = [
      [one.expect.code, got.code],
      [one.expect.link, got.link],
    ] as const;
    let ok = true;
    for (const [want, have] of pairs) {
      if (want !== null) expected += 1;
      if (have !== undefined) given += 1;
      if (want !== null && want === have) right += 1;
      if ((want ?? undefined) !== have) ok = false;
    }
    if (one.expect.code === null && one.expect.link === null) traps += 1;
    if (!ok) misses.push({ case: one, got, what: "answer" });
    if (one.expect.category === got.category) rightCategory += 1;
    else if (ok) misses.push({ case: one, got, what: "category" });
    if (one.expect.origin !== got.origin) misses.push({ case: one, got, what: "origin" });
  }
  const messages = cases.length;
  const score = {
    messages,
    traps,
    expected,
    given,
    right,
    precision: given === 0 ? 1 : right / given,
    recall: expected === 0 ? 1 : right / expected,
    category: messages === 0 ? 1 : rightCategory / messages,
  };
  return { score, misses };
}

/** Microseconds per message, the best of several rounds so that other work on the machine counts less. */
export function timePerMessage(cases: readonly SignalCase[]): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 20; round++) {
    const start = performance.now();
    for (const one of cases) annotate(one.text, one.from);
    best = Math.min(best, ((performance.now() - start) * 1000) / cases.length);
  }
  return best;
}

function report(cases: readonly SignalCase[]): void {
  const all = scoreCases(cases);
  const row = (name: string, s: Score) =>
    [
      name.padEnd(12),
      String(s.messages).padStart(8),
      String(s.traps).padStart(6),
      s.precision.toFixed(4).padStart(10),
      s.recall.toFixed(4).padStart(8),
      s.category.toFixed(4).padStart(9),
    ].join(" ");
  console.log("language     messages  traps  precision   recall  category");
  for (const language of [...new Set(cases.map((c) => c.language))].sort()) {
    console.log(row(language, scoreCases(cases.filter((c) => c.language === language)).score));
  }
  console.log(row("held out", scoreCases(cases.filter((c) => c.held_out === true)).score));
  console.log(row("all", all.score));
  console.log(`\n${timePerMessage(cases).toFixed(1)} µs per message`);
  for (const miss of all.misses) {
    const { expect, text, language, from } = miss.case;
    console.log(`\n${miss.what} · ${language} · ${from}: ${JSON.stringify(text)}`);
    console.log(`  expected ${JSON.stringify(expect)}`);
    const { category, code, link, origin, candidates } = miss.got;
    console.log(
      `  got      ${JSON.stringify({ category, code, link, origin })} ${JSON.stringify(candidates)}`,
    );
  }
}

if (import.meta.main) {
  const cases = readCases();
  if (process.argv.includes("--json")) {
    const { score, misses } = scoreCases(cases);
    console.log(
      JSON.stringify({ ...score, microseconds: timePerMessage(cases), misses: misses.length }, null, 2),
    );
  } else {
    report(cases);
  }
}
