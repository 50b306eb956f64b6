import { nearest } from "../nearest.ts";
import type { Path } from "./problems.ts";
import type { Report } from "./report.ts";
import { type Below, below, type Schema } from "./schema-walk.ts";
import type { Source } from "./tree.ts";

/** A value as the schema parses it. */
export type Plain = string | number | boolean | null | Plain[] | { [key: string]: Plain };

/**
 * The tree as plain values, less what the schema does not know: unknown keys are reported here, at any depth,
 * for the parser stops looking in places where something else is wrong. A known key with nothing behind it
 * counts as absent.
 */
export function toPlain(root: Source, schema: Schema, report: Report): Plain | undefined {
  return convert(root, schema, []);

  function convert(source: Source, at: Schema, path: Path): Plain | undefined {
    switch (source.kind) {
      case "scalar":
        return source.value;
      case "broken":
        return undefined;
      case "list": {
        const structure = below(at, source);
        if (structure.kind !== "list") return [];
        return source.items.map((item, i) => convert(item, structure.item, [...path, i]) ?? null);
      }
      case "map":
        return convertMap(source, below(at, source), path);
    }
  }

  function convertMap(source: Source & { kind: "map" }, structure: Below, path: Path): Plain {
    if (structure.kind === "record") {
      return Object.fromEntries(
        [...source.entries].flatMap(([key, { value }]) => {
          const plain = convert(value, structure.value, [...path, key]);
          return plain === undefined ? [] : [[key, plain]];
        }),
      );
    }
    if (structure.kind !== "map") return {};
    const plain: { [key: string]: Plain } = {};
    for (const [key, { value }] of source.entries) {
      const known = structure.known.get(key);
      if (known === undefined) reportUnknown(key, structure, path);
      else {
        const converted = convert(value, known, [...path, key]);
        if (converted !== undefined && converted !== null) plain[key] = converted;
      }
    }
    return plain;
  }

  function reportUnknown(key: string, { known, elsewhere }: Below & { kind: "map" }, path: Path): void {
    const other = elsewhere.get(key);
    const near = nearest(key, known.keys());
    if (near !== undefined) report.spoil([...path, near]);
    const unknownFix = () => {
      if (other !== undefined) return `take it out, or write type: ${other}`;
      if (near !== undefined) return `write ${near}`;
      return `take it out; known here are ${[...known.keys()].join(", ")}`;
    };
    report.problem([...path, key], {
      key: true,
      message: other === undefined ? "is not a known key" : `is a key of \`type: ${other}\` only`,
      fix: unknownFix(),
    });
  }
}

/** The value at `path`; undefined when there is none. */
export function plainAt(root: Plain, path: Path): Plain | undefined {
  let at: Plain | undefined = root;
  for (const step of path) {
    if (typeof at !== "object" || at === null) return undefined;
    if (Array.isArray(at)) at = typeof step === "number" ? at[step] : undefined;
    else at = Object.hasOwn(at, step) ? at[step] : undefined;
  }
  return at;
}

/** Puts `value` at `path`, or with undefined takes away what is there. The parent must exist. */
export function setPlain(root: Plain, path: Path, value: Plain | undefined): void {
  const parent = plainAt(root, path.slice(0, -1));
  const step = path.at(-1);
  if (typeof parent !== "object" || parent === null || step === undefined) return;
  if (Array.isArray(parent)) {
    if (typeof step === "number" && value !== undefined) parent[step] = value;
  } else if (value === undefined) delete parent[step];
  else Object.defineProperty(parent, step, { value, enumerable: true, configurable: true, writable: true });
}
