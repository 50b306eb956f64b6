import { readDataDir } from "../config/access.ts";
import { environment } from "../config/environment.ts";
import { readSettings } from "./load.ts";

/** The data folder of a config. What else is wrong with that file is no matter: its credentials may be elsewhere. */
export function dataDirOf(config: string): string {
  return readDataDir(config, environment()) ?? readSettings(config).dataDir;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`;
}

/** `1 message`, `2 messages`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
