import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export const CHECKOUT = resolve(import.meta.dir, "..", "..");

/** The longest a test waits for something to happen, ms. */
const PATIENCE = 20_000;

/** How a process ended. */
export interface Ended {
  /** The exit code; undefined after a signal. */
  readonly code: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process that was started and not waited for. */
export interface Started {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves with the first match in what the process has printed so far or prints later. */
  shown(pattern: RegExp, stream?: "stdout" | "stderr"): Promise<RegExpExecArray>;
  /** Types a line; needs `stdin: "pipe"`. */
  type(line: string): void;
  kill(signal: "SIGTERM" | "SIGINT" | "SIGKILL"): void;
  readonly ended: Promise<Ended>;
}

export interface RunOptions {
  /** Beside PATH, HOME, TMPDIR and LANG, which point nowhere near the checkout. */
  readonly env?: Readonly<Record<string, string>>;
  /** `null` (the default): the null device. `closed`: no descriptor at all. A text: given, then ended. */
  readonly stdin?: "null" | "closed" | "pipe" | { readonly text: string };
  /** The folder it runs in; the sandbox's own when absent. */
  readonly cwd?: string;
  /** Runs as this user, where the tests run as root. */
  readonly uid?: number;
  /** Another program than the binary, one that has to do with it. */
  readonly program?: string;
  /** What runs the binary: an emulator, or a wrapper that takes things away from it. */
  readonly under?: readonly string[];
  readonly patience?: number;
}

/** The compiled binary alone in an empty folder, and the processes that are started from it. */
export interface Sandbox {
  readonly folder: string;
  readonly program: string;
  /** Where its temporary files go. */
  readonly temporary: string;
  /** Writes a file into the folder; answers its path. */
  write(name: string, text: string, mode?: number): string;
  run(args: readonly string[], options?: RunOptions): Promise<Ended>;
  start(args: readonly string[], options?: RunOptions): Started;
  /** Kills what still runs and removes everything. */
  close(): Promise<void>;
}

type Target = "linux-arm64";

const builds = new Map<Target | undefined, Promise<string>>();

/** Builds the binary once in the process of the tests; answers where it lies. */
function built(target: Target | undefined): Promise<string> {
  let found = builds.get(target);
  if (found === undefined) {
    found = build(target);
    builds.set(target, found);
  }
  return found;
}

/** `checkout`: where the sources lie. */
export async function build(target?: Target, checkout = CHECKOUT): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "sms-agent-build-"));
  removeAtTheEnd(folder);
  const outfile = join(folder, "sms-agent");
  const args = ["--outfile", outfile, ...(target === undefined ? [] : ["--target", target])];
  const { code, stdout, stderr } = await launch(
    [process.execPath, join(checkout, "deploy", "build.ts"), ...args],
    { cwd: folder, env: process.env },
    180_000,
  ).ended;
  if (code !== 0) throw new Error(`the build failed:\n${stdout}${stderr}`);
  return outfile;
}

