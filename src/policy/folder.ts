import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { nearest } from "../nearest.ts";
import type { PolicyEngine, PolicyProblem } from "../policy.ts";
import { type LoadResult, loadPolicies } from "./load.ts";
import type { PolicyFile } from "./parse.ts";
import type { PolicySettings } from "./settings.ts";

/** `loadPolicies` over the files of a folder (none when it is undefined); unreadable files are problems too. */
export function loadPolicyFolder(input: {
  readonly folder: string | undefined;
  readonly settings: PolicySettings;
  readonly previous?: PolicyEngine;
}): LoadResult {
  const { folder, ...rest } = input;
  const { files, problems } = folder === undefined ? NOTHING : readPolicyFolder(folder);
  const loaded = loadPolicies({ ...rest, files });
  if (problems.length === 0) return loaded;
  return { kind: "invalid", problems: [...problems, ...(loaded.kind === "invalid" ? loaded.problems : [])] };
}

const NOTHING = { files: [], problems: [] };

/**
 * The .cedar files of a folder, by name. Hidden files, other files and subfolders are passed over, but what
 * was meant as a policy and would not be read (`block.ceder`, a .cedar file in a subfolder) is a problem: a
 * forbid that nobody reads forbids nothing.
 */
export function readPolicyFolder(folder: string): {
  readonly files: readonly PolicyFile[];
  readonly problems: readonly PolicyProblem[];
} {
  const files: PolicyFile[] = [];
  const problems: PolicyProblem[] = [];
  const problem = (file: string, message: string, fix: string) =>
    problems.push({ file, line: 1, column: 1, message, fix });
  for (const name of namesIn(folder, problem)) {
    const path = join(folder, name);
    try {
      if (statSync(path).isDirectory()) {
        if (readdirSync(path).some((inner) => inner.endsWith(".cedar")))
          problem(path, "policies in a subfolder are not read", `Move its .cedar files into ${folder}.`);
      } else if (name.endsWith(".cedar")) files.push({ path, text: UTF8.decode(readFileSync(path)) });
      else if (meantAsPolicy(name))
        problem(
          path,
          "this file is not read, since its name does not end in .cedar",
          "Rename it, or move it away.",
        );
    } catch (error) {
      const message =
        error instanceof TypeError ? "the file is not UTF-8" : `cannot be read (${reason(error)})`;
      problem(path, message, "Save it as UTF-8 text that the service may read, or move it away.");
    }
  }
  return { files, problems };
}

/** A byte order mark stays: the positions of a file are those of its text (parse.ts takes the mark off). */
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function namesIn(folder: string, problem: (file: string, message: string, fix: string) => void): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !name.startsWith("."))
      .sort();
  } catch (error) {
    problem(
      folder,
      `the policies folder cannot be read (${reason(error)})`,
      "Create it, correct `policies:` in sms.yaml, or delete that line.",
    );
    return [];
  }
}

function meantAsPolicy(name: string): boolean {
  if (!name.includes(".") || /^#|~$/.test(name)) return false; // what editors leave behind
  const lower = name.toLowerCase();
  if (lower.endsWith(".cedar") || lower.endsWith(".cedar.txt")) return true;
  return nearest(lower.slice(lower.lastIndexOf(".") + 1), ["cedar"]) !== undefined;
}

/** ENOENT, EACCES and the like. */
function reason(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
