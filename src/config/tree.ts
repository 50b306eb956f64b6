import { isAlias, isMap, isPair, isScalar, isSeq, type Node, type Pair } from "yaml";
import { type Env, interpolate } from "./interpolate.ts";
import type { Path } from "./problems.ts";
import type { ParsedYaml, Span } from "./syntax.ts";

/**
 * The file as a tree of values with their places: aliases and merge keys followed, environment variables put
 * in. An aliased value is one shared node.
 */
export type Source = SourceMap | SourceList | SourceScalar | SourceBroken;

interface SourceMap {
  readonly kind: "map";
  readonly span: Span;
  readonly entries: ReadonlyMap<string, SourceEntry>;
  /** Something below is broken. */
  readonly damaged: boolean;
  /** A merge of it failed: what is not among the entries may have been meant to be. */
  readonly incomplete: boolean;
}

interface SourceEntry {
  /** Where its key stands. */
  readonly key: Span;
  readonly value: Source;
}

interface SourceList {
  readonly kind: "list";
  readonly span: Span;
  readonly items: readonly Source[];
  /** Something below is broken. */
  readonly damaged: boolean;
}

export interface SourceScalar {
  readonly kind: "scalar";
  readonly span: Span;
  readonly value: string | number | boolean | null;
  /** As it stands in the file, quotes included, variables not put in. */
  readonly written: string;
  /** An environment variable was put in. */
  readonly interpolated: boolean;
}

/** Could not be read; the problem is reported already. */
interface SourceBroken {
  readonly kind: "broken";
  readonly span: Span;
}

interface TreeProblem {
  readonly path: Path;
  readonly span: Span;
  readonly message: string;
  readonly fix: string;
}

interface Tree {
  readonly root: Source;
  readonly problems: readonly TreeProblem[];
}

const MAX_DEPTH = 64;

/** Builds the tree of a parsed document. `text` is what was parsed. Never throws. */
export function buildTree(text: string, yaml: ParsedYaml, env: Env): Tree {
  const problems: TreeProblem[] = [];
  const anchors = new Map<string, Source | "open">();
  const contents = yaml.document?.contents;
  const root = contents ? read(contents, []) : nothing(0);
  return { root, problems };

  function report(path: Path, span: Span, message: string, fix: string): SourceBroken {
    problems.push({ path, span, message, fix });
    return broken(span);
  }

  function read(node: Node, path: Path): Source {
    const span = spanOf(node);
    if (path.length > MAX_DEPTH)
      return report(path, span, "is nested too deeply", "write it with less nesting");
    if (isAlias(node)) return readAlias(node.source, span, path);
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) anchors.set(anchor, "open");
    const source = readValue(node, span, path);
    if (anchor !== undefined) anchors.set(anchor, source);
    return source;
  }

  function readAlias(name: string, span: Span, path: Path): Source {
    const target = anchors.get(name);
    if (target === "open") {
      return report(
        path,
        span,
        "is an alias (*…) of something it is itself part of",
        "write the value itself",
      );
    }
    if (target !== undefined) return { ...target, span };
    return report(
      path,
      span,
      "is an alias (*…) of an anchor (&…) that is not set before it",
      'write the value itself, or in "quotes" if it begins with *',
    );
  }

  function readValue(node: Node, span: Span, path: Path): Source {
    if (isMap(node)) return readMap(node.items, span, path);
    if (isSeq(node)) {
      const items = node.items.map((item, i): Source => {
        const at = [...path, i];
        if (isPair(item)) return readMap([item], span, at);
        return isNode(item) ? read(item, at) : nothing(span.start);
      });
      return { kind: "list", span, items, damaged: items.some(isDamaged) };
    }
    if (isScalar(node)) return readScalar(node.value, node.type === "PLAIN", span, path);
    return report(path, span, "is no value", "write a text, a number, a list or a map");
  }

  function readScalar(value: unknown, plain: boolean, span: Span, path: Path): Source {
    const written = text.slice(span.start, span.end);
    if (typeof value === "string") {
      const result = interpolate(yaml.reveal(value), env);
      if (!result.ok) {
        for (const { message, fix } of result.problems) report(path, span, message, fix);
        return broken(span);
      }
      // `key: ${X:-}` without quotes is `key:` when X is empty: nothing was written.
      const empty = result.replaced && plain && result.text === "";
      return {
        kind: "scalar",
        span,
        value: empty ? null : result.text,
        written,
        interpolated: result.replaced,
      };
    }
    if (value === null || typeof value === "number" || typeof value === "boolean") {
      return { kind: "scalar", span, value, written, interpolated: false };
    }
    return report(path, span, "is a value of a kind that is not used here", 'write it in "quotes"');
  }

  function readMap(pairs: readonly Pair<unknown, unknown>[], span: Span, path: Path): SourceMap {
    const entries = new Map<string, SourceEntry>();
    const merged: SourceMap[] = [];
    let incomplete = false;
    for (const pair of pairs) {
      if (!isNode(pair.key)) continue;
      const keySpan = spanOf(pair.key);
      const name = keyName(pair.key);
      if (name === undefined) {
        report(path, keySpan, "has a key that is not a plain text", "write `key: value`");
        continue;
      }
      const at = [...path, name];
      const value = isNode(pair.value) ? read(pair.value, at) : nothing(keySpan.end);
      if (name === MERGE && isScalar(pair.key) && pair.key.type === "PLAIN") {
        const maps = mergeSources(value, at);
        if (maps === undefined) incomplete = true;
        else merged.push(...maps);
        continue;
      }
      const first = entries.get(name);
      if (first !== undefined) {
        const { line } = yaml.position(first.key.start);
        report(at, keySpan, `is written twice; it stands in line ${line} already`, "write each key once");
        continue;
      }
      entries.set(name, { key: keySpan, value });
    }
    for (const more of merged) {
      incomplete ||= more.incomplete;
      for (const [name, entry] of more.entries) if (!entries.has(name)) entries.set(name, entry);
    }
    const damaged = [...entries.values()].some(({ value }) => isDamaged(value));
    return { kind: "map", span, entries, damaged, incomplete };
  }

  /** The maps of a `<<`, the first of which wins; undefined, and reported, when it holds anything else. */
  function mergeSources(value: Source, path: Path): readonly SourceMap[] | undefined {
    const parts = value.kind === "list" ? value.items : [value];
    const maps = parts.filter((part) => part.kind === "map");
    if (maps.length === parts.length) return maps;
    const other = parts.find((part) => part.kind === "scalar" || part.kind === "list");
    if (other !== undefined) {
      report(path, other.span, "merges something that is not a map", "write <<: *name of a map marked &name");
    }
    return undefined;
  }

  function keyName(key: Node): string | undefined {
    if (isScalar(key)) {
      const name = typeof key.value === "string" ? key.value : key.source || undefined;
      if (name !== undefined && key.anchor !== undefined) {
        anchors.set(key.anchor, readScalar(name, false, spanOf(key), []));
      }
      return name === undefined ? undefined : yaml.reveal(name);
    }
    if (!isAlias(key)) return undefined;
    const target = anchors.get(key.source);
    return typeof target === "object" && target.kind === "scalar" ? String(target.value) : undefined;
  }
}

