import type { Command } from "commander";
import { call } from "./client.ts";
import { EXIT } from "./exit.ts";
import { print, stdout } from "./output.ts";
import { type Channel, type Configuration, channel, configuration, list } from "./shapes.ts";
import { withTarget } from "./target.ts";

export function statusVerb(program: Command): void {
  const verb = program
    .command("status")
    .description("show every channel: its state, and what to do about it; exit code 1 when one is not usable")
    .option("--json", "print the API's answer")
    .addHelpText("after", "\nExample:\n  sms-agent status --config sms.yaml");
  withTarget<{ readonly json?: boolean }>(verb, async (target, options) => {
    const found = await call(target, "GET", "/channels", list(channel));
    const config = await call(target, "GET", "/configuration", configuration);
    print(stdout, { ...found, configuration: config }, options.json === true, ({ items }) =>
      [...items.map(describe), ...notInForce(config)].join("\n"),
    );
    const bad = found.items.some((item) => item.status === "failed" || item.status === "reconnecting");
    if (bad) process.exitCode = EXIT.failed;
  });
}

function notInForce({ file, error }: Configuration): readonly string[] {
  if (error === undefined) return [];
  const problems = error.message.split("\n").map((line) => `    ${line}`);
  return [
    `${file ?? "The configuration"} has been changed, and is not in force:`,
    ...problems,
    `    ${error.fix}`,
  ];
}

function describe(item: Channel): string {
  const agent = item.agent === undefined ? "" : ` → ${item.agent}`;
  const lines = [
    `${item.id}  ${item.status}  ${item.number}  ${item.mode}${agent}  ${item.paired_addresses} paired`,
  ];
  if (item.reason !== undefined) lines.push(`    ${item.reason}`);
  if (item.fix !== undefined) lines.push(`    ${item.fix}`);
  for (const { detail, fix } of item.warnings ?? []) lines.push(`    warning: ${detail}`, `    ${fix}`);
  return lines.join("\n");
}
