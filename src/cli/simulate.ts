import { type Command, InvalidArgumentError, Option } from "commander";
import { inheritedEnv } from "../config/environment.ts";
import { stdout } from "./output.ts";
import { untilSignal } from "./signals.ts";
import { VERSION } from "./version.ts";

interface SimulateOptions {
  readonly listen: { host: string; port: number };
  readonly accountSid?: string;
  readonly authToken?: string;
  readonly number: readonly string[];
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

function address(value: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]+)):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new InvalidArgumentError("Write host:port, as in 127.0.0.1:4010.");
  return { host: match[1] ?? match[2] ?? "", port };
}

function accountSid(value: string): string {
  if (!/^AC[0-9a-fA-F]{32}$/.test(value))
    throw new InvalidArgumentError("Write AC and 32 hexadecimal digits.");
  return value;
}

function gather(value: string, all: readonly string[]): readonly string[] {
  if (!/^(whatsapp:)?\+[1-9]\d{6,14}$/.test(value))
    throw new InvalidArgumentError("Write the number as +15551234567, or whatsapp:+15551234567.");
  return [...all, value];
}

export function simulateVerb(program: Command): void {
  program
    .command("simulate")
    .description("run the Twilio-compatible carrier by itself, for testing any code that speaks Twilio's API")
    .addOption(
      new Option("--listen <address>", "where to listen; port 0 takes any free one")
        .argParser(address)
        .default({ host: "127.0.0.1", port: 4010 }, "127.0.0.1:4010"),
    )
    .option("--account-sid <sid>", "the only account to accept (AC…); without it any account is", accountSid)
    .option("--auth-token <token>", "its auth token; also signs the webhooks")
    .addOption(
      new Option("--number <number>", "a number of that account; may be given several times")
        .argParser(gather)
        .default([], "none"),
    )
    .addOption(
      new Option("--log-level <level>", "how much is logged to standard error")
        .choices(["debug", "info", "warn", "error"])
        .default("info"),
    )
    .addHelpText(
      "after",
      "\nExamples:\n  sms-agent simulate --listen 127.0.0.1:4010\n  # then, in sms.yaml: twilio: { api_url: http://127.0.0.1:4010, messaging_url: http://127.0.0.1:4010 }\n  sms-agent simulate --account-sid AC00000000000000000000000000000001 --auth-token secret --number +15551234567",
    )
    .action(async (options: SimulateOptions, command: Command) => {
      if ((options.accountSid === undefined) !== (options.authToken === undefined))
        command.error("error: --account-sid and --auth-token go together");
      if (options.accountSid === undefined && options.number.length > 0)
        command.error("error: --number goes with --account-sid and --auth-token");
      const [{ systemSeams }, { openSimulator }] = await Promise.all([
        import("../app-seams.ts"),
        import("../app-simulator.ts"),
      ]);
      const seams = systemSeams({ level: options.logLevel, format: "auto" }, inheritedEnv(), VERSION);
      const stopped = untilSignal();
      const simulator = openSimulator(
        options.listen,
        {
          accounts:
            options.accountSid === undefined || options.authToken === undefined
              ? []
              : [{ sid: options.accountSid, authToken: options.authToken, numbers: options.number }],
          fetchMedia: () => true,
        },
        seams,
      );
      stdout.line(`The simulated carrier listens on ${simulator.url}`);
      stdout.line(
        options.accountSid === undefined
          ? "Any account SID, token and number work; each is made on first use."
          : `Account ${options.accountSid}, numbers ${options.number.join(", ") || "none"}.`,
      );
      stdout.line(
        `Text as a phone: POST ${simulator.url}/simulator/inbound {"from":"+1555…","to":"+1555…","body":"…"}`,
      );
      try {
        await stopped;
      } finally {
        await simulator.close();
        seams.log.flush();
      }
    });
}
