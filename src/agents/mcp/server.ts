import type { ToolServerStatus } from "../../agent.ts";
import { formatDuration } from "../../duration.ts";
import type { McpServerSettings } from "../../settings.ts";
import { type Tool, ToolFailure, type ToolResult } from "../../tool.ts";
import { untilAborted } from "../deadline.ts";
import type { AgentSeams } from "../seams.ts";
import { type Connection, connect, type ListedTool } from "./connection.ts";
import { McpFailure } from "./failure.ts";
import { createReconnecting } from "./reconnecting.ts";
import { resultText } from "./result.ts";

/** A call has this long, ms. */
const CALL_TIME = 60_000;
/** A server that let a call time out must answer this soon, else it is started again, ms. */
const PROBE_TIME = 5_000;
/** A turn waits no longer than this for a server that has failed before, ms. */
const SHORT_PATIENCE = 2_000;
/** Lines of a server's stderr that are logged in a minute. */
const STDERR_LINES = 60;

/** One configured MCP server, started at its first use and again, not too soon, after it failed. */
export interface McpServer {
  readonly name: string;
  /**
   * Its tools, waited for no longer than `patience` ms. The last known ones while it is down; undefined when
   * none were ever known. Never rejects.
   */
  tools(patience: number, signal: AbortSignal): Promise<readonly Tool[] | undefined>;
  status(): ToolServerStatus;
  close(): Promise<void>;
}

export function createMcpServer(
  agent: string,
  name: string,
  settings: McpServerSettings,
  seams: AgentSeams,
): McpServer {
  const { clock, log } = seams;
  const ids = { agent, server: name };
  const reconnecting = createReconnecting(open, ids, seams);
  let listed: readonly Tool[] | undefined;
  let stale = false;
  let stderr = { minute: 0, lines: 0 };

  async function open(signal: AbortSignal, onEnd: (reason: string) => void): Promise<Connection> {
    const onToolsChanged = () => {
      stale = true;
    };
    const connection = await connect(settings, { onEnd, onToolsChanged, onStderr }, seams, signal);
    try {
      await refresh(connection, signal);
      return connection;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  async function refresh(connection: Connection, signal: AbortSignal): Promise<void> {
    stale = false;
    const tools = await untilAborted(connection.list(signal), signal).catch((error: unknown) => {
      stale = true;
      throw error;
    });
    listed = tools.filter(hasUsableName).map(toolOf);
    if (listed.length < tools.length)
      log.warn("mcp.tools_left_out", { ...ids, tools: tools.length - listed.length });
  }

  function onStderr(line: string): void {
    const minute = Math.floor(clock.now() / 60_000);
    stderr = { minute, lines: stderr.minute === minute ? stderr.lines + 1 : 1 };
    if (stderr.lines <= STDERR_LINES) log.debug("mcp.stderr", { ...ids, line });
  }

  function within(ms: number, message: string) {
    const over = new AbortController();
    const cancel = clock.after(ms, () => over.abort(new McpFailure("lost", message)));
    return { signal: over.signal, cancel };
  }

  function toolOf(tool: ListedTool): Tool {
    return {
      name: `${name}.${tool.name}`,
      server: name,
      description: tool.description,
      inputSchema: tool.inputSchema,
      call: (input, _, signal) => call(tool, input, signal),
    };
  }

  async function call(
    tool: ListedTool,
    input: Readonly<Record<string, unknown>>,
    turn: AbortSignal,
  ): Promise<ToolResult> {
    const time = within(CALL_TIME, `it did not answer within ${formatDuration(CALL_TIME)}`);
    try {
      return await callConnected(tool, input, AbortSignal.any([time.signal, turn]), true);
    } catch (error) {
      turn.throwIfAborted();
      throw error instanceof McpFailure ? told(error) : error;
    } finally {
      time.cancel();
    }
  }

  async function callConnected(
    tool: ListedTool,
    input: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
    mayRepeat: boolean,
  ): Promise<ToolResult> {
    const connection = await reconnecting.get(signal).catch((error: unknown) => {
      throw error instanceof McpFailure ? new McpFailure("unreached", error.message) : error;
    });
    try {
      const result = await untilAborted(connection.call(tool, input, signal), signal);
      const text = resultText(result);
      if (result.isError === true) throw new ToolFailure(text === "" ? "It failed without a word." : text);
      reconnecting.proved();
      return { kind: "done", text };
    } catch (error) {
      if (signal.aborted) probe(connection);
      if (signal.aborted || !(error instanceof McpFailure)) throw error;
      switch (error.kind) {
        case "refused":
          stale = true; // perhaps it knows this tool no longer
          break;
        case "session":
          reconnecting.forget(connection); // it was started anew and knows nothing of us
          if (mayRepeat) return callConnected(tool, input, signal, false);
          break;
        case "unreached":
        case "lost":
          reconnecting.lose(connection, error);
      }
      throw error;
    }
  }

  /** It did not answer a call in time: perhaps that one call is slow, perhaps the server hangs. */
  function probe(connection: Connection): void {
    const time = within(PROBE_TIME, "it no longer answers");
    refresh(connection, time.signal)
      .catch((error: unknown) => {
        if (error instanceof McpFailure) reconnecting.lose(connection, error);
      })
      .finally(time.cancel);
  }

  /** What the model is told. Why a server is down may name hosts and programs: that is for the log. */
  function told(failure: McpFailure): ToolFailure {
    switch (failure.kind) {
      case "unreached":
      case "session":
        return new ToolFailure(`The tool server ${name} is not available at the moment. Nothing was done.`);
      case "refused":
        return new ToolFailure(`The tool server ${name} refused the call: ${failure.message}`);
      case "lost":
        log.warn("mcp.lost", { ...ids, reason: failure.message });
        return new ToolFailure(
          `The tool server ${name} was lost before it answered. Whether the call took effect is not known.`,
        );
    }
  }

  return {
    name,
    async tools(patience, turn) {
      const time = within(
        reconnecting.ailing ? Math.min(SHORT_PATIENCE, patience) : patience,
        "it is still starting",
      );
      const signal = AbortSignal.any([time.signal, turn]);
      try {
        const connection = await reconnecting.get(signal);
        if (stale)
          await refresh(connection, signal).catch((error: unknown) => {
            if (!signal.aborted && error instanceof McpFailure) reconnecting.lose(connection, error);
          });
      } catch {
        // logged where it failed; its last known tools stay on offer, and say so when they are called
      } finally {
        time.cancel();
      }
      return listed;
    },
    status: () => ({
      name,
      ...reconnecting.status(),
      ...(listed === undefined ? {} : { tools: listed.length }),
    }),
    close: () => reconnecting.close(),
  };
}

/** Names come from the server and go into logs, policies' questions and prompts. */
function hasUsableName({ name }: ListedTool): boolean {
  return /^[\x21-\x7e]{1,128}$/.test(name);
}
