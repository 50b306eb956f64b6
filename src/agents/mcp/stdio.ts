import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client";
import { type Clock, sleep } from "../../clock.ts";
import { launch, type Program, signalGroup, TERM_GRACE } from "../process-group.ts";
import type { McpSdk } from "./connection.ts";
import { McpFailure } from "./failure.ts";

/** Bytes of one message. */
const MAX_MESSAGE = 8 * 1024 * 1024;
/** A server whose stdin was closed gets this long to end by itself, ms. */
const CLOSE_GRACE = 1_000;
/** What a process wrote just before its end is still read, for this long at most, ms. */
const DRAIN = 200;
const MAX_LINE = 300;

export interface StdioEvents {
  /** One line of stderr, cut at 300 characters. */
  readonly onStderr: (line: string) => void;
  /** The process has ended by itself; `how` completes "the program …". */
  readonly onExit: (how: string) => void;
}

/**
 * MCP over a program's stdin and stdout (https://modelcontextprotocol.io/specification, Transports). Our own
 * rather than the SDK's, for its environment, its process group and a bound on what it may write. `start`
 * rejects with NotStarted. Closing ends the whole group: stdin first, then SIGTERM, then SIGKILL.
 */
export function stdioTransport(
  { ReadBuffer, serializeMessage }: Pick<McpSdk, "ReadBuffer" | "serializeMessage">,
  program: Program,
  clock: Clock,
  events: StdioEvents,
): Transport {
  const received = new ReadBuffer({ maxBufferSize: MAX_MESSAGE });
  let child: ReturnType<typeof spawn> | undefined;
  let ended: Promise<void> = Promise.resolve();
  let closing = false;

  const transport: Transport = {
    async start() {
      const started = launch(program, spawn);
      child = started;
      const pumps = Promise.all([readMessages(started.stdout), readLines(started.stderr, events.onStderr)]);
      ended = started.exited.then(async () => {
        await Promise.race([pumps, sleep(clock, DRAIN)]);
        signalGroup(started.pid, "SIGKILL"); // what it has started ends with it
        child = undefined;
        if (!closing) events.onExit(howItEnded(started));
        transport.onclose?.();
      });
    },
    async send(message: JSONRPCMessage) {
      if (child === undefined || closing) throw new McpFailure("unreached", "the program has ended");
      child.stdin.write(serializeMessage(message));
      await child.stdin.flush();
    },
    async close() {
      closing = true;
      if (child !== undefined) await end(child, ended, clock);
    },
  };

  async function readMessages(stream: ReadableStream<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of stream) {
        received.append(Buffer.from(chunk));
        for (let more = true; more; ) more = deliverOne();
      }
    } catch (error) {
      transport.onerror?.(error instanceof Error ? error : new Error(String(error)));
      if (child !== undefined) signalGroup(child.pid, "SIGTERM"); // it has written more than anyone can read
    }
  }

  function deliverOne(): boolean {
    try {
      const message = received.readMessage();
      if (message === null) return false;
      transport.onmessage?.(message);
    } catch (error) {
      transport.onerror?.(error instanceof Error ? error : new Error(String(error)));
    }
    return true;
  }

  return transport;
}

function spawn(command: string[], options: { cwd: string; env: Record<string, string>; detached: true }) {
  return Bun.spawn(command, { ...options, stdin: "pipe", stdout: "pipe", stderr: "pipe" });
}

async function end(child: ReturnType<typeof spawn>, ended: Promise<void>, clock: Clock): Promise<void> {
  const within = (ms: number) => Promise.race([ended.then(() => true), sleep(clock, ms).then(() => false)]);
  try {
    await child.stdin.end();
  } catch {
    // EPIPE: it is gone, or going
  }
  if (await within(CLOSE_GRACE)) return;
  signalGroup(child.pid, "SIGTERM");
  if (await within(TERM_GRACE)) return;
  signalGroup(child.pid, "SIGKILL");
  await within(TERM_GRACE); // stuck in the kernel: nobody can wait for that
}

function howItEnded({ signalCode, exitCode }: ReturnType<typeof spawn>): string {
  return signalCode === null ? `exited with ${exitCode ?? 0}` : `was ended by ${signalCode}`;
}

/** Only the beginning of an endless line is held. */
async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let held = "";
  const tell = (line: string) => {
    if (line.trim() !== "") onLine(line.trim().slice(0, MAX_LINE));
  };
  try {
    for await (const chunk of stream) {
      const lines = `${held}${decoder.decode(chunk, { stream: true })}`.split("\n");
      held = (lines.pop() ?? "").slice(0, MAX_LINE);
      for (const line of lines) tell(line);
    }
  } catch {
    // the pipe broke: there is no more to read
  }
  tell(held);
}
