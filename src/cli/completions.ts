import { Argument, type Command } from "commander";
import { print, stdout } from "./output.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

export function completionsVerb(program: Command): void {
  program
    .command("completions")
    .description("print a script that completes commands and options in a shell")
    .addArgument(new Argument("<shell>", "which shell").choices(SHELLS))
    .option("--json", "print the script as JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  sms-agent completions bash > /etc/bash_completion.d/sms-agent\n" +
        "  sms-agent completions zsh > ~/.zfunc/_sms-agent\n" +
        "  sms-agent completions fish > ~/.config/fish/completions/sms-agent.fish",
    )
    .action((shell: (typeof SHELLS)[number], options: { readonly json?: boolean }) =>
      print(
        stdout,
        { shell, script: script(shell, wordsOf(program)) },
        options.json === true,
        (value) => value.script,
      ),
    );
}

/** What may follow each command: its subcommands and options. The empty name stands for the program itself. */
type Words = ReadonlyMap<string, readonly string[]>;

function wordsOf(program: Command): Words {
  const general = optionsOf(program);
  const words = new Map<string, readonly string[]>();
  words.set("", [...program.commands.map((command) => command.name()), ...general]);
  for (const command of program.commands)
    words.set(command.name(), [
      ...command.commands.map((inner) => inner.name()),
      ...command.commands.flatMap(optionsOf),
      ...optionsOf(command),
      ...general,
    ]);
  return words;
}

function optionsOf({ options }: Command): readonly string[] {
  return options.flatMap(({ long }) => (long === undefined || long === null ? [] : [long]));
}

function script(shell: (typeof SHELLS)[number], words: Words): string {
  const unique = (list: readonly string[] = []) => [...new Set([...list, "--help"])];
  const verbs = [...words].filter(([name]) => name !== "");
  switch (shell) {
    case "bash":
      return bash(unique(words.get("")), verbs);
    case "zsh":
      return `#compdef sms-agent\nautoload -U +X bashcompinit && bashcompinit\n${bash(unique(words.get("")), verbs)}`;
    case "fish":
      return [
        ...unique(words.get("")).map(
          (word) => `complete -c sms-agent -n __fish_use_subcommand ${fishWord(word)}`,
        ),
        ...verbs.flatMap(([name, list]) =>
          unique(list).map(
            (word) => `complete -c sms-agent -n "__fish_seen_subcommand_from ${name}" ${fishWord(word)}`,
          ),
        ),
      ].join("\n");
  }
}

/** The first command on the line decides what may follow; file names may always. */
function bash(first: readonly string[], verbs: readonly (readonly [string, readonly string[]])[]): string {
  const cases = verbs.map(
    ([name, list]) => `      ${name}) words="${[...new Set([...list, "--help"])].join(" ")}"; break ;;`,
  );
  return `_sms_agent() {
  local words="${first.join(" ")}" verb
  for verb in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$verb" in
${cases.join("\n")}
    esac
  done
  COMPREPLY=($(compgen -W "$words" -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o filenames -F _sms_agent sms-agent`;
}

function fishWord(word: string): string {
  return word.startsWith("--") ? `-l ${word.slice(2)}` : `-a ${word}`;
}
