import type { Command } from "commander";
import pkg from "../../package.json" with { type: "json" };
import { stdout } from "./output.ts";

export const VERSION: string = pkg.version;

export function versionVerb(program: Command): void {
  program
    .command("version")
    .description("print the version")
    .option("--json", "as JSON, with the platform")
    .addHelpText("after", "\nExample:\n  sms-agent version --json")
    .action((options: { json?: boolean }) => {
      const full = { version: VERSION, platform: process.platform, arch: process.arch, bun: Bun.version };
      stdout.line(
        options.json === true
          ? JSON.stringify(full)
          : `sms-agent ${VERSION} (${process.platform}-${process.arch})`,
      );
    });
}
