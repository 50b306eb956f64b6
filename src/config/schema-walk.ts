import { z } from "zod";
import type { Path } from "./problems.ts";
import type { Source } from "./tree.ts";

export type Schema = z.core.SomeType;

/** What a schema says about the values below it. */
export type Below =
  /** `elsewhere`: keys that belong to another `type` of agent, and to which. */
  | {
      readonly kind: "map";
      readonly known: ReadonlyMap<string, Schema>;
      readonly elsewhere: ReadonlyMap<string, string>;
    }
  | { readonly kind: "record"; readonly value: Schema }
  | { readonly kind: "list"; readonly item: Schema }
  | { readonly kind: "leaf" };

/** The structure expected at a place where `source` stands; a union is resolved by what it is. */
export function below(schema: Schema, source: Source | undefined): Below {
  const bare = unwrap(schema);
  if (bare instanceof z.ZodObject) {
    return { kind: "map", known: new Map(Object.entries<Schema>(bare.shape)), elsewhere: new Map() };
  }
  if (bare instanceof z.ZodRecord) return { kind: "record", value: bare.valueType };
  if (bare instanceof z.ZodArray) return { kind: "list", item: bare.element };
  if (bare instanceof z.ZodDiscriminatedUnion) return belowUnion(bare, source);
  if (bare instanceof z.ZodUnion && source?.kind === "map") {
    const map = bare.options.find((option) => unwrap(option) instanceof z.ZodObject);
    if (map !== undefined) return below(map, source);
  }
  return { kind: "leaf" };
}

/** The keys of the variant that the source names; of all variants while it names none. */
function belowUnion(union: z.ZodDiscriminatedUnion, source: Source | undefined): Below {
  const tag = union.def.discriminator;
  const named = source?.kind === "map" ? source.entries.get(tag)?.value : undefined;
  const value = named?.kind === "scalar" ? named.value : undefined;
  const known = new Map<string, Schema>();
  const elsewhere = new Map<string, string>();
  const variants = union.options.filter((option) => option instanceof z.ZodObject);
  const chosen = variants.find((variant) => tagOf(variant, tag) === value);
  for (const variant of variants) {
    for (const [key, schema] of Object.entries<Schema>(variant.shape)) {
      if (chosen === undefined || chosen === variant) known.set(key, schema);
      else if (!elsewhere.has(key)) elsewhere.set(key, String(tagOf(variant, tag)));
    }
  }
  return { kind: "map", known, elsewhere };
}

function tagOf(variant: z.ZodObject, tag: string): unknown {
  const literal: Schema | undefined = variant.shape[tag];
  return literal instanceof z.ZodLiteral ? literal.value : undefined;
}

/** The schema of the value at `path`, as far as the source decides between variants. */
export function schemaAt(root: Schema, path: Path, source: Source | undefined): Schema | undefined {
  let schema: Schema | undefined = root;
  let at = source;
  for (const step of path) {
    if (schema === undefined) return undefined;
    const structure: Below = below(schema, at);
    if (structure.kind === "map") schema = structure.known.get(String(step));
    else if (structure.kind === "record") schema = structure.value;
    else schema = structure.kind === "list" ? structure.item : undefined;
    at = stepInto(at, step);
  }
  return schema;
}

function stepInto(source: Source | undefined, step: string | number): Source | undefined {
  if (source?.kind === "map") return source.entries.get(String(step))?.value;
  if (source?.kind === "list" && typeof step === "number") return source.items[step];
  return undefined;
}

/** The schema without what makes it optional, keeps a default or transforms its result. */
function unwrap(schema: Schema): Schema {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault) return unwrap(schema.unwrap());
  return schema instanceof z.ZodPipe ? unwrap(schema.in) : schema;
}

/** What a schema's metadata says to people. */
export interface Words {
  /** What the value is: "duration". */
  readonly title?: string;
  readonly examples: readonly unknown[];
}

/** The words a schema carries, also inside optional and default. */
export function wordsOf(schema: Schema | undefined): Words {
  let at = schema;
  while (at !== undefined) {
    const meta = at instanceof z.ZodType ? at.meta() : undefined;
    if (meta !== undefined) {
      const examples = Array.isArray(meta.examples) ? meta.examples : [];
      return meta.title === undefined ? { examples } : { title: meta.title, examples };
    }
    if (at instanceof z.ZodOptional || at instanceof z.ZodPrefault) at = at.unwrap();
    else at = at instanceof z.ZodPipe ? at.in : undefined;
  }
  return { examples: [] };
}

interface Tried {
  /** Taken as it is; not; or refused for its content, not its type. */
  readonly verdict: "fits" | "wrong type" | "wrong content";
  readonly issues: readonly z.core.$ZodIssue[];
}

/** Whether a schema takes `value`. */
export function tries(schema: Schema | undefined, value: unknown): Tried {
  if (!(schema instanceof z.ZodType)) return { verdict: "wrong type", issues: [] };
  const result = schema.safeParse(value);
  if (result.success) return { verdict: "fits", issues: [] };
  const { issues } = result.error;
  const typed = issues.every(({ code }) => code !== "invalid_type" && code !== "invalid_union");
  return { verdict: typed ? "wrong content" : "wrong type", issues };
}
