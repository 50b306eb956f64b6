import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { type AdminAccess, readAdminAccess } from "../config/access.ts";
import { environment } from "../config/environment.ts";
import type { Settings } from "../settings.ts";
import type { Target } from "./client.ts";
import { CliError, EXIT } from "./exit.ts";
import { readSettings } from "./load.ts";

interface TargetOptions {
  readonly config: string;
  readonly url?: string;
  readonly token?: string;
}

/**
 * Makes a verb one that talks to a running service. The service is found by the config file, or named with
 * `--url` and `--token`. `run` gets the words of the command line after the verb.
 */
export function withTarget<Options>(
  verb: Command,
  run: (target: Target, options: Options, ...words: (string | undefined)[]) => Promise<void>,
): Command {
  return verb
    .option("--url <url>", "the service's admin address, instead of the config's")
    .option("--token <token>", "its admin token, instead of the config's or that of data_dir")
    .action(async function (this: Command) {
      const options = this.optsWithGlobals<Options & TargetOptions>();
      await run(targetOf(options), options, ...this.args);
    });
}

function targetOf(options: TargetOptions): Target {
  const named = options.url === undefined ? undefined : origin(options.url);
  if (named !== undefined && options.token !== undefined) return { url: named, token: options.token };
  const access = readAdminAccess(options.config, environment()) ?? accessOf(readSettings(options.config));
  return {
    url: named ?? adminUrlOf(access.listen),
    token: options.token ?? access.token ?? keptToken(access),
  };
}

function origin(url: string): string {
  if (!/^https?:\/\/[^\s/?#]/i.test(url) || !URL.canParse(url))
    throw new CliError(EXIT.usage, `--url is ${url}; write it as http://127.0.0.1:8081.`);
  return url.replace(/\/+$/, "");
}

function accessOf({ admin, dataDir }: Settings): AdminAccess {
  return { listen: admin.listen, ...(admin.token === undefined ? {} : { token: admin.token }), dataDir };
}

/** Where this machine reaches an admin listener; a wildcard is reached at loopback. */
export function adminUrlOf({ host, port }: AdminAccess["listen"]): string {
  const name =
    host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  return `http://${name}:${port}`;
}

/** The token the service made at its first start. */
function keptToken({ dataDir }: AdminAccess): string {
  const path = join(dataDir, "admin-token");
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT")
      throw new CliError(
        EXIT.unreachable,
        `There is no admin token at ${path}: the service has not been started with this config yet.`,
      );
    throw new CliError(
      EXIT.failed,
      `${path} cannot be read; run as the user the service runs as, or give --token.`,
    );
  }
}
