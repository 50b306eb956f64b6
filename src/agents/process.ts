import { type Clock, sleep } from "../clock.ts";
import { launch, type Program, signalGroup, TERM_GRACE } from "./process-group.ts";

export interface ProcessSpec extends Program {
  readonly stdin: string;
  /** Bytes of stdout; with more the process is ended. */
  readonly maxOutput: number;
}

export interface ProcessEnd {
  /** Undefined when a signal ended it. */
  readonly exitCode?: number;
  readonly endedBy?: string;
  readonly stdout: Uint8Array<ArrayBuffer>;
  readonly oversized: boolean;
  /** The last bytes of stderr, as text. */
  readonly stderr: string;
}

/**
 * After the end of a process its pipes are read to their end; where something it started keeps them open,
 * until nothing has come for two rounds, ms each. Two, since a busy process may see a timer before the data.
 */
const DRAIN_ROUND = 100;
const DRAIN_ROUNDS = 20;
const STDERR_TAIL = 4_096;

/**
 * Runs a program to its end in a process group of its own. When `signal` aborts or the output grows too
 * large the whole group gets SIGTERM and, two seconds later or as soon as its leader is gone, SIGKILL; a
 * process that has left the group by `setsid` escapes this. What a successful program leaves running in the
 * background is left alone.
 *
 * Rejects with NotStarted, or with the signal's reason once the group has been ended.
 */
export async function runProcess(spec: ProcessSpec, clock: Clock, signal: AbortSignal): Promise<ProcessEnd> {
  signal.throwIfAborted();
  const child = start(spec);
  const gone = Promise.withResolvers<void>();
  child.exited.then(() => gone.resolve());
  let ending = false;
  let cancelKill = () => {};
  const end = () => {
    if (ending) return;
    ending = true;
    signalGroup(child.pid, "SIGTERM");
    cancelKill = clock.after(TERM_GRACE, () => {
      signalGroup(child.pid, "SIGKILL");
      cancelKill = clock.after(TERM_GRACE, gone.resolve); // stuck in the kernel: nobody can wait for that
    });
  };
  let oversized = false;
  const stdout = collect(child.stdout, (held) => {
    if (held.byteLength <= spec.maxOutput) return held;
    oversized = true;
    end();
    return held.subarray(0, spec.maxOutput);
  });
  const stderr = collect(child.stderr, (held) => held.subarray(Math.max(0, held.byteLength - STDERR_TAIL)));

  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  const endRest = () => {
    cancelKill();
    if (ending) signalGroup(child.pid, "SIGKILL");
  };
  await gone.promise;
  signal.removeEventListener("abort", end);
  endRest();
  await drain([stdout, stderr], clock);
  endRest(); // it may have shown only now that it has written too much
  signal.throwIfAborted();
  const { signalCode, exitCode } = child;
  return {
    ...(signalCode === null ? { exitCode: exitCode ?? 0 } : { endedBy: String(signalCode) }),
    stdout: stdout.held(),
    oversized,
    stderr: new TextDecoder().decode(stderr.held()),
  };
}

function start(spec: ProcessSpec) {
  return launch(spec, (command, options) =>
    Bun.spawn(command, {
      ...options,
      stdin: new TextEncoder().encode(spec.stdin),
      stdout: "pipe",
      stderr: "pipe",
    }),
  );
}

async function drain(outputs: readonly Collected[], clock: Clock): Promise<void> {
  const finished = new AbortController();
  const ended = Promise.all(outputs.map((output) => output.done)).then(() => finished.abort());
  const chunks = () => outputs.reduce((sum, output) => sum + output.chunks(), 0);
  let seen = -1;
  for (let round = 0, quiet = 0; round < DRAIN_ROUNDS && quiet < 2 && !finished.signal.aborted; round++) {
    quiet = chunks() === seen ? quiet + 1 : 0;
    seen = chunks();
    await Promise.race([ended, sleep(clock, DRAIN_ROUND, finished.signal).catch(() => {})]);
  }
  finished.abort();
  for (const output of outputs) output.stop();
}

interface Collected {
  readonly done: Promise<void>;
  chunks(): number;
  held(): Uint8Array<ArrayBuffer>;
  stop(): void;
}

/** Reads a stream to its end; `keep` says after each chunk what of it is still held. */
function collect(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  keep: (held: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>,
): Collected {
  const reader = stream.getReader();
  let held = new Uint8Array(0);
  let chunks = 0;
  const readAll = async () => {
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      chunks++;
      held = new Uint8Array(keep(new Uint8Array(Buffer.concat([held, chunk.value]))));
    }
  };
  return {
    done: readAll().catch(() => {}),
    chunks: () => chunks,
    held: () => held,
    stop: () => void reader.cancel().catch(() => {}),
  };
}
