import type { JSONObject, LanguageModelV4Message, LanguageModelV4Prompt } from "@ai-sdk/provider";
import { z } from "zod";
import { AgentFailure } from "../agent.ts";
import { type CallState, callState, type JournalEntry, sum, type TokenUsage } from "../tool.ts";
import { modelToolName } from "./tool-names.ts";
import { capped, fenced } from "./tool-result.ts";

const JsonObject = z.custom<JSONObject>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
);
/** What the provider wants back with a part: signatures of thoughts, ids. */
const Meta = z.record(z.string(), JsonObject);

const Part = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text"), text: z.string(), meta: Meta.optional() }),
  z.object({ type: z.literal("reasoning"), text: z.string(), meta: Meta.optional() }),
  z.object({
    type: z.literal("call"),
    /** The model's own id of the call. */
    id: z.string(),
    tool: z.string(),
    input: z.record(z.string(), z.unknown()),
    /** The input was no JSON object. */
    malformed: z.literal(true).optional(),
    meta: Meta.optional(),
  }),
]);

/** One part of a model's answer, as it is journalled. Tools are named as we name them, not as the model does. */
export type StepPart = z.infer<typeof Part>;
export type CallPart = Extract<StepPart, { readonly type: "call" }>;

/** One answer of the model that called tools. */
export interface Step {
  readonly parts: readonly StepPart[];
  readonly calls: readonly Call[];
}

export interface Call {
  /** `2.0`: the first call of the second step. */
  readonly callId: string;
  readonly part: CallPart;
  readonly state: CallState;
}

/** The step that `parts` make, its calls as far as `entries` know of them. */
export function stepOf(number: number, parts: readonly StepPart[], entries: readonly JournalEntry[]): Step {
  const calls = parts.filter((part) => part.type === "call");
  return {
    parts,
    calls: calls.map((part, index) => {
      const callId = `${number}.${index}`;
      return { callId, part, state: callState(callId, entries) };
    }),
  };
}

/**
 * A turn so far, out of its journal. Throws an AgentFailure when the journal was written by a version whose
 * steps this one cannot read: going on without them could repeat a call.
 */
export function replay(entries: readonly JournalEntry[]): {
  readonly steps: readonly Step[];
  readonly usage: TokenUsage;
} {
  let usage: TokenUsage = { inputTokens: 0, outputTokens: 0 };
  const steps: Step[] = [];
  for (const entry of entries) {
    if (entry.kind !== "step") continue;
    const parts = z.array(Part).safeParse(entry.content);
    if (!parts.success)
      throw new AgentFailure("output", "the journal of the turn cannot be read by this version", {
        fix: "Text again; the turn was begun by another version.",
      });
    steps.push(stepOf(entry.step, parts.data, entries));
    usage = sum(usage, entry.usage);
  }
  return { steps, usage };
}

/**
 * The steps as messages: what the model answered, then what its calls gave. All of it is fenced, failures too:
 * they are told in the words of servers.
 */
export function stepMessages(
  steps: readonly Step[],
  fence: string,
  maxResult: number,
): LanguageModelV4Prompt {
  return steps.flatMap(({ parts, calls }): LanguageModelV4Message[] => {
    const ids = callIdsOf(calls);
    return [
      { role: "assistant", content: parts.map((part) => messagePart(part, ids)) },
      {
        role: "tool",
        content: calls.map(({ part, state }) => ({
          type: "tool-result",
          toolCallId: ids.get(part) ?? part.id,
          toolName: modelToolName(part.tool),
          output: resultOf(state, fence, maxResult),
        })),
      },
    ];
  });
}

type AssistantPart = Extract<LanguageModelV4Message, { role: "assistant" }>["content"][number];
type ResultPart = Extract<
  Extract<LanguageModelV4Message, { role: "tool" }>["content"][number],
  { type: "tool-result" }
>;

function messagePart(part: StepPart, ids: ReadonlyMap<CallPart, string>): AssistantPart {
  const meta = part.meta === undefined ? {} : { providerOptions: part.meta };
  switch (part.type) {
    case "text":
    case "reasoning":
      return { type: part.type, text: part.text, ...meta };
    case "call":
      return {
        type: "tool-call",
        toolCallId: ids.get(part) ?? part.id,
        toolName: modelToolName(part.tool),
        input: part.input,
        ...meta,
      };
  }
}

/**
 * The model's own ids, since some providers check their form; but where it gave one twice or none at all, made
 * up ones of nine letters and digits, which all of them take.
 */
function callIdsOf(calls: readonly Call[]): ReadonlyMap<CallPart, string> {
  const ids = new Map<CallPart, string>();
  const used = new Set([""]);
  for (const { callId, part } of calls) {
    const [step = 0, index = 0] = callId.split(".").map(Number);
    const id = used.has(part.id) ? `call${String(step * 100 + index).padStart(5, "0")}` : part.id;
    used.add(id);
    ids.set(part, id);
  }
  return ids;
}

function resultOf(state: CallState, fence: string, maxResult: number): ResultPart["output"] {
  if (state.kind !== "done") throw new Error("the model is asked before its calls have ended");
  const text = capped(state.text, maxResult);
  return {
    type: state.failed ? "error-text" : "text",
    value: `${state.failed ? "Failed.\n" : ""}${fenced(text === "" ? "(nothing)" : text, fence)}`,
  };
}
