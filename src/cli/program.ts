import { Command, CommanderError } from "commander";
import { loopbackWithoutProxy } from "../config/environment.ts";
import { AppError, explainError } from "../errors.ts";
import { CliError, EXIT } from "./exit.ts";
import { stderr, stdout } from "./output.ts";
import { serveVerb } from "./serve.ts";
import { VERSION } from "./version.ts";

const EXAMPLES = `
Examples:
  sms-agent demo                         try it now, with simulated phones
  sms-agent init                         set up a number by questions
  sms-agent check --config sms.yaml      what is wrong with a config
  sms-agent --config sms.yaml            start the service
  sms-agent pair                         the code that lets your phone in

Exit codes: 0 ok, 1 failed, 2 bad usage or config, 3 cannot reach the service, 4 timed out.`;

/** The whole command line, with every verb and its options. */
export async function commandLine(): Promise<Command> {
  const { VERBS } = await import("./verbs.ts");
  return withVerbs(VERBS);
}

/** True for a command line that says nothing but to start the service, and with which file. */
function isPlainStart(argv: readonly string[]): boolean {
  const [first, ...rest] = argv;
  if (first === undefined) return true;
  if (first === "serve" || /^--config=./.test(first)) return isPlainStart(rest);
  return (first === "-c" || first === "--config") && rest.length > 0 && isPlainStart(rest.slice(1));
}

function withVerbs(verbs: readonly ((program: Command) => void)[]): Command {
  const program: Command = new Command("sms-agent")
    .description("One self-hosted binary that gives a phone number an agent.")
    .version(VERSION, "-V, --version", "print the version number")
    .option("-c, --config <file>", "the configuration", "sms.yaml")
    .helpOption("-h, --help", "show help, with an example; every command has its own")
    .configureHelp({
      showGlobalOptions: true,
      // Not those of a verb above it: `messages resend` has nothing to do with how `messages` lists.
      visibleGlobalOptions: () => [...program.options],
    })
    .configureOutput({
      writeOut: (text) => stdout.line(text.trimEnd()),
      writeErr: (text) => stderr.line(text.trimEnd()),
    })
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(--help shows how)")
    .exitOverride();
  for (const verb of verbs) verb(program);
  return program;
}

/**
 * Runs one command line; answers the exit code. Never throws. Verbs that run a service load it themselves, so
 * that the others start at once.
 */
export async function run(argv: readonly string[]): Promise<number> {
  loopbackWithoutProxy();
  // A service that runs for months does not keep the other verbs in memory.
  const program = isPlainStart(argv) ? withVerbs([serveVerb]) : await commandLine();
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
      stderr.line(explainError(error));
      return error.code === "invalid" ? EXIT.usage : EXIT.failed;
    }
    stderr.line(isRefusedBySystem(error) ? `${error.message}\n${PATH_FIX}` : stackOf(error));
    return EXIT.failed;
  }
}

const PATH_FIX =
  "See that this is the right path, and that this user may read and write there; data_dir in the config says where the data lie.";

/** What the system says names the path, and its stack tells nobody more. */
function isRefusedBySystem(error: unknown): error is Error {
  return error instanceof Error && "syscall" in error && "path" in error;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
