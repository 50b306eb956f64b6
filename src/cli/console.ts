import type { Command } from "commander";
import { call } from "./client.ts";
import { print, stdout } from "./output.ts";
import { signInLink } from "./shapes.ts";
import { withTarget } from "./target.ts";

export function consoleVerb(program: Command): void {
  const verb = program
    .command("console")
    .description("print a link that signs you in to the console, once, within five minutes")
    .option("--json", "print the link as JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  sms-agent console --config sms.yaml\n  sms-agent console --url https://sms-admin.home.lan",
    );
  withTarget<{ readonly json?: boolean }>(verb, async (target, options) => {
    const { path, expires_at } = await call(target, "POST", "/sign-in-links", signInLink);
    print(stdout, { url: `${target.url}${path}`, expires_at }, options.json === true, ({ url }) => url);
  });
}
