import { environment } from "../config/environment.ts";
import { openConfigFile } from "../config/file.ts";
import { loadConfig } from "../config/load.ts";
import { formatProblems } from "../config/problems.ts";
import type { ConfigFile } from "../configuration.ts";
import type { Settings } from "../settings.ts";
import { CliError, EXIT } from "./exit.ts";

/** Reads a config file. Throws CliError (exit code 2) that lists everything wrong with it. */
export function readSettings(file: string): Settings {
  const loaded = loadedConfig(file);
  if (loaded.kind === "invalid") throw new CliError(EXIT.usage, formatProblems(loaded.problems));
  return loaded.settings;
}

/**
 * The same for a service, which goes on reading and writing the file. `warnings` are for its log.
 */
export function openSettings(path: string): {
  readonly file: ConfigFile;
  readonly settings: Settings;
  readonly warnings: readonly string[];
} {
  const file = openConfigFile({ path, env: environment() });
  const read = file.read();
  if (read.kind === "invalid") throw new CliError(EXIT.usage, read.problems.join("\n"));
  return { file, settings: read.settings, warnings: read.warnings };
}

export function loadedConfig(file: string): ReturnType<typeof loadConfig> {
  return loadConfig({ path: file, env: environment() });
}
