import { loadConfig } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problems.ts";
import type { Settings } from "../../src/settings.ts";

/** Where the tests' config file lies; only its name is shown. */
const FOLDER = "/etc/sms-agent";

export interface World {
  readonly env?: Readonly<Record<string, string>>;
  /** Files by absolute path. */
  readonly files?: Readonly<Record<string, string>>;
  readonly folders?: readonly string[];
}

/** Loads a text as /etc/sms-agent/sms.yaml in a world that holds only what is given. */
export function load(text: string, { env = {}, files = {}, folders = [] }: World = {}) {
  return loadConfig({
    path: `${FOLDER}/sms.yaml`,
    text,
    env,
    readFile(path) {
      const content = files[path];
      if (content !== undefined) return content;
      const code = path.endsWith("forbidden") ? "EACCES" : "ENOENT";
      throw Object.assign(new Error(`${code}: ${path}`), { code });
    },
    isFolder: (path) => folders.includes(path),
    simulatorSeed: "seed",
    systemTimezone: "Europe/Paris",
  });
}

/** The settings of a text that must be right. */
export function settingsOf(text: string, world?: World): Settings {
  const loaded = load(text, world);
  if (loaded.kind === "invalid") throw new Error(formatProblems(loaded.problems));
  return loaded.settings;
}

/** The problems of a text that must be wrong, one line each, without the folder. */
export function problemsOf(text: string, world?: World): string[] {
  const loaded = load(text, world);
  return loaded.kind === "ok" ? [] : lines(loaded.problems);
}

/** The warnings of a text that must be right. */
export function warningsOf(text: string, world?: World): string[] {
  const loaded = load(text, world);
  if (loaded.kind === "invalid") throw new Error(formatProblems(loaded.problems));
  return lines(loaded.warnings);
}

function lines(problems: Parameters<typeof formatProblems>[0]): string[] {
  return problems.map((problem) => formatProblems([problem]).replace(`${FOLDER}/`, ""));
}
