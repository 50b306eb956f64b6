import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { readDataDir } from "../config/access.ts";
import { environment } from "../config/environment.ts";
import { giveToOwner } from "../config/owner.ts";
import { encrypt, loadKey } from "../config/secrets.ts";
import { CliError, EXIT } from "./exit.ts";
import { print, stderr, stdout } from "./output.ts";

export function secretVerb(program: Command): void {
  program
    .command("secret")
    .description("secrets at rest")
    .addHelpText("after", "\nExample:\n  sms-agent secret encrypt --config sms.yaml < token.txt")
    .command("encrypt")
    .description(
      "encrypt a secret for sms.yaml: reads it from standard input and prints the enc: value; makes " +
        "<data_dir>/secret.key where there is no key yet",
    )
    .option("--json", "print the value as JSON")
    .addHelpText("after", "\nExample:\n  sms-agent secret encrypt --config sms.yaml < token.txt")
    .action(async function (this: Command) {
      const { config, json } = this.optsWithGlobals<{ config: string; json?: boolean }>();
      const dataDir = readDataDir(config, environment());
      if (dataDir === undefined)
        throw new CliError(
          EXIT.usage,
          `${config}: data_dir cannot be read from it; sms-agent check says why.`,
        );
      const known = knownKey(config, dataDir);
      if (process.stdin.isTTY) stderr.line("Type the secret and end it with Ctrl-D:");
      const secret = (await new Response(Bun.stdin.stream()).text()).replace(/\r?\n$/, "");
      if (secret === "") throw new CliError(EXIT.usage, "Nothing came on standard input.");
      print(
        stdout,
        { value: encrypt(secret, known ?? newKey(dataDir)) },
        json === true,
        ({ value }) => value,
      );
    });
}

/** The key there is; undefined where one may be made, since nothing in the config was encrypted under another. */
function knownKey(config: string, dataDir: string): Uint8Array | undefined {
  const loaded = loadKey(environment(), dataDir, (path) => readFileSync(path, "utf8"));
  if (loaded.ok) return loaded.key.bytes;
  if (!loaded.missing) throw new CliError(EXIT.usage, `The key ${loaded.message}; ${loaded.fix}.`);
  if (existsSync(config) && /\benc:v\d/.test(readFileSync(config, "utf8")))
    throw new CliError(
      EXIT.usage,
      `${config} has encrypted values already, and their key is not here: set SMS_AGENT_KEY or bring back ${join(dataDir, "secret.key")}.`,
    );
  return undefined;
}

function newKey(dataDir: string): Uint8Array {
  const key = randomBytes(32);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = join(dataDir, "secret.key");
  writeFileSync(file, `${key.toString("base64")}\n`, { mode: 0o600, flag: "wx" });
  giveToOwner(file, dataDir);
  stderr.line(`A new key was written to ${join(dataDir, "secret.key")}; keep a copy of it elsewhere.`);
  return key;
}
