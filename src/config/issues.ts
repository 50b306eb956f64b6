import type { z } from "zod";
import { proposal } from "../nearest.ts";
import type { Path } from "./problems.ts";
import type { Finding } from "./report.ts";
import { type Schema, schemaAt, tries, wordsOf } from "./schema-walk.ts";
import { locate, type Source, type SourceScalar } from "./tree.ts";

export type Issue = z.core.$ZodIssue;

/** The path of an issue, whose symbols (there are none in YAML) are left out. */
export function pathOf(issue: Issue): Path {
  return issue.path.filter((step) => typeof step !== "symbol");
}

/** An issue in the words of an error; several, where a union hides several. */
export function explainIssue(
  issue: Issue,
  schema: Schema,
  root: Source,
): readonly { path: Path; finding: Finding }[] {
  return leaves(issue, []).map(({ issue: leaf, path }) => ({
    path,
    finding: explainLeaf(leaf, path, schemaAt(schema, path, root), root),
  }));
}

/** Of a union's branches, the one the value was meant for: that which did not fail at its first step. */
function leaves(issue: Issue, above: Path): readonly { issue: Issue; path: Path }[] {
  const path = [...above, ...pathOf(issue)];
  if (issue.code !== "invalid_union") return [{ issue, path }];
  const meant = issue.errors.find((branch) =>
    branch.some((inner) => inner.path.length > 0 || inner.code === "custom"),
  );
  return meant === undefined ? [{ issue, path }] : meant.flatMap((inner) => leaves(inner, path));
}

function explainLeaf(issue: Issue, path: Path, schema: Schema | undefined, root: Source): Finding {
  const { title } = wordsOf(schema);
  const { source, depth } = locate(root, path);
  if (depth < path.length || (source.kind === "scalar" && source.value === null)) {
    const message = title === undefined ? "is missing" : `is missing; ${withArticle(title)} is needed here`;
    return { message, fix: missingFix(issue, schema) };
  }
  const finding = explainPresent(issue, schema, source, title ?? "value");
  if (source.kind !== "scalar" || !source.interpolated) return finding;
  // The fix may be made of the value, and the value of an environment variable may be a secret.
  const options = optionsOf(issue);
  const example = exampleOf(schema) ?? withArticle(title ?? "value");
  const meant = options === undefined ? `a value such as ${example}` : `one of ${options.join(", ")}`;
  return { message: finding.message, fix: `set the variable to ${meant}` };
}

const MAP_FORM = "write one `key: value` per line below it, indented";

function missingFix(issue: Issue, schema: Schema | undefined): string {
  const options = optionsOf(issue);
  if (options !== undefined) return `write one of ${options.join(", ")}`;
  if (issue.code === "invalid_type" && issue.expected === "object") return MAP_FORM;
  const example = exampleOf(schema);
  return example === undefined ? "write it" : `write it, such as ${example}`;
}

function explainPresent(issue: Issue, schema: Schema | undefined, source: Source, title: string): Finding {
  const example = exampleOf(schema);
  const such = `write ${withArticle(title)}${example === undefined ? "" : ` such as ${example}`}`;
  const options = optionsOf(issue);
  if (options !== undefined) return explainChoice(options, source);
  const wantsText = issue.code === "invalid_type" && issue.expected === "string";
  if (source.kind === "scalar" && typeof source.value !== "string") {
    if (wantsText || title === "phone number") return explainUnquoted(source, schema, title, such);
  }
  switch (issue.code) {
    case "custom":
      return { message: issue.message, fix: fixOf(issue) ?? such };
    case "invalid_type":
      switch (issue.expected) {
        case "boolean":
          return { message: "is neither true nor false", fix: "write true or false" };
        case "array":
          return { message: "is not a list", fix: "write a list: [first, second], or one `- item` per line" };
        case "object":
        case "record":
          return { message: "is not a map of keys", fix: MAP_FORM };
        case "string":
          return { message: "is not a text", fix: such };
        case "number":
          return { message: `is not ${withArticle(title)}`, fix: `${such}, without quotes` };
        default:
          return { message: `is not ${withArticle(title)}`, fix: such };
      }
    case "too_small":
      if (issue.origin === "string") return { message: "is empty", fix: such };
      if (issue.origin === "array") return { message: "is an empty list", fix: such };
      return { message: "is too small", fix: `write at least ${issue.minimum}` };
    case "too_big":
      return { message: "is too large", fix: `write at most ${issue.maximum}` };
    default:
      return { message: `is not ${withArticle(title)}`, fix: such };
  }
}

function fixOf(issue: Issue | undefined): string | undefined {
  const fix: unknown = issue?.code === "custom" ? issue.params?.fix : undefined;
  return typeof fix === "string" ? fix : undefined;
}

/** A number or a switch where text is wanted, most often a phone number without quotes. */
function explainUnquoted(
  { value, written }: SourceScalar,
  schema: Schema | undefined,
  title: string,
  such: string,
): Finding {
  const kind = typeof value === "number" ? "a number" : "a switch (true or false)";
  const message = `is ${kind} to YAML; ${withArticle(title)} must be quoted`;
  if (title === "secret") return { message, fix: 'write it in "quotes"' };
  const fits = [written, `+${written}`].find((text) => tries(schema, text).verdict === "fits");
  if (fits !== undefined) return { message, fix: `write "${fits}"` };
  // Quotes alone do not help; what the quoted text would be told does.
  const [issue] = tries(schema, written).issues;
  const fix = fixOf(issue);
  if (issue === undefined || fix === undefined) return { message, fix: such };
  return { message: title === "phone number" ? message : issue.message, fix };
}

function explainChoice(options: readonly string[], source: Source): Finding {
  const value = source.kind === "scalar" && source.value !== null ? String(source.value) : "";
  return {
    message: `must be one of ${options.join(", ")}`,
    fix: proposal(value, options, "take it out"),
  };
}

/** The words a place accepts, where it accepts only words. */
function optionsOf(issue: Issue): readonly string[] | undefined {
  if (issue.code === "invalid_value") return issue.values.map(String);
  if (issue.code !== "invalid_union") return undefined;
  if (issue.inclusive === false) return undefined;
  if (issue.options !== undefined) return issue.options.map(String);
  const words = issue.errors.flatMap((branch) =>
    branch.flatMap((inner) => {
      if (inner.code === "invalid_value") return inner.values.map(String);
      return inner.code === "invalid_type" && inner.expected === "boolean" ? ["true", "false"] : [undefined];
    }),
  );
  return words.length > 0 && words.every((word) => word !== undefined) ? words : undefined;
}

/** The schema's example as YAML would have it. */
function exampleOf(schema: Schema | undefined): string | undefined {
  const [example] = wordsOf(schema).examples;
  if (example === undefined) return undefined;
  if (Array.isArray(example)) return `[${example.join(", ")}]`;
  const plain = typeof example !== "string" || /^[A-Za-z./\d][\w./:-]*$/.test(example);
  return plain ? String(example) : JSON.stringify(example);
}

function withArticle(title: string): string {
  return `${/^(?:[aeio]|llm|MCP)/i.test(title) ? "an" : "a"} ${title}`;
}
