import type { ToolServerStatus } from "../../agent.ts";
import { sleep } from "../../clock.ts";
import { formatDuration } from "../../duration.ts";
import { untilAborted } from "../deadline.ts";
import type { AgentSeams } from "../seams.ts";
import type { Connection } from "./connection.ts";
import { McpFailure } from "./failure.ts";

/** A server has this long to start and list its tools, ms: `npx` may have to fetch it first. */
const START_TIME = 60_000;
/** After a failure: 1 s, doubling. */
const FIRST_BACKOFF = 1_000;
const MAX_BACKOFF = 60_000;
/** A back-off that is nearly over is waited out, ms; otherwise the caller is told at once. */
const SHORT_WAIT = 2_000;
/** A connection that lasted this long was a good one: the next failure is a first one again, ms. */
const STABLE = 60_000;

/** A connection that is made when it is needed, and anew when it was lost, but not too soon. */
export interface Reconnecting {
  /** Rejects with McpFailure or the signal's reason. */
  get(signal: AbortSignal): Promise<Connection>;
  /** It turned out to be no good; a connection that is not the present one is ignored. */
  lose(connection: Connection, failure: McpFailure): void;
  /** The same where nobody is to blame. */
  forget(connection: Connection): void;
  /** It has served a call. */
  proved(): void;
  /** It failed when it was last tried. */
  readonly ailing: boolean;
  status(): Pick<ToolServerStatus, "status" | "reason">;
  /** Resolves when every connection it made has ended. */
  close(): Promise<void>;
}

/**
 * `open` connects and makes ready; the promise it gives is not awaited for longer than a minute, and its signal
 * aborts then. `ids` go into every log line.
 */
export function createReconnecting(
  open: (signal: AbortSignal, onEnd: (reason: string) => void) => Promise<Connection>,
  ids: { readonly agent: string; readonly server: string },
  { clock, log, onToolServerDown }: Pick<AgentSeams, "clock" | "log" | "onToolServerDown">,
): Reconnecting {
  const closing = new AbortController();
  const endings = new Set<Promise<void>>();
  let live: { readonly connection: Connection; readonly since: number } | undefined;
  let starting: Promise<Connection> | undefined;
  let down: { readonly reason: string; readonly retryAt: number } | undefined;
  let failures = 0;

  async function get(signal: AbortSignal): Promise<Connection> {
    closing.signal.throwIfAborted();
    if (live !== undefined) return live.connection;
    const wait = starting === undefined && down !== undefined ? down.retryAt - clock.now() : 0;
    if (down !== undefined && wait > SHORT_WAIT) throw new McpFailure("unreached", down.reason);
    if (wait > 0) {
      await sleep(clock, wait, signal);
      return get(signal);
    }
    starting ??= start().finally(() => {
      starting = undefined;
    });
    starting.catch(() => {}); // every waiter may have left
    return untilAborted(starting, signal);
  }

  async function start(): Promise<Connection> {
    const began = clock.now();
    const over = new AbortController();
    const late = `it did not start within ${formatDuration(START_TIME)}`;
    const cancel = clock.after(START_TIME, () => over.abort(new McpFailure("lost", late)));
    const ended = new AbortController();
    try {
      const connection = await open(AbortSignal.any([over.signal, closing.signal]), (reason) => {
        const failure = new McpFailure("lost", reason);
        if (live?.connection === connection) lose(connection, failure);
        else ended.abort(failure);
      });
      if (closing.signal.aborted || ended.signal.aborted) end(connection);
      closing.signal.throwIfAborted();
      ended.signal.throwIfAborted();
      live = { connection, since: clock.now() };
      down = undefined;
      log.info("mcp.ready", { ...ids, ms: clock.now() - began });
      return connection;
    } catch (error) {
      throw failed(error);
    } finally {
      cancel();
    }
  }

  function failed(error: unknown): McpFailure {
    const failure = error instanceof McpFailure ? error : new McpFailure("lost", String(error));
    if (closing.signal.aborted) return failure;
    failures++;
    const backoff = Math.min(FIRST_BACKOFF * 2 ** (failures - 1), MAX_BACKOFF);
    down = { reason: failure.message, retryAt: clock.now() + backoff };
    log.warn("mcp.down", { ...ids, reason: failure.message, failures, backoff });
    onToolServerDown?.({ ...ids, reason: failure.message });
    return failure;
  }

  function lose(connection: Connection, failure: McpFailure): void {
    if (live?.connection !== connection) return;
    if (clock.now() - live.since >= STABLE) failures = 0;
    forget(connection);
    failed(failure);
  }

  function forget(connection: Connection): void {
    if (live?.connection !== connection) return;
    live = undefined;
    end(connection);
  }

  function end(connection: Connection): void {
    const ending: Promise<void> = connection
      .close()
      .catch(() => {})
      .finally(() => endings.delete(ending));
    endings.add(ending);
  }

  return {
    get,
    lose,
    forget,
    proved() {
      failures = 0;
    },
    get ailing() {
      return failures > 0;
    },
    status() {
      if (live !== undefined) return { status: "ready" };
      if (starting !== undefined) return { status: "starting" };
      return down === undefined ? { status: "idle" } : { status: "down", reason: down.reason };
    },
    async close() {
      closing.abort(new McpFailure("unreached", "the agent is closed"));
      if (live !== undefined) forget(live.connection);
      await starting?.catch(() => {});
      await Promise.all(endings);
    },
  };
}
