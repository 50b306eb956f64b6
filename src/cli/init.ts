import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { writeFileAtomically } from "../config/atomic-file.ts";
import { inheritedEnv } from "../config/environment.ts";
import { formatProblems } from "../config/problems.ts";
import { newConfig, type Ports, withChannel } from "../config/scaffold.ts";
import type { Settings } from "../settings.ts";
import { CliError, EXIT } from "./exit.ts";
import { pairNow } from "./init-pair.ts";
import { type Planned, planChannel } from "./init-plan.ts";
import { loadedConfig, readSettings } from "./load.ts";
import { stdout } from "./output.ts";
import { type Questions, terminalQuestions } from "./questions.ts";
import { VERSION } from "./version.ts";

const TWILIO_API = "https://api.twilio.com";

export function initVerb(program: Command): void {
  program
    .command("init")
    .description(
      "set up a channel by questions: writes a commented sms.yaml, or adds a channel to the one there is",
    )
    .option("--api-url <url>", "where Twilio's API is: a region, or a simulator", TWILIO_API)
    .addHelpText("after", "\nExample:\n  sms-agent init --config sms.yaml")
    .action(async function (this: Command) {
      const { config, apiUrl } = this.optsWithGlobals<{ config: string; apiUrl: string }>();
      if (!process.stdin.isTTY)
        throw new CliError(
          EXIT.usage,
          "init asks questions, and its input is no terminal. Write sms.yaml yourself: sms.example.yaml explains every key, sms-agent check checks it.",
        );
      await init(config, apiUrl, await terminalQuestions());
    });
}

/** Asks, writes, and where wanted pairs a phone at once. A file that is not valid is not touched. */
export async function init(config: string, apiUrl: string, ask: Questions): Promise<void> {
  const present = existsSync(config) ? readSettings(config) : undefined;
  if (present !== undefined) ask.tell(`${config} is there; a channel is added to it.`);
  const [{ numbersOf }, { systemSeams }, { freePorts }] = await Promise.all([
    import("../app-setup.ts"),
    import("../app-seams.ts"),
    import("../app-ports.ts"),
  ]);
  const seams = systemSeams({ level: "error", format: "auto" }, inheritedEnv(), VERSION);
  const planned = await planChannel({
    ask,
    present,
    apiUrl,
    numbersOf: (account) => numbersOf(account, seams),
  });
  const [publicPort, adminPort] = await freePorts([8080, 8081]);
  const ports = { public: publicPort, admin: adminPort };
  const settings = write(config, present, planned, { apiUrl, ports });
  const { name } = planned.plan.channel;
  stdout.line(`${config} is written, and valid.`);
  if (present === undefined && (await ask.confirm("Start it now, and pair your phone?")))
    await pairNow(config, settings, name, ask);
  stdout.line(
    [
      "",
      `  sms-agent --config ${config}          starts the service`,
      `  sms-agent doctor --config ${config}   looks at everything around it`,
      `  sms-agent pair ${name} --config ${config}   lets a phone in`,
    ].join("\n"),
  );
}

/** Secrets first, so that the file is never valid without them. Throws CliError with nothing half done. */
function write(
  config: string,
  present: Settings | undefined,
  planned: Planned,
  { apiUrl, ports }: { readonly apiUrl: string; readonly ports: Ports },
): Settings {
  const { plan, secrets } = planned;
  const before = present === undefined ? undefined : readFileSync(config, "utf8");
  const own = apiUrl === TWILIO_API ? undefined : apiUrl;
  const text = before === undefined ? pointed(newConfig(plan, ports), own) : added(config, before, planned);
  const folder = dirname(config);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const { name, secret } of secrets) {
    const path = join(folder, name);
    if (existsSync(path) && readFileSync(path, "utf8").trim() !== secret)
      throw new CliError(EXIT.failed, `${path} holds another secret already; move it away first.`);
    writeFileSync(path, `${secret}\n`, { mode: 0o600 });
  }
  writeFileAtomically(config, text);
  const loaded = loadedConfig(config);
  if (loaded.kind !== "invalid") return loaded.settings;
  if (before !== undefined) writeFileAtomically(config, before);
  throw new CliError(
    EXIT.failed,
    `What was asked for makes no valid config${before === undefined ? "" : "; the file is as it was"}:\n${formatProblems(loaded.problems)}`,
  );
}

/** Another address of the API than Twilio's own. */
function pointed(text: string, apiUrl: string | undefined): string {
  if (apiUrl === undefined) return text;
  const url = JSON.stringify(apiUrl);
  return text.replace(/^twilio:\n/m, `twilio:\n  api_url: ${url}\n  messaging_url: ${url}\n`);
}

function added(config: string, before: string, { plan }: Planned): string {
  const result = withChannel(before, plan);
  if (result.ok) return result.text;
  throw new CliError(
    EXIT.failed,
    `${config} is written in a form that nothing can be added to by program. Put this into it:\n\n${result.lines}`,
  );
}