/** `bun test` has no end that one can wait for, so a shell waits for the end of its standard input: ours. */
function removeAtTheEnd(folder: string): void {
  const shell = spawn("/bin/sh", ["-c", 'cat >/dev/null; rm -rf "$0"', folder], {
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  shell.unref();
  shells.push(shell);
}

/** Kept, since a collected process would close the input. */
const shells: ChildProcess[] = [];

/**
 * `under`: what runs every process of the sandbox, as an emulator does. `binary`: this one, which lies in the folder for
 * temporary files, instead of the checkout's.
 */
export async function openSandbox(
  options: { readonly target?: Target; readonly under?: readonly string[]; readonly binary?: string } = {},
): Promise<Sandbox> {
  const binary = options.binary ?? (await built(options.target));
  const base = mkdtempSync(join(tmpdir(), "sms-agent-alone-"));
  chmodSync(base, 0o755); // for tests that run it as another user
  const [folder, temporary, home] = ["alone", "tmp", "home"].map((name) => join(base, name));
  if (folder === undefined || temporary === undefined || home === undefined) throw new Error("no folders");
  for (const made of [folder, temporary, home]) mkdirSync(made);
  chmodSync(temporary, 0o777);
  const program = join(folder, "sms-agent");
  linkSync(binary, program);
  const running = new Set<Started>();

  const start = (args: readonly string[], run: RunOptions = {}): Started => {
    const env = { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: home, TMPDIR: temporary, LANG: "C.UTF-8" };
    const started = launch(
      [...(run.under ?? options.under ?? []), run.program ?? program, ...args],
      { ...run, cwd: run.cwd ?? folder, env: { ...env, ...run.env } },
      run.patience ?? PATIENCE,
    );
    running.add(started);
    const forget = () => running.delete(started);
    started.ended.then(forget, forget);
    return started;
  };
  return {
    folder,
    program,
    temporary,
    start,
    run: (args, run = {}) => bounded(start(args, run), args.join(" "), run.patience ?? PATIENCE),
    write(name, text, mode = 0o644) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text, { mode });
      return path;
    },
    async close() {
      for (const started of running) started.kill("SIGKILL");
      await Promise.allSettled([...running].map((started) => started.ended));
      rmSync(base, { recursive: true, force: true });
    },
  };
}

async function bounded(started: Started, what: string, patience: number): Promise<Ended> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      started.kill("SIGKILL");
      reject(new Error(`${what} still ran after ${patience} ms\n${started.stdout()}${started.stderr()}`));
    }, patience);
  });
  return Promise.race([started.ended, late]).finally(() => clearTimeout(timer));
}

function launch(
  command: readonly string[],
  options: Omit<RunOptions, "env"> & { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
  patience: number,
): Started {
  const [program = "", ...args] = command;
  const closed = options.stdin === "closed";
  const piped = options.stdin === "pipe" || typeof options.stdin === "object";
  const child = spawn(
    closed ? "/bin/sh" : program,
    closed ? ["-c", 'exec "$0" "$@" <&-', ...command] : args,
    {
      cwd: options.cwd,
      env: options.env,
      stdio: [piped ? "pipe" : "ignore", "pipe", "pipe"],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    },
  );
  const printed = { stdout: "", stderr: "" };
  const watchers = new Set<() => void>();
  const look = () => {
    for (const watcher of [...watchers]) watcher();
  };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream]?.setEncoding("utf8");
    child[stream]?.on("data", (text: string) => {
      printed[stream] += text;
      look();
    });
  }
  let over = false;
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      over = true;
      resolve({ code: code ?? undefined, signal: signal ?? undefined, ...printed });
      look();
    });
  });
  if (typeof options.stdin === "object") child.stdin?.end(options.stdin.text);
  return {
    pid: child.pid ?? 0,
    stdout: () => printed.stdout,
    stderr: () => printed.stderr,
    shown: (pattern, stream = "stdout") =>
      new Promise((resolve, reject) => {
        const done = (settle: () => void) => {
          clearTimeout(timer);
          watchers.delete(watcher);
          settle();
        };
        const fail = (why: string) =>
          done(() => reject(new Error(`${why} ${pattern}:\n${printed.stdout}${printed.stderr}`)));
        const watcher = () => {
          const found = pattern.exec(printed[stream]);
          if (found !== null) done(() => resolve(found));
          else if (over) fail("it ended without showing");
        };
        const timer = setTimeout(() => fail(`${patience} ms without`), patience);
        watchers.add(watcher);
        watcher();
      }),
    type: (line) => void child.stdin?.write(`${line}\n`),
    kill: (signal) => void child.kill(signal),
    ended,
  };
}

/** Resolves with the first answer of `look` that is not undefined; looks again and again, with a bound. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  patience = PATIENCE,
): Promise<T> {
  const end = Date.now() + patience;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`waited ${patience} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
