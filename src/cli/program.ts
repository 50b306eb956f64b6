import { Command, CommanderError } from "commander";
import { loopbackWithoutProxy } from "../config/environment.ts";
import { AppError } from "../errors.ts";
import { addressesVerb } from "./addresses.ts";
import { awaitVerb } from "./await.ts";
import { backupVerb } from "./backup.ts";
import { checkVerb } from "./check.ts";
import { completionsVerb } from "./completions.ts";
import { consoleVerb } from "./console.ts";
import { demoVerb } from "./demo.ts";
import { doctorVerb } from "./doctor.ts";
import { CliError, EXIT } from "./exit.ts";
import { initVerb } from "./init.ts";
import { messagesVerb } from "./messages.ts";
import { modeVerb } from "./mode.ts";
import { notifyVerb } from "./notify.ts";
import { stderr, stdout } from "./output.ts";
import { pairVerb } from "./pair.ts";
import { policyVerb } from "./policy.ts";
import { restoreVerb } from "./restore.ts";
import { schemaVerb } from "./schema.ts";
import { secretVerb } from "./secret.ts";
import { sendVerb } from "./send.ts";
import { serveVerb } from "./serve.ts";
import { simulateVerb } from "./simulate.ts";
import { statusVerb } from "./status.ts";
import { tokenVerb } from "./token.ts";
import { VERSION, versionVerb } from "./version.ts";

const VERBS = [
  serveVerb,
  demoVerb,
  simulateVerb,
  initVerb,
  checkVerb,
  doctorVerb,
  schemaVerb,
  secretVerb,
  statusVerb,
  pairVerb,
  modeVerb,
  addressesVerb,
  sendVerb,
  notifyVerb,
  awaitVerb,
  messagesVerb,
  policyVerb,
  tokenVerb,
  consoleVerb,
  backupVerb,
  restoreVerb,
  completionsVerb,
  versionVerb,
];

const EXAMPLES = `
Examples:
  sms-agent demo                         try it now, with simulated phones
  sms-agent init                         set up a number by questions
  sms-agent check --config sms.yaml      what is wrong with a config
  sms-agent --config sms.yaml            start the service
  sms-agent pair                         the code that lets your phone in

Exit codes: 0 ok, 1 failed, 2 bad usage or config, 3 cannot reach the service, 4 timed out.`;

/** The whole command line, with every verb and its options. */
export function commandLine(): Command {
  const program = new Command("sms-agent")
    .description("One self-hosted binary that gives a phone number an agent.")
    .version(VERSION, "-V, --version", "print the version number")
    .option("-c, --config <file>", "the configuration", "sms.yaml")
    .helpOption("-h, --help", "show help, with an example; every command has its own")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => stdout.line(text.trimEnd()),
      writeErr: (text) => stderr.line(text.trimEnd()),
    })
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(--help shows how)")
    .exitOverride();
  for (const verb of VERBS) verb(program);
  return program;
}

/**
 * Runs one command line; answers the exit code. Never throws. Verbs that run a service load it themselves, so
 * that the others start at once.
 */
export async function run(argv: readonly string[]): Promise<number> {
  loopbackWithoutProxy();
  const program = commandLine();
  try {
    await program.parseAsync([...argv], { from: "user" });
    return typeof process.exitCode === "number" ? process.exitCode : EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof CliError) {
      stderr.line(error.message);
      return error.exitCode;
    }
    if (error instanceof AppError) {
      stderr.line([error.message, ...(error.fix === undefined ? [] : [error.fix])].join("\n"));
      return error.code === "invalid" ? EXIT.usage : EXIT.failed;
    }
    stderr.line(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return EXIT.failed;
  }
}
