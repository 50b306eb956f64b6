import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { commandLine } from "../src/cli/program.ts";

const ROOT = join(import.meta.dir, "..");
const PAGES = ["README.md", "CHANGELOG.md", "deploy/README.md"].concat(
  readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
);
const SCRIPTS: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(join(ROOT, "package.json"), "utf8"),
).scripts;

const textOf = (page: string) => readFileSync(join(ROOT, page), "utf8");
const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map((match) => match[1] ?? "");

const COMMAND_LINE = await commandLine();

describe.each(PAGES)("%s", (page) => {
  const text = textOf(page);

  test("links to files that are there", () => {
    const links = all(text, /\]\(([^)#]+)[^)]*\)/g).filter((link) => !link.startsWith("http"));
    expect(links.filter((link) => !existsSync(join(ROOT, dirname(page), link)))).toEqual([]);
  });

  test("names folders, files and scripts that are there", () => {
    const paths = all(text, /`((?:src|test|bench|deploy|docs|policies)\/[\w./-]*)`/g);
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    const scripts = all(text, /\bbun(?:@[\d.]+)? run ([a-z][a-z:]*)/g);
    expect(scripts.filter((script) => SCRIPTS[script] === undefined)).toEqual([]);
  });

  test("shows verbs with options that they have", () => {
    expect(commandsIn(text).flatMap(wrongIn)).toEqual([]);
  });
});

test("README names every verb", () => {
  const named = all(textOf("README.md"), /`([a-z]+)(?: [a-z-]+)*`/g);
  const missing = COMMAND_LINE.commands.filter((verb) => !named.includes(verb.name()));
  expect(missing.map((verb) => verb.name())).toEqual([]);
});

test("TESTING names every folder of tests", () => {
  const text = textOf("docs/TESTING.md");
  const folders = readdirSync(join(ROOT, "test"), { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  const named = folders.filter(({ name }) => text.includes(`\`test/${name}\``)).map(({ name }) => name);
  expect(named).toEqual(folders.map(({ name }) => name).filter((name) => name !== "support"));
});

/** Words after `sms-agent` in code, up to what ends a command: a comment, a pipe, a closing mark. */
function commandsIn(text: string): readonly string[] {
  const code = [...text.matchAll(/```(?:sh)?\n([\s\S]*?)```|`([^`\n]+)`/g)].flatMap((match) =>
    (match[1] ?? match[2] ?? "").split("\n"),
  );
  // The service's user and its folder have the same name.
  const commands = code.map((line) => line.replace(/-u sms-agent |\/var\/lib\/sms-agent/g, ""));
  return commands.flatMap((line) => all(line, /(?:^|[\s/(])sms-agent (?!\/)(.+?)(?:\s+#.*|[|;)`].*)?$/g));
}

/** What a command names that the command line does not have. */
function wrongIn(command: string): readonly string[] {
  const words = command.split(/\s+/);
  let verb: Command = COMMAND_LINE;
  for (const word of words) {
    const next: Command | undefined = verb.commands.find((inner) => inner.name() === word);
    if (next === undefined) break;
    verb = next;
  }
  const first = words[0] ?? "";
  if (verb.parent === null && !first.startsWith("-")) return [`sms-agent ${command}: no such verb`];
  const has = new Set<string | null | undefined>(["--help"]);
  for (let at: Command | null = verb; at !== null; at = at.parent)
    for (const option of at.options) has.add(option.long);
  return words
    .filter((word) => word.startsWith("--") && !has.has(word.split("=")[0]))
    .map((word) => `sms-agent ${command}: ${word}`);
}
