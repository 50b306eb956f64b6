import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";

/** A process whose output goes to a file, so that it costs this process nothing. */
export interface Logged {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** The exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  running(): boolean;
  /** What this process has printed so far. */
  printed(): string;
}

/** What still runs; it ends with this process, however that ends. */
const alive = new Set<{ readonly pid: number; kill(signal: NodeJS.Signals): void }>();
process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

/** Ends the program, and with it what it has started, when somebody interrupts it. */
export function endOnSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
}

/** Its output is appended to `logFile`. */
export function startLogged(
  command: readonly string[],
  options: { readonly cwd: string; readonly logFile: string; readonly env?: Record<string, string> },
): Logged {
  const output = openSync(options.logFile, "a");
  const from = statSync(options.logFile).size;
  const child = Bun.spawn([...command], {
    cwd: options.cwd,
    env: {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      HOME: options.cwd,
      TMPDIR: options.cwd,
      LANG: "C.UTF-8",
      ...options.env,
    },
    stdin: "ignore",
    stdout: output,
    stderr: output,
  });
  closeSync(output);
  let running = true;
  alive.add(child);
  const ended = child.exited.then((code) => {
    running = false;
    alive.delete(child);
    return child.signalCode ?? code;
  });
  return {
    pid: child.pid,
    kill: (signal) => child.kill(signal),
    ended,
    running: () => running,
    printed: () => tail(options.logFile, from),
  };
}

/** The file from `offset` on. */
function tail(file: string, offset: number): string {
  const size = statSync(file).size - offset;
  if (size <= 0) return "";
  const bytes = Buffer.alloc(size);
  const descriptor = openSync(file, "r");
  try {
    return bytes.toString("utf8", 0, readSync(descriptor, bytes, 0, size, offset));
  } finally {
    closeSync(descriptor);
  }
}

/** Resident memory of a process, bytes; undefined once it has ended. */
export function residentMemory(pid: number): number | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}
