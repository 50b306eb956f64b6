import { isDeepStrictEqual } from "node:util";
import { isAlias, isMap, isScalar, type Pair, type Scalar, visit, type YAMLMap } from "yaml";
import { type ParsedYaml, parseYaml } from "./syntax.ts";

/** One key of a channel that the service itself may write into the file. */
export type ChannelEdit =
  | { readonly key: "mode"; readonly value: "message" | "signal" }
  | { readonly key: "enabled"; readonly value: boolean };

type Edited =
  | { readonly ok: true; readonly text: string }
  /** Nothing can be written; `message` completes "channels.sms.mode …", `fix` begins with a verb. */
  | { readonly ok: false; readonly message: string; readonly fix: string };

/**
 * The text of sms.yaml with one key of one channel set, and not a character else changed: comments, order and
 * quoting stay. Refused when the present value comes from `${…}` or an alias, and when the result would not
 * read back as exactly this change. Whether the new value makes a valid configuration is for the caller to load.
 */
export function editChannel(text: string, channel: string, edit: ChannelEdit): Edited {
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : "";
  const bare = text.slice(mark.length);
  const before = parseYaml(bare);
  if (before.document === undefined || before.problems.length > 0) {
    return refused(
      "cannot be written, for the file is not valid YAML",
      "correct the file first (sms-agent check)",
    );
  }
  const edited = editParsed(bare, before, channel, edit);
  if (typeof edited !== "string") return edited;
  if (edited === bare) return { ok: true, text };
  if (!isOnlyChange(before, parseYaml(edited), channel, edit)) {
    return refused(
      "stands in a form that cannot be rewritten by program",
      `write ${edit.key}: ${edit.value} yourself`,
    );
  }
  return { ok: true, text: mark + edited };
}

function editParsed(text: string, yaml: ParsedYaml, channel: string, edit: ChannelEdit): string | Refused {
  const byHand = `write ${edit.key}: ${edit.value} into the channel yourself`;
  let map: unknown = yaml.document?.contents;
  for (const step of ["channels", channel]) {
    if (!isMap(map))
      return refused("has no place in the file: channels: is not a map", "correct the file first");
    const pair = findPair(map, step, yaml);
    if (pair === undefined) {
      return hasMerge(map)
        ? refused(`comes from an alias (<<) of ${step}`, byHand)
        : refused("belongs to a channel that is not in the file", "write a channel that is");
    }
    if (isAlias(pair.value)) return refused(`comes from an alias (*${pair.value.source})`, byHand);
    map = pair.value;
    if (isShared(map, yaml)) return refused("is shared with other places through an anchor (&…)", byHand);
  }
  if (!isMap(map)) return refused("belongs to a channel that is no map", "correct the file first");
  const pair = findPair(map, edit.key, yaml);
  if (pair !== undefined) return replaceValue(text, pair, yaml, edit);
  // A merged value could be overridden here, but the operator meant it to be shared.
  if (mergesKey(map, edit.key, yaml)) return refused("comes from an alias (<<)", byHand);
  return insertKey(text, map, edit);
}

interface Refused {
  readonly ok: false;
  readonly message: string;
  readonly fix: string;
}

function refused(message: string, fix: string): Refused {
  return { ok: false, message, fix };
}

function findPair(map: YAMLMap, key: string, yaml: ParsedYaml): Pair | undefined {
  return map.items.find(
    (pair) => isScalar(pair.key) && typeof pair.key.value === "string" && yaml.reveal(pair.key.value) === key,
  );
}

/** True when an alias elsewhere takes this node, so that writing here would change what stands there. */
function isShared(node: unknown, yaml: ParsedYaml): boolean {
  const anchor = isMap(node) || isScalar(node) ? node.anchor : undefined;
  if (anchor === undefined || yaml.document === undefined) return false;
  let used = false;
  visit(yaml.document, {
    Alias(_, alias) {
      if (alias.source === anchor) used = true;
    },
  });
  return used;
}

function hasMerge(map: YAMLMap): boolean {
  return map.items.some((pair) => isMerge(pair));
}

function isMerge(pair: Pair): boolean {
  return isScalar(pair.key) && pair.key.source === "<<" && pair.key.type === "PLAIN";
}

/** True when one of the maps merged into `map` has the key, itself or by a merge of its own. */
function mergesKey(map: YAMLMap, key: string, yaml: ParsedYaml, seen = new Set<YAMLMap>()): boolean {
  if (seen.has(map)) return false;
  seen.add(map);
  return map.items.filter(isMerge).some(({ value }) => {
    const sources =
      value !== null && typeof value === "object" && "items" in value && !isMap(value)
        ? value.items
        : [value];
    if (!Array.isArray(sources)) return true;
    return sources.some((source: unknown) => {
      const target = isAlias(source) && yaml.document !== undefined ? source.resolve(yaml.document) : source;
      if (!isMap(target)) return true;
      return findPair(target, key, yaml) !== undefined || mergesKey(target, key, yaml, seen);
    });
  });
}

