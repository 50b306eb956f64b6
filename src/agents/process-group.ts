import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { AgentSeams } from "./seams.ts";

/** From SIGTERM to SIGKILL, ms. */
export const TERM_GRACE = 2_000;

/** Where the service itself was started without a PATH, as some init systems do. */
const FALLBACK_PATH = "/usr/local/bin:/usr/bin:/bin";

export interface Program {
  /** Program and arguments; no shell reads them. A program without `/` is looked for in `env.PATH`. */
  readonly command: readonly string[];
  readonly cwd: string;
  /** The whole environment of the process. */
  readonly env: Readonly<Record<string, string>>;
}

/** The process could not be started; `message` completes "`./reply.sh` …". */
export class NotStarted extends Error {
  override readonly name = "NotStarted";
  constructor(
    message: string,
    readonly fix: string,
  ) {
    super(message);
  }
}

/** All a program of an agent sees: PATH, HOME and LANG of the service, and its own `env`. */
export function programEnv(
  own: Readonly<Record<string, string>>,
  service: AgentSeams["env"],
): Readonly<Record<string, string>> {
  return {
    PATH: service.PATH ?? FALLBACK_PATH,
    ...(service.HOME === undefined ? {} : { HOME: service.HOME }),
    ...(service.LANG === undefined ? {} : { LANG: service.LANG }),
    ...own,
  };
}

interface SpawnOptions {
  readonly cwd: string;
  readonly env: Record<string, string>;
  /** setsid: the process leads a group whose id is its own. */
  readonly detached: true;
}

/** Finds the program and starts it in a process group of its own. Throws NotStarted. */
export function launch<T>(program: Program, spawn: (command: string[], options: SpawnOptions) => T): T {
  const { command, cwd, env } = program;
  const [name = "", ...args] = command;
  const path = name.includes("/") ? resolve(cwd, name) : Bun.which(name, { PATH: env.PATH ?? "", cwd });
  if (!existsSync(cwd))
    throw new NotStarted(`has no working folder: ${cwd} does not exist`, "Create the folder.");
  if (path === null)
    throw new NotStarted(`was not found in PATH=${env.PATH ?? ""}`, "Install it, or write its full path.");
  try {
    return spawn([path, ...args], { cwd, env: { ...env }, detached: true });
  } catch (error) {
    throw startFailure(path, error);
  }
}

function startFailure(path: string, error: unknown): NotStarted {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  switch (code) {
    case "ENOENT":
      return existsSync(path)
        ? new NotStarted("names in its #! line an interpreter that is not there", "Correct its first line.")
        : new NotStarted(
            `was not found: there is no ${path}`,
            "Correct the path; it is relative to the config file.",
          );
    case "EACCES":
      return new NotStarted("may not be executed", `Make it executable: chmod +x ${path}`);
    case "ENOEXEC":
      return new NotStarted("is neither a binary nor a script", "Begin it with a line like #!/bin/sh.");
    default:
      return new NotStarted(`could not be started: ${code}`, "Try it in a terminal.");
  }
}

/** A process that has left the group by `setsid` is not reached. */
export function signalGroup(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // ESRCH: nobody of the group is left
  }
}
