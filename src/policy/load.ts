import type { PolicyEngine, PolicyProblem } from "../policy.ts";
import { type PolicyJson, parsePolicy } from "./cedar.ts";
import { checkContent, checkIds } from "./check.ts";
import { DEFAULT_POLICIES } from "./defaults.ts";
import { createEngine, type LoadedPolicy } from "./engine.ts";
import { generatedPolicies } from "./generated.ts";
import { isFaults, type PolicyFile, parseFile } from "./parse.ts";
import type { PolicySettings } from "./settings.ts";
import { positionOf, splitPolicies } from "./source.ts";

export type LoadResult =
  | { readonly kind: "ok"; readonly engine: PolicyEngine }
  | { readonly kind: "invalid"; readonly problems: readonly PolicyProblem[] };

/**
 * The built-in policies, those the settings stand for, and those of `files`, as one engine; or everything that
 * is wrong with the files, in their order. `previous` is the engine this one is to replace: it keeps working,
 * and its counts of hits go on in the new one.
 */
export function loadPolicies(input: {
  readonly files: readonly PolicyFile[];
  readonly settings: PolicySettings;
  readonly previous?: PolicyEngine;
}): LoadResult {
  const { settings, previous } = input;
  const parsed = input.files.map(parseFile);
  const candidates = parsed.flatMap((file) => file.candidates);
  const problems = [
    ...parsed.flatMap((file) => file.problems),
    ...checkIds(candidates),
    ...checkContent(candidates, settings),
  ];
  if (problems.length > 0) return { kind: "invalid", problems: inFileOrder(problems, input.files) };

  const own = candidates.map(({ file, piece, id, json }) =>
    loaded(id, `${file.path}:${positionOf(file.text, piece.at).line}`, piece.text, json),
  );
  const replaced = new Set(candidates.map(({ id }) => id));
  const defaults = Object.entries(DEFAULT_POLICIES)
    .filter(([id]) => !replaced.has(id))
    .map(([id, text]) => built(id, "default", splitPolicies(text)[0]?.text ?? ""));
  const generated = generatedPolicies(settings).map(({ id, text }) => built(id, "generated", text));
  const hits = new Map(previous?.list().map((policy) => [policy.id, policy.hits]));
  const engine = createEngine([...defaults, ...generated, ...own], settings.channels, hits);
  return { kind: "ok", engine };
}

/** A policy of ours. One that does not parse is a bug, not the operator's mistake. */
function built(id: string, source: "default" | "generated", text: string): LoadedPolicy {
  const json = parsePolicy(text);
  if (isFaults(json)) throw new Error(`The ${source} policy ${id} is broken: ${json[0]?.message}`);
  return loaded(id, source, text, json);
}

function loaded(id: string, source: string, text: string, json: PolicyJson): LoadedPolicy {
  return { id, effect: json.effect, source, text, tree: json };
}

function inFileOrder(problems: readonly PolicyProblem[], files: readonly PolicyFile[]): PolicyProblem[] {
  const order = new Map(files.map(({ path }, index) => [path, index]));
  const rank = ({ file }: PolicyProblem) => order.get(file) ?? 0;
  return [...problems].sort((a, b) => rank(a) - rank(b) || a.line - b.line || a.column - b.column);
}
