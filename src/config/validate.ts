import type { z } from "zod";
import { explainIssue, type Issue, pathOf } from "./issues.ts";
import { type Plain, plainAt, setPlain, toPlain } from "./plain.ts";
import type { Path } from "./problems.ts";
import type { Report } from "./report.ts";
import { schemaAt, tries, wordsOf } from "./schema-walk.ts";
import { locate, type Source } from "./tree.ts";

/**
 * Parses the tree with the schema and reports every problem. What could not be read is then mended (taken out,
 * or replaced by the schema's example) so that the checks between keys still run over the rest; they must ask
 * `report.spoiled` before they conclude anything. Undefined when not even that gives a whole.
 */
export function validate<T extends z.ZodType>(
  root: Source,
  schema: T,
  report: Report,
): z.output<T> | undefined {
  const plain = toPlain(root, schema, report);
  if (plain === undefined) return undefined;
  let result = schema.safeParse(plain);
  while (!result.success && coerce(plain, result.error.issues, schema, root))
    result = schema.safeParse(plain);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    for (const { path, finding } of explainIssue(issue, schema, root)) {
      if (!report.spoiled(path)) report.problem(path, finding);
    }
  }
  const mended = new Set<string>();
  for (let round = 0; round < MOST_ROUNDS && !result.success; round++) {
    for (const issue of result.error.issues) mend(plain, pathOf(issue), mended, schema, root);
    result = schema.safeParse(plain);
  }
  return result.success ? result.data : undefined;
}

const MOST_ROUNDS = 10;

/**
 * Variables come as text. Where the schema refused such a text, and it reads as a number or a switch, that is
 * put in its place. True when anything changed.
 */
function coerce(plain: Plain, issues: readonly Issue[], schema: z.ZodType, root: Source): boolean {
  let changed = false;
  for (const issue of issues) {
    const path = pathOf(issue);
    const { source, depth } = locate(root, path);
    if (depth < path.length || source.kind !== "scalar" || !source.interpolated) continue;
    const value = plainAt(plain, path);
    const typed = typeof value === "string" ? typedValue(value) : undefined;
    if (typed === undefined || tries(schemaAt(schema, path, root), typed).verdict === "wrong type") continue;
    setPlain(plain, path, typed);
    changed = true;
  }
  return changed;
}

function typedValue(text: string): number | boolean | undefined {
  const word = text.trim();
  if (/^true$/i.test(word)) return true;
  if (/^false$/i.test(word)) return false;
  return /^[-+]?\d+(\.\d+)?$/.test(word) ? Number(word) : undefined;
}

/** Takes the bad value out; what is needed, or stands in a list, becomes the schema's example. */
function mend(plain: Plain, path: Path, mended: Set<string>, schema: z.ZodType, root: Source): void {
  for (let at = path; at.length > 0; at = at.slice(0, -1)) {
    const key = JSON.stringify(at);
    const listed = typeof at.at(-1) === "number";
    if (!listed && !mended.has(key) && plainAt(plain, at) !== undefined) {
      mended.add(key);
      setPlain(plain, at, undefined);
      return;
    }
    const [example] = wordsOf(schemaAt(schema, at, root)).examples;
    if (!mended.has(`${key}!`) && isPlain(example)) {
      mended.add(`${key}!`);
      setPlain(plain, at, structuredClone(example));
      return;
    }
  }
}

function isPlain(value: unknown): value is Plain {
  if (Array.isArray(value)) return value.every(isPlain);
  if (typeof value === "object" && value !== null) return Object.values(value).every(isPlain);
  return value === null || ["string", "number", "boolean"].includes(typeof value);
}
