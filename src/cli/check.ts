import type { Command } from "commander";
import type { ConfigProblem } from "../config/problems.ts";
import { formatProblems } from "../config/problems.ts";
import { AppError, whatIsWrong } from "../errors.ts";
import { counted, dataDirOf, megabytes } from "./data-dir.ts";
import { CliError, EXIT } from "./exit.ts";
import { loadedConfig } from "./load.ts";
import { stdout } from "./output.ts";

export function checkVerb(program: Command): void {
  program
    .command("check")
    .description("check config and policies without starting anything; exit code 2 when something is wrong")
    .option("--json", "print what was understood, or what is wrong, as JSON")
    .option(
      "--data",
      "read the database through instead, while the service runs or not; exit code 1 when damaged",
    )
    .addHelpText(
      "after",
      "\nExamples:\n  sms-agent check --config sms.yaml\n  sms-agent check --json\n  sms-agent check --data",
    )
    .action(async function (this: Command) {
      const options = this.optsWithGlobals<{ config: string; json?: boolean; data?: boolean }>();
      if (options.data === true) return checkData(options.config, options.json === true);
      const checked = await check(options.config);
      if (options.json === true) {
        stdout.line(JSON.stringify(checked, null, 2));
        if (!checked.ok) process.exitCode = EXIT.usage;
        return;
      }
      if (!checked.ok) throw new CliError(EXIT.usage, checked.message);
      for (const warning of checked.warnings) stdout.line(`warning: ${formatProblems([warning])}`);
      const { channels, agents, policies } = checked;
      stdout.line(
        `${options.config}: ok. ${count(channels, "channel")}, ${count(agents, "agent")}, ${policies.length} policies.`,
      );
    });
}

async function checkData(config: string, json: boolean): Promise<void> {
  const app = await import("../app-data.ts");
  const report = app.checkData(dataDirOf(config));
  const { database, bytes, damage, contents } = report;
  const ok = damage.length === 0;
  if (json) {
    stdout.line(JSON.stringify({ ok, ...report }, null, 2));
    if (!ok) process.exitCode = EXIT.failed;
    return;
  }
  if (!ok)
    throw new CliError(
      EXIT.failed,
      [`${database} is damaged:`, ...damage].join("\n  ").concat(`\n${app.WAY_OUT}`),
    );
  stdout.line(`${database}: ok. ${megabytes(bytes)}, ${counted(contents?.messages ?? 0, "message")}.`);
}

type Checked =
  | {
      readonly ok: true;
      readonly channels: readonly string[];
      readonly agents: readonly string[];
      readonly policies: readonly string[];
      readonly warnings: readonly ConfigProblem[];
    }
  /** `problems`: those of the config file. Those of the policies are in `message` alone. */
  | { readonly ok: false; readonly message: string; readonly problems: readonly ConfigProblem[] };

async function check(file: string): Promise<Checked> {
  const loaded = loadedConfig(file);
  if (loaded.kind === "invalid") {
    const { problems } = loaded;
    return { ok: false, message: formatProblems(problems), problems };
  }
  const { settings, warnings } = loaded;
  const { policiesOf } = await import("../app-policies.ts");
  try {
    return {
      ok: true,
      channels: Object.keys(settings.channels),
      agents: Object.keys(settings.agents),
      policies: policiesOf(settings)
        .list()
        .map((policy) => policy.id),
      warnings,
    };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "invalid") throw error;
    return { ok: false, message: whatIsWrong(error), problems: [] };
  }
}

function count(names: readonly string[], what: string): string {
  return `${names.length} ${what}${names.length === 1 ? "" : "s"} (${names.join(", ") || "none"})`;
}
