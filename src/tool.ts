/**
 * A tool an agent may call. Built-in ones have bare names, those of MCP servers are `server.tool`. Whether a
 * call is allowed (`invoke_tool`), whether it must be confirmed, and that it is journalled is the agent's
 * business, not the tool's.
 */
export interface Tool {
  readonly name: string;
  /** The MCP server it belongs to; absent for built-in ones. */
  readonly server?: string;
  readonly description: string;
  /** JSON Schema of its input, an object. */
  readonly inputSchema: Readonly<Record<string, unknown>>;
  /**
   * `input` is what the model wrote: a JSON object, not checked against the schema.
   *
   * Rejects when the call failed. The words of a ToolFailure or an AppError are told to the model; anything
   * else is logged, and the model learns only that it failed.
   */
  call(
    input: Readonly<Record<string, unknown>>,
    context: ToolContext,
    signal: AbortSignal,
  ): Promise<ToolResult>;
}

/** Where and for whom a tool is called. */
export interface ToolContext {
  readonly turnId: string;
  /** Unique within the turn; the same again when the turn is run again. */
  readonly callId: string;
  readonly channel: string;
  readonly agent: string;
  readonly conversationId: string;
  /** Whom the turn answers. */
  readonly from: string;
  /** What began the turn, where no text did. */
  readonly task?: "reminder" | "schedule";
}

export type ToolResult =
  /** What the model is told, fenced as data and cut at 32 KiB. */
  | { readonly kind: "done"; readonly text: string }
  /**
   * The answer comes later, perhaps after a restart: whoever brings it appends a `call_result` to the journal of
   * the turn and queues the turn again.
   */
  | { readonly kind: "parked" };

/** A call that failed, in words for the model. */
export class ToolFailure extends Error {
  override readonly name = "ToolFailure";
}

/**
 * What happened in a turn so far, on disk, so that no tool is called twice. `call_parked`, `call_confirmed` and
 * `call_result` may stand in any order; of two results of one call the first counts.
 */
export type JournalEntry =
  /**
   * The model's answer of one step, before its calls start: JSON that only the agent reads. `usage` counts all
   * that was asked of the model for this step.
   */
  | { readonly kind: "step"; readonly step: number; readonly content: unknown; readonly usage?: TokenUsage }
  /** It runs from now on. Without a result when the turn runs again, its outcome is unknown. */
  | {
      readonly kind: "call_started";
      readonly callId: string;
      readonly tool: string;
      readonly input: unknown;
      /** The policies that allowed it. */
      readonly policies?: readonly string[];
    }
  | {
      readonly kind: "call_parked";
      readonly callId: string;
      readonly until: "result" | "confirmation";
      readonly tool?: string;
    }
  /** The sender has proved the number; appended by whoever checks the texted code. */
  | { readonly kind: "call_confirmed"; readonly callId: string }
  | {
      readonly kind: "call_result";
      readonly callId: string;
      readonly failed: boolean;
      readonly text: string;
      /** `refused`: it never began. `unknown`: it began, and nobody knows what became of it. */
      readonly outcome?: "refused" | "unknown";
      readonly tool?: string;
      /** The policies that refused it. */
      readonly policies?: readonly string[];
    };

export interface TokenUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** The journal of one turn, as its agent sees it. */
export interface Journal {
  /** As it was when the run began, in order. */
  readonly entries: readonly JournalEntry[];
  /** Resolves when the entries are on disk. A rejection ends the run. */
  append(entries: readonly JournalEntry[]): Promise<void>;
}

/** What the agent of a turn works with. */
export interface TurnTools {
  /** The built-in tools there are; the agent takes those its settings name. */
  readonly builtIn: readonly Tool[];
  readonly journal: Journal;
  /** Asked before every call, and again before one that was confirmed. A rejection refuses the call. */
  authorize(tool: Pick<Tool, "name" | "server">, context: ToolContext): Promise<Authorization>;
  /** Asked for tools under `confirm`; without it their calls are refused. */
  readonly confirm?: ConfirmCall;
}

export type Authorization = {
  /** Those that decided, for the operator; absent where none was asked. */
  readonly policies?: readonly string[];
} & (
  | { readonly allowed: true }
  /** `reason` is told to the model: which rule, in words fit for the person, no internals. */
  | { readonly allowed: false; readonly reason: string }
);

/**
 * Lets a call wait until the sender has texted back a code. Asked again for the same turn and call when the
 * turn is run again before the `call_parked` was on disk: a second code must not be sent then. A rejection
 * refuses the call.
 *
 * - `confirmed`: nothing to wait for, it runs now
 * - `parked`: the code was sent; whoever checks it appends `call_confirmed`, or a failed `call_result` when the
 *   time is over, and queues the turn again
 * - `refused`: it cannot be asked for; `reason` is told to the model
 */
export type ConfirmCall = (
  call: { readonly tool: string; readonly input: Readonly<Record<string, unknown>> },
  context: ToolContext,
) => Promise<
  | { readonly kind: "confirmed" }
  | { readonly kind: "parked" }
  | { readonly kind: "refused"; readonly reason: string }
>;

/** How far one call has come. */
export type CallState =
  | { readonly kind: "new" }
  | { readonly kind: "waiting" }
  | { readonly kind: "confirmed" }
  /** Without a result: it runs, or it ran when the service ended. */
  | { readonly kind: "started" }
  | { readonly kind: "done"; readonly failed: boolean; readonly text: string };

export function callState(callId: string, entries: readonly JournalEntry[]): CallState {
  const own = entries.filter((entry) => entry.kind !== "step" && entry.callId === callId);
  const result = own.find((entry) => entry.kind === "call_result");
  if (result !== undefined) return { kind: "done", failed: result.failed, text: result.text };
  if (own.some((entry) => entry.kind === "call_parked" && entry.until === "result"))
    return { kind: "waiting" };
  if (own.some((entry) => entry.kind === "call_started")) return { kind: "started" };
  if (own.some((entry) => entry.kind === "call_confirmed")) return { kind: "confirmed" };
  return own.some((entry) => entry.kind === "call_parked") ? { kind: "waiting" } : { kind: "new" };
}

/** What both have cost together. */
export function sum(a: TokenUsage, b: TokenUsage | undefined): TokenUsage {
  return {
    inputTokens: a.inputTokens + (b?.inputTokens ?? 0),
    outputTokens: a.outputTokens + (b?.outputTokens ?? 0),
  };
}
