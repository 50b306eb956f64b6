import type {
  LanguageModelV4CallOptions,
  LanguageModelV4Content,
  LanguageModelV4GenerateResult,
} from "@ai-sdk/provider";
import type { TokenUsage } from "../tool.ts";
import type { Model } from "./model.ts";
import { isCallText, spokenPart } from "./reasoning.ts";
import type { StepPart } from "./transcript.ts";

/** What a model answered, once. */
export interface Completion {
  /** Text, thoughts and calls in the order they came, names of tools as the model wrote them. */
  readonly parts: readonly StepPart[];
  /** What it says; "" when it says nothing. */
  readonly text: string;
  /** The provider's own word where there is one. */
  readonly finishReason: string;
  /** It said nothing but a call of a tool, written as text. */
  readonly strayCall: boolean;
}

export interface CompletionOptions {
  /** An answer that came, but is no completion. */
  readonly isMalformed: (error: unknown) => boolean;
  readonly onRetry: (reason: "malformed") => void;
  /** Told of every completion: all are paid for. */
  readonly onUsage: (usage: TokenUsage) => void;
}

/** Asks the model; once more where the answer is nonsense, as small and overloaded servers give it. */
export async function complete(
  { model, providerOptions }: Model,
  call: LanguageModelV4CallOptions,
  options: CompletionOptions,
): Promise<Completion> {
  const ask = async () => {
    const generated = await model.doGenerate({ ...call, providerOptions });
    const { inputTokens, outputTokens } = generated.usage;
    options.onUsage({ inputTokens: tokens(inputTokens.total), outputTokens: tokens(outputTokens.total) });
    return parse(generated, new Set((call.tools ?? []).map((tool) => tool.name)));
  };
  try {
    return await ask();
  } catch (error) {
    if (!options.isMalformed(error)) throw error;
    options.onRetry("malformed");
    return ask();
  }
}

/** What no context window has ever held: a count beyond it is a provider's mistake, and would spoil every total. */
const MOST_TOKENS = 1_000_000_000;

function tokens(count: number | undefined): number {
  return count !== undefined && count >= 0 && count <= MOST_TOKENS ? Math.round(count) : 0;
}

function parse(generated: LanguageModelV4GenerateResult, toolNames: ReadonlySet<string>): Completion {
  const wrote = generated.content
    .map((part) => (part.type === "text" ? part.text : ""))
    .join("")
    .trim();
  const parts = generated.content.flatMap(partOf);
  const said = parts
    .map((part) => (part.type === "text" ? part.text : ""))
    .join("")
    .trim();
  const callText = isCallText(said, toolNames);
  return {
    parts: callText ? parts.filter((part) => part.type !== "text") : parts,
    text: callText ? "" : said,
    finishReason: generated.finishReason.raw ?? generated.finishReason.unified,
    strayCall: callText || (said === "" && /tool|function|invoke|python_tag/i.test(wrote)),
  };
}

/** Sources, files and what the provider ran by itself are of no use to somebody who reads a text message. */
function partOf(part: LanguageModelV4Content): readonly StepPart[] {
  const meta = "providerMetadata" in part && part.providerMetadata ? { meta: part.providerMetadata } : {};
  switch (part.type) {
    case "text": {
      const text = spokenPart(part.text);
      return text === "" ? [] : [{ type: "text", text, ...meta }];
    }
    case "reasoning":
      return [{ type: "reasoning", text: part.text, ...meta }];
    case "tool-call":
      if (part.providerExecuted === true) return [];
      return [{ type: "call", id: part.toolCallId, tool: part.toolName, ...inputOf(part.input), ...meta }];
    default:
      return [];
  }
}

/** Many models write nothing at all for a call without arguments. */
function inputOf(json: string): { readonly input: Record<string, unknown>; readonly malformed?: true } {
  if (json.trim() === "") return { input: {} };
  if (depthOf(json) > MAX_DEPTH) return { input: {}, malformed: true };
  try {
    const value: unknown = JSON.parse(json);
    if (value === null) return { input: {} };
    if (typeof value === "object" && !Array.isArray(value)) return { input: { ...value } };
  } catch {
    // told to the model as the result of the call
  }
  return { input: {}, malformed: true };
}

/** No tool asks for more; writing tens of thousands of levels into the journal takes seconds, and fails. */
const MAX_DEPTH = 100;

/** How deep brackets are nested in a JSON text; those in its strings do not count. */
function depthOf(json: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (quoted) {
      if (char === "\\") at += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === "[" || char === "{") deepest = Math.max(deepest, ++depth);
    else if (char === "]" || char === "}") depth -= 1;
  }
  return deepest;
}
