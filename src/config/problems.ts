/** Keys and list indices from the root of the file to a value. */
export type Path = readonly (string | number)[];

/** One wrong place of the file. Also the form of a warning, which does not stop the start. */
export interface ConfigProblem {
  /** The file as the operator named it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** `channels.sms.agent`, `schedules[0].cron`; "" for the file as a whole. */
  readonly path: string;
  /** What stands there, shortened. Absent where nothing does and where it may be a secret. */
  readonly found?: string;
  /** What is wrong. */
  readonly message: string;
  /** What to write or do instead. */
  readonly fix: string;
}

/** A path as the reader would say it. */
export function showPath(path: Path): string {
  let shown = "";
  for (const step of path) {
    if (typeof step === "number") shown += `[${step}]`;
    else
      shown += `${shown === "" ? "" : "."}${/^[\w-]{1,80}$/.test(step) ? step : JSON.stringify(step.slice(0, 80))}`;
  }
  return shown;
}

/** One line per problem: `sms.yaml:12:5 channels.sms.agent: … (found …) — write …`. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems
    .map(({ file, line, column, path, found, message, fix }) => {
      const where = `${file}:${line}:${column}${path === "" ? "" : ` ${path}`}`;
      return `${where}: ${message}${found === undefined ? "" : ` (found ${found})`} — ${fix}`;
    })
    .join("\n");
}
