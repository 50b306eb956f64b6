import { type Command, Option } from "commander";
import { call } from "./client.ts";
import { CliError, EXIT } from "./exit.ts";
import { print, stdout } from "./output.ts";
import { chooseChannel } from "./pair.ts";
import { type Channel, channel } from "./shapes.ts";
import { withTarget } from "./target.ts";

interface ModeOptions {
  readonly enable?: boolean;
  readonly disable?: boolean;
  readonly json?: boolean;
}

const MODES: readonly string[] = ["message", "signal"];

export function modeVerb(program: Command): void {
  const verb = program
    .command("mode [channel] [mode]")
    .description("show or switch a channel's mode: message (the agent answers) or signal (capture only)")
    .addOption(new Option("--enable", "switch the channel on").conflicts("disable"))
    .option("--disable", "switch the channel off: texts are still taken in, nothing is answered or sent")
    .option("--json", "print the API's answer")
    .addHelpText(
      "after",
      "\nExamples:\n  sms-agent mode sms\n  sms-agent mode sms signal\n  sms-agent mode sms message --enable\n\nThe configuration file is rewritten, comments and order kept, and takes effect at once.",
    );
  withTarget<ModeOptions>(verb, async (target, options, id, mode) => {
    const only = id !== undefined && mode === undefined && MODES.includes(id);
    if (only)
      throw new CliError(
        EXIT.usage,
        `Say which channel is to be in mode ${id}: sms-agent mode <channel> ${id}.`,
      );
    if (mode !== undefined && !MODES.includes(mode))
      throw new CliError(EXIT.usage, `There is no mode ${mode}; write message or signal.`);
    const change = {
      ...(mode === undefined ? {} : { mode }),
      ...(options.enable === true ? { enabled: true } : {}),
      ...(options.disable === true ? { enabled: false } : {}),
    };
    const path = `/channels/${encodeURIComponent(await chooseChannel(target, id))}`;
    const shown =
      Object.keys(change).length === 0
        ? await call(target, "GET", path, channel)
        : await call(target, "PATCH", path, channel, { body: change });
    print(stdout, shown, options.json === true, describe);
  });
}

function describe(shown: Channel): string {
  const agent = shown.mode === "message" && shown.agent !== undefined ? ` → ${shown.agent}` : "";
  const lines = [`${shown.id}  ${shown.mode}${agent}  ${shown.status}`];
  if (shown.status === "pairing" || shown.status === "failed" || shown.status === "reconnecting") {
    if (shown.reason !== undefined) lines.push(`    ${shown.reason}`);
    if (shown.fix !== undefined) lines.push(`    ${shown.fix}`);
  }
  return lines.join("\n");
}
