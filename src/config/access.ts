import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseDocument } from "yaml";
import type { ListenAddress } from "../settings.ts";
import { DEFAULTS } from "./defaults.ts";
import { readListen } from "./fields.ts";
import { type Env, interpolate } from "./interpolate.ts";

/** What a verb needs of a config to reach the service that runs with it. */
export interface AdminAccess {
  readonly listen: ListenAddress;
  /** Absent when the service has made its own, in `dataDir`. */
  readonly token?: string;
  readonly dataDir: string;
}

/**
 * Reads where the service of a config is, and nothing else of it: its credentials may be in an environment that
 * only the service has, and a file that was broken by an edit still says where the service is that runs with
 * the one before. Undefined when those few keys cannot be read by themselves; `loadConfig` then says why.
 */
export function readAdminAccess(path: string, env: Env): AdminAccess | undefined {
  try {
    const root: unknown = parseDocument(readFileSync(path, "utf8")).toJS();
    const admin = child(root, "admin");
    const listen = readListen(text(child(admin, "listen"), env) ?? DEFAULTS.admin.listen);
    const token = text(child(admin, "token"), env);
    if (!listen.ok || token?.startsWith("enc:") === true || child(admin, "token_file") !== undefined)
      return undefined;
    return {
      listen: listen.value,
      ...(token === undefined ? {} : { token }),
      dataDir: resolve(dirname(path), text(child(root, "data_dir"), env) ?? DEFAULTS.data_dir),
    };
  } catch {
    return undefined;
  }
}

/** The data folder of a config, whatever else is wrong with it; undefined when it cannot be told. */
export function readDataDir(path: string, env: Env): string | undefined {
  try {
    const root: unknown = parseDocument(readFileSync(path, "utf8")).toJS();
    return resolve(dirname(path), text(child(root, "data_dir"), env) ?? DEFAULTS.data_dir);
  } catch {
    return undefined;
  }
}

function child(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

/** The text with its variables put in; undefined for nothing, and for what comes to nothing. */
function text(value: unknown, env: Env): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw new TypeError("not a text");
  const put = interpolate(value, env);
  if (!put.ok) throw new TypeError("a variable is not set");
  return put.text.trim() === "" ? undefined : put.text;
}
