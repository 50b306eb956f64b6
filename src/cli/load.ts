import { environment } from "../config/environment.ts";
import { loadConfig } from "../config/load.ts";
import { formatProblems } from "../config/problems.ts";
import type { Settings } from "../settings.ts";
import { CliError, EXIT } from "./exit.ts";

/** Reads a config file. Throws CliError (exit code 2) that lists everything wrong with it. */
export function readSettings(file: string): Settings {
  const loaded = loadedConfig(file);
  if (loaded.kind === "invalid") throw new CliError(EXIT.usage, formatProblems(loaded.problems));
  return loaded.settings;
}

export function loadedConfig(file: string): ReturnType<typeof loadConfig> {
  return loadConfig({ path: file, env: environment() });
}
