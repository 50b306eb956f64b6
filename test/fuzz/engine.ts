import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mutate, randomOf } from "./mutate.ts";

/** One reader of untrusted input, and what must hold for everything it is given. */
export interface Target {
  readonly name: string;
  /** Inputs to begin with. */
  readonly seeds: readonly string[];
  /** Words of the language it reads. */
  readonly tokens: readonly string[];
  /**
   * Throws where something does not hold. Answers what kind of outcome it was: an input with an outcome that was
   * not seen before is kept and changed further, which leads where chance alone would not.
   */
  readonly check: (input: string) => string;
  /** Times the usual cost of an input that is allowed; see `tooSlow`. */
  readonly patience?: number;
}

export interface Failure {
  readonly target: string;
  /** Leads to the same input again, by `--target` and `--seed`. */
  readonly seed: number;
  readonly input: string;
  readonly minimised: string;
  readonly error: string;
}

export interface Tally {
  readonly target: string;
  readonly inputs: number;
  /** Kinds of outcomes that were seen. */
  readonly outcomes: number;
  readonly failure?: Failure;
}

export const CORPUS = join(import.meta.dir, "corpus");
const MAX_POOL = 400;
/** Inputs of one seed before its pool is given up. */
const ROUND = 2_000;

/** Tries inputs until `until` (performance.now) or the first failure. A round follows from its seed alone. */
export function fuzz(target: Target, seed: number, until: number): Tally {
  const seen = new Set<string>();
  let inputs = 0;
  for (let round = seed; performance.now() < until; round++) {
    const random = randomOf(round);
    const pool = [...target.seeds, ...corpusOf(target.name)];
    const known = new Set<string>();
    for (let n = 0; n < ROUND && performance.now() < until; n++) {
      const input = mutate(pool, target.tokens, random);
      inputs += 1;
      const outcome = tryOut(target, input);
      if (outcome instanceof Error) {
        const minimised = minimise(target, input, outcome);
        const failure = { target: target.name, seed: round, input, minimised, error: String(outcome) };
        return { target: target.name, inputs, outcomes: seen.size, failure };
      }
      seen.add(outcome);
      if (known.has(outcome)) continue;
      known.add(outcome);
      pool.push(input);
      if (pool.length > MAX_POOL) pool.splice(random.below(pool.length), 1);
    }
  }
  return { target: target.name, inputs, outcomes: seen.size };
}

/** The outcome, or what does not hold. */
export function tryOut(target: Target, input: string): string | Error {
  try {
    const began = performance.now();
    const outcome = target.check(input);
    if (tooSlow(target, input, performance.now() - began))
      return new Error(`takes out of all proportion to its ${input.length} characters`);
    return outcome;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** What `work` takes of a processor, ms: on a busy machine time passes without any work being done. */
function cost(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** What a fixed piece of work costs on this machine at this moment, ms. */
function unit(): number {
  let sum = 0;
  const once = () =>
    cost(() => {
      for (let i = 0; i < 400_000; i++) sum = (sum * 31 + i) % 1_000_003;
    });
  // The first of them may be what the compiler costs.
  return Math.max(0.2, Math.min(once(), once(), once())) + (sum < 0 ? 1 : 0);
}

/**
 * Measured against a fixed piece of work at the same moment, and several times: an input may cost a constant and a bit
 * for each character.
 */
function tooSlow(target: Target, input: string, ms: number): boolean {
  // Most inputs are far from it, and the fixed piece of work takes longer than they do.
  if (ms < 3) return false;
  const allowed = () => unit() * (target.patience ?? 1) * (60 + input.length / 20);
  for (let again = 0; again < 5; again++) if (cost(() => target.check(input)) <= allowed()) return false;
  return true;
}

/** A shorter input with the same kind of failure: pieces are taken out as long as it stays. */
export function minimise(target: Target, input: string, error: Error): string {
  const kind = kindOf(error);
  const until = performance.now() + 10_000;
  const fails = (text: string) => {
    const outcome = tryOut(target, text);
    return outcome instanceof Error && kindOf(outcome) === kind;
  };
  let text = input;
  for (let size = Math.ceil(text.length / 2); size >= 1 && performance.now() < until; ) {
    let shorter = false;
    for (let at = 0; at < text.length && performance.now() < until; ) {
      const without = text.slice(0, at) + text.slice(at + size);
      if (without.length < text.length && fails(without)) {
        text = without;
        shorter = true;
      } else at += size;
    }
    if (size === 1 && !shorter) break;
    if (!shorter || size > text.length) size = Math.floor(size / 2);
  }
  return text;
}

/** Messages differ in the values they quote. */
function kindOf(error: Error): string {
  return error.message.replace(/"(?:[^"\\]|\\.)*"|\d+/g, "…").slice(0, 60);
}

/** Inputs that have failed once, each as a JSON string, so that every byte of them is readable and kept. */
export function corpusOf(target: string): readonly string[] {
  return corpusFiles(target).map(({ input }) => input);
}

export function corpusFiles(target: string): readonly { readonly file: string; readonly input: string }[] {
  const folder = join(CORPUS, target);
  let names: string[];
  try {
    names = readdirSync(folder).sort();
  } catch {
    return [];
  }
  return names.map((name) => {
    const input: unknown = JSON.parse(readFileSync(join(folder, name), "utf8"));
    if (typeof input !== "string") throw new Error(`${folder}/${name} is no JSON string`);
    return { file: name, input };
  });
}

/** Puts the input into the corpus; answers where it lies. */
export function save({ target, minimised }: Failure): string {
  const folder = join(CORPUS, target);
  mkdirSync(folder, { recursive: true });
  const name = createHash("sha256").update(JSON.stringify(minimised)).digest("hex").slice(0, 12);
  const path = join(folder, `${name}.json`);
  writeFileSync(path, `${JSON.stringify(minimised)}\n`);
  return path;
}

/** A failure in words, with the way back to it. */
export function told({ target, seed, minimised, error }: Failure): string {
  return [
    `${target} fails: ${error}`,
    `  again: bun run test:fuzz --target ${target} --seed ${seed}`,
    `  input: ${JSON.stringify(minimised)}`,
  ].join("\n");
}