function replaceValue(text: string, pair: Pair, yaml: ParsedYaml, edit: ChannelEdit): string | Refused {
  const { value } = pair;
  const written = String(edit.value);
  if (isAlias(value))
    return refused(`comes from an alias (*${value.source})`, `write ${written} instead of the alias`);
  if (value === null || value === undefined) return refused("has no value", `write ${edit.key}: ${written}`);
  if (!isScalar(value) || !value.range) return refused("is not a single value", `write ${written} instead`);
  if (typeof value.value === "string" && yaml.reveal(value.value).includes(`\${`)) {
    return refused(
      "comes from an environment variable",
      `write ${written} instead of the variable, or set it`,
    );
  }
  if (isShared(value, yaml)) {
    return refused(
      "is shared with other places through an anchor (&…)",
      `write ${written} without the anchor`,
    );
  }
  const [start, end] = value.range;
  if (value.value === edit.value) return text;
  if (value.value === null && start === end) return insertAfterColon(text, pair, written);
  const quoted = quoteLike(value, written);
  return quoted === undefined
    ? refused("stands in several lines", `write ${edit.key}: ${written}`)
    : text.slice(0, start) + quoted + text.slice(end);
}

function insertAfterColon(text: string, pair: Pair, written: string): string | Refused {
  const keyEnd = isScalar(pair.key) && pair.key.range ? pair.key.range[1] : -1;
  const colon = keyEnd < 0 ? -1 : text.indexOf(":", keyEnd);
  if (colon < 0) return refused("has no value", `write ${written}`);
  return `${text.slice(0, colon + 1)} ${written}${text.slice(colon + 1)}`;
}

function quoteLike(scalar: Scalar, written: string): string | undefined {
  switch (scalar.type) {
    case "PLAIN":
      return written;
    case "QUOTE_DOUBLE":
      return `"${written}"`;
    case "QUOTE_SINGLE":
      return `'${written}'`;
    default:
      return undefined;
  }
}

/** Puts the key below the first simple one (`provider: twilio`), in its column; in `{ … }` at the front. */
function insertKey(text: string, map: YAMLMap, edit: ChannelEdit): string | Refused {
  const line = `${edit.key}: ${edit.value}`;
  const first = rangeOf(map.items[0]?.key);
  if (map.flow) {
    const open = map.range ? text.indexOf("{", map.range[0]) : -1;
    if (open < 0) return refused("has no place in the channel", `write ${line} into it`);
    return first === undefined
      ? `${text.slice(0, open + 1)} ${line} ${text.slice(open + 1)}`
      : `${text.slice(0, first.start)}${line}, ${text.slice(first.start)}`;
  }
  if (first === undefined) return refused("has no place in the channel", `write ${line} into it`);
  const lineStart = text.lastIndexOf("\n", first.start - 1) + 1;
  const indent = " ".repeat(first.start - lineStart);
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  for (const pair of map.items) {
    const value = isScalar(pair.value) && pair.value.type === "PLAIN" ? rangeOf(pair.value) : undefined;
    if (value === undefined || value.start === value.end) continue;
    const next = text.indexOf("\n", value.end);
    const at = next < 0 ? text.length : text[next - 1] === "\r" ? next - 1 : next;
    return `${text.slice(0, at)}${eol}${indent}${line}${text.slice(at)}`;
  }
  return `${text.slice(0, first.start)}${line}${eol}${indent}${text.slice(first.start)}`;
}

function rangeOf(node: unknown): { start: number; end: number } | undefined {
  if (!isScalar(node) || !node.range) return undefined;
  return { start: node.range[0], end: node.range[1] };
}

/** Reads both texts back: the one key has the new value, and all else is as it was. */
function isOnlyChange(before: ParsedYaml, after: ParsedYaml, channel: string, edit: ChannelEdit): boolean {
  if (before.document === undefined || after.document === undefined || after.problems.length > 0)
    return false;
  try {
    const old: unknown = before.document.toJS({ mapAsMap: true });
    const now: unknown = after.document.toJS({ mapAsMap: true });
    const target = step(step(old, "channels"), channel);
    if (!(target instanceof Map)) return false;
    const changed = step(step(now, "channels"), channel);
    if (!(changed instanceof Map) || changed.get(edit.key) !== edit.value) return false;
    target.set(edit.key, edit.value);
    return isDeepStrictEqual(old, now);
  } catch {
    return false; // an alias that leads nowhere
  }
}

function step(value: unknown, key: string): unknown {
  return value instanceof Map ? value.get(key) : undefined;
}
