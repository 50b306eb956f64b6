import { type ConfigProblem, formatProblems, type Path, showPath } from "./problems.ts";
import type { ParsedYaml, Span } from "./syntax.ts";
import { isUnclear, type Located, locate, type Source } from "./tree.ts";

/** A problem as a check states it; the report adds place and finding. */
export interface Finding {
  readonly message: string;
  readonly fix: string;
  /** Where to point instead of at the value of `path`: at the value or key of another path. */
  readonly at?: Path;
  /** Point at the key, and show no value. */
  readonly key?: boolean;
}

/** Gathers what is wrong with one file. */
export interface Report {
  problem(path: Path, finding: Finding): void;
  warning(path: Path, finding: Finding): void;
  /** A problem of reading the file, whose place is known. It spoils nothing by itself. */
  problemAt(path: Path, span: Span, finding: Finding): void;
  /** Something at, above or below `path` is wrong already, so that nothing can be concluded from it. */
  spoiled(path: Path): boolean;
  /** Makes `path` spoiled without a problem of its own. */
  spoil(path: Path): void;
  /** In the order of the file. */
  problems(): readonly ConfigProblem[];
  warnings(): readonly ConfigProblem[];
  /** Drops problems that do not end before `offset`: what stands behind a syntax error is guesswork. */
  keepBefore(offset: number): void;
}

interface Entry {
  readonly span: Span;
  readonly problem: ConfigProblem;
  /** About something that is absent. */
  readonly absent: boolean;
}

/** `file` as the operator named it. */
export function createReport(file: string, root: Source, position: ParsedYaml["position"]): Report {
  let problems: Entry[] = [];
  const warnings: Entry[] = [];
  const spoilt: Path[] = [];

  function entry(path: Path, finding: Finding): Entry {
    const pointed = finding.at ?? path;
    const located = locate(root, pointed);
    const absent = located.depth < pointed.length;
    const span = (absent || finding.key ? located.key : undefined) ?? located.source.span;
    const found = absent || finding.key || finding.at !== undefined ? undefined : describe(located, path);
    return make(path, span, finding, absent, found);
  }

  function make(path: Path, span: Span, { message, fix }: Finding, absent: boolean, found?: string): Entry {
    const { line, column } = position(span.start);
    const problem = { file, line, column, path: showPath(path), message, fix };
    return { span, absent, problem: found === undefined ? problem : { ...problem, found } };
  }

  return {
    problem(path, finding) {
      problems.push(entry(path, finding));
      spoilt.push(path);
    },
    warning: (path, finding) => void warnings.push(entry(path, finding)),
    problemAt(path, span, finding) {
      problems.push(make(path, span, finding, false));
    },
    spoiled: (path) => spoilt.some((known) => related(known, path)) || isUnclear(root, path),
    spoil: (path) => void spoilt.push(path),
    problems: () => inOrder(problems),
    warnings: () => inOrder(warnings),
    keepBefore(offset) {
      problems = problems.filter(({ span, absent }) => span.end < offset && !absent);
    },
  };
}

function inOrder(entries: readonly Entry[]): readonly ConfigProblem[] {
  const problems = [...entries].sort((a, b) => a.span.start - b.span.start).map(({ problem }) => problem);
  // The YAML parser sees some faults twice.
  return problems.filter((problem, i) => {
    const last = problems[i - 1];
    return last === undefined || formatProblems([last]) !== formatProblems([problem]);
  });
}

function related(a: Path, b: Path): boolean {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Keys whose values are never shown, whatever stands there. */
const SECRET_KEYS: ReadonlySet<string> = new Set([
  "token",
  "auth_token",
  "auth_token_previous",
  "api_key_secret",
  "api_key",
  "secret",
]);
const SECRET_MAPS: ReadonlySet<string> = new Set(["headers", "env"]);

/** True where the value may be a secret, or hold one. */
function isSecretPath(path: Path): boolean {
  const last = path.findLast((step) => typeof step === "string");
  if (typeof last === "string" && SECRET_KEYS.has(last)) return true;
  return path.some((step) => typeof step === "string" && SECRET_MAPS.has(step));
}

const LONGEST_SHOWN = 60;

function describe({ source }: Located, path: Path): string | undefined {
  if (isSecretPath(path)) return undefined;
  switch (source.kind) {
    case "map":
      return "a map";
    case "list":
      return source.items.length === 0 ? "[]" : "a list";
    case "broken":
      return undefined;
    case "scalar": {
      if (source.written === "") return undefined;
      const last = path.at(-1);
      const shown = source.written.replace(/\s+/g, " ");
      if (typeof last === "string" && !source.interpolated) {
        if (last.endsWith("_sid")) return briefly(shown);
        if (last.endsWith("_file") && !/^["']?\.{0,2}\//.test(shown)) return undefined;
      }
      const masked = /:\/\//.test(shown)
        ? shown.replace(/\/\/[^/@\s]*@/, "//***@").replace(/\?[^"']*/, "?…")
        : shown;
      return masked.length > LONGEST_SHOWN ? `${masked.slice(0, LONGEST_SHOWN - 1)}…` : masked;
    }
  }
}

/** Where a sid is expected, a secret may have been put by mistake; likewise in place of a file's path. */
function briefly(shown: string): string {
  const sid = /^["']?[A-Z]{2}[0-9a-fA-F]{0,34}["']?$/.test(shown);
  return sid || shown.length < 8 ? shown : `${shown.slice(0, 2)}… of ${shown.length} characters`;
}