const MERGE = "<<";

function isNode(value: unknown): value is Node {
  return isScalar(value) || isMap(value) || isSeq(value) || isAlias(value);
}

function isDamaged(source: Source): boolean {
  return source.kind === "broken" || (source.kind !== "scalar" && source.damaged);
}

function spanOf(node: Node): Span {
  const [start, end] = node.range ?? [0, 0];
  return { start, end };
}

function broken(span: Span): SourceBroken {
  return { kind: "broken", span };
}

/** What stands after a key with nothing behind it. */
function nothing(at: number): SourceScalar {
  return {
    kind: "scalar",
    span: { start: at, end: at },
    value: null,
    written: "",
    interpolated: false,
  };
}

/** The value at `path` and the place of its key, or as far as the tree goes. */
export function locate(root: Source, path: Path): Located {
  let at: Located = { source: root, key: undefined, depth: 0 };
  for (const step of path) {
    const { source } = at;
    if (source.kind === "map" && typeof step === "string") {
      const entry = source.entries.get(step);
      if (entry === undefined) return at;
      at = { source: entry.value, key: entry.key, depth: at.depth + 1 };
    } else if (source.kind === "list" && typeof step === "number") {
      const item = source.items[step];
      if (item === undefined) return at;
      at = { source: item, key: undefined, depth: at.depth + 1 };
    } else return at;
  }
  return at;
}

export interface Located {
  readonly source: Source;
  /** Undefined for the root and for items of lists. */
  readonly key: Span | undefined;
  /** How many steps of the path exist; all of them when it equals the path's length. */
  readonly depth: number;
}

/** True when something other than nothing stands at `path`, be it right or wrong. */
export function isWritten(root: Source, path: Path): boolean {
  const { source, depth } = locate(root, path);
  return (
    depth === path.length && !(source.kind === "scalar" && (source.value === null || source.value === ""))
  );
}

/** Nothing can be concluded from what stands at `path`, or from its absence: part of it could not be read. */
export function isUnclear(root: Source, path: Path): boolean {
  const { source, depth } = locate(root, path);
  return depth === path.length ? isDamaged(source) : source.kind === "broken" || isIncomplete(source);
}

function isIncomplete(source: Source): boolean {
  return source.kind === "map" && source.incomplete;
}

/** The keys of the map at `path`, in the order of the file; none when there is no map. */
export function keysAt(root: Source, path: Path): readonly string[] {
  const { source, depth } = locate(root, path);
  return depth === path.length && source.kind === "map" ? [...source.entries.keys()] : [];
}
