import type { TurnRequest } from "../../src/agent.ts";
import {
  type JournalEntry,
  type Tool,
  type ToolContext,
  ToolFailure,
  type ToolResult,
  type TurnTools,
} from "../../src/tool.ts";
import { turn } from "./support.ts";

/** A journal in memory: what a store keeps of one turn. */
export interface MemoryJournal {
  readonly entries: JournalEntry[];
  /** The request of a run that finds what is in the journal by now. */
  request(over?: Partial<TurnRequest>): TurnRequest;
}

export interface Access extends Partial<Omit<TurnTools, "journal">> {
  /** What the journal holds at the start. */
  readonly journal?: readonly JournalEntry[];
  readonly onAppend?: (entries: readonly JournalEntry[]) => void | Promise<void>;
}

/** A turn with tools, all of them allowed unless told otherwise. */
export function withTools(access: Access): MemoryJournal {
  const {
    journal = [],
    onAppend,
    builtIn = [],
    authorize = async () => ({ allowed: true }),
    confirm,
  } = access;
  const entries = [...journal];
  return {
    entries,
    request: (over = {}) =>
      turn({
        ...over,
        tools: {
          builtIn,
          authorize,
          ...(confirm === undefined ? {} : { confirm }),
          journal: {
            entries: [...entries],
            async append(more) {
              await onAppend?.(more);
              // As a store would: what cannot be written as JSON is lost.
              entries.push(...JSON.parse(JSON.stringify(more)));
            },
          },
        },
      }),
  };
}

export interface FakeTool extends Tool {
  readonly calls: { readonly input: unknown; readonly context: ToolContext }[];
}

/** A tool that answers as it is told and remembers how it was called. */
export function fakeTool(
  name: string,
  act: (
    input: Readonly<Record<string, unknown>>,
    context: ToolContext,
    signal: AbortSignal,
  ) => Promise<ToolResult> | ToolResult | string,
): FakeTool {
  const calls: FakeTool["calls"] = [];
  return {
    name,
    description: `Does ${name}.`,
    inputSchema: { type: "object", properties: {} },
    calls,
    async call(input, context, signal) {
      calls.push({ input, context });
      const result = await act(input, context, signal);
      return typeof result === "string" ? { kind: "done", text: result } : result;
    },
  };
}

export function failing(words: string): never {
  throw new ToolFailure(words);
}

export function kinds(entries: readonly JournalEntry[]): readonly string[] {
  return entries.map((entry) =>
    entry.kind === "step" ? `step ${entry.step}` : `${entry.kind} ${entry.callId}`,
  );
}
