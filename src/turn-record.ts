import { rfc3339 } from "./clock.ts";
import type { Explained } from "./errors.ts";
import { callState, type JournalEntry, type TokenUsage } from "./tool.ts";
import type { TurnState, TurnTask } from "./turn.ts";

/** What became of a turn, for the operator. */
export interface TurnRecord {
  readonly id: string;
  readonly channel: string;
  readonly agent: string;
  readonly state: TurnState;
  /** Runs so far; more than one after crashes and waits. */
  readonly attempt: number;
  readonly task?: TurnTask;
  readonly createdAt: number;
  readonly endedAt?: number;
  readonly error?: Explained;
  readonly usage?: TokenUsage;
  /** In the order they were made. */
  readonly calls: readonly ToolCallRecord[];
}

/**
 * A call of a tool. `confirmation`: it waits for the texted code; `waiting`: for its result. `refused`: it never
 * began; `unknown`: it was cut by a crash and not repeated.
 */
export interface ToolCallRecord {
  readonly id: string;
  readonly tool: string;
  readonly outcome: "confirmation" | "waiting" | "running" | "done" | "failed" | "refused" | "unknown";
  /** Those that allowed or refused it. */
  readonly policies?: readonly string[];
  /** What the model was told, where the call came to nothing. */
  readonly reason?: string;
}

/** Enough to see what went wrong; servers write long. */
const MAX_REASON = 500;

/** The calls that a journal knows of. */
export function callsOf(entries: readonly JournalEntry[]): readonly ToolCallRecord[] {
  const known = entries.filter((entry) => entry.kind !== "step");
  return [...new Set(known.map(({ callId }) => callId))].flatMap((id) => {
    const own = known.filter(({ callId }) => callId === id);
    const tool = own.flatMap((entry) => ("tool" in entry ? (entry.tool ?? []) : []))[0];
    if (tool === undefined) return [];
    const policies = own.flatMap((entry) => ("policies" in entry ? [entry.policies ?? []] : [])).at(-1);
    const result = own.find((entry) => entry.kind === "call_result");
    const reason = result?.failed === true ? { reason: result.text.slice(0, MAX_REASON) } : {};
    const outcome = result === undefined ? pendingOutcome(id, own) : endOf(result);
    return [{ id, tool, outcome, ...(policies === undefined ? {} : { policies }), ...reason }];
  });
}

function endOf({ failed, outcome }: JournalEntry & { kind: "call_result" }): ToolCallRecord["outcome"] {
  return outcome ?? (failed ? "failed" : "done");
}

function pendingOutcome(id: string, own: readonly JournalEntry[]): ToolCallRecord["outcome"] {
  const state = callState(id, own);
  if (state.kind !== "waiting") return "running";
  const forResult = own.some((entry) => entry.kind === "call_parked" && entry.until === "result");
  return forResult ? "waiting" : "confirmation";
}

/** A turn as every door shows it. Absent means not applicable. */
export function turnRecordJson(turn: TurnRecord) {
  const { id, agent, state, attempt, task, createdAt, endedAt, error, usage, calls } = turn;
  return {
    id,
    agent,
    state,
    attempt,
    ...(task === undefined ? {} : { task: { kind: task.kind, name: task.name, content: task.content } }),
    created_at: rfc3339(createdAt),
    ...(endedAt === undefined ? {} : { ended_at: rfc3339(endedAt) }),
    ...(error === undefined ? {} : { error: { ...error } }),
    ...(usage === undefined
      ? {}
      : { usage: { input_tokens: usage.inputTokens, output_tokens: usage.outputTokens } }),
    calls: calls.map(({ policies, ...call }) => ({
      ...call,
      ...(policies === undefined ? {} : { policies: [...policies] }),
    })),
  };
}
