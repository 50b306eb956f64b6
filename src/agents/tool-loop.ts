import type { LanguageModelV4FunctionTool } from "@ai-sdk/provider";
import { AgentFailure, type AgentReply, type TurnRequest } from "../agent.ts";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { LlmAgent } from "../settings.ts";
import { sum, type TokenUsage, type Tool, type TurnTools } from "../tool.ts";
import type { Completion } from "./completion.ts";
import type { Confirmed } from "./confirm-names.ts";
import type { Deadline } from "./deadline.ts";
import { subjectOf } from "./provider-failure.ts";
import { choosesSilence, SILENCE } from "./silence.ts";
import { settleCalls } from "./tool-call.ts";
import { modelToolName } from "./tool-names.ts";
import { replay, type Step, stepOf } from "./transcript.ts";

/** What one request to the model is made of. */
export interface Question {
  readonly steps: readonly Step[];
  readonly tools: readonly LanguageModelV4FunctionTool[];
  /** The tools are shown, but may not be called. */
  readonly final: boolean;
  /** Sentences added to the system prompt. */
  readonly notes: readonly string[];
}

export interface LoopSeams {
  readonly settings: LlmAgent;
  readonly request: TurnRequest;
  /** Absent: the model only talks. */
  readonly access: TurnTools | undefined;
  readonly tools: readonly Tool[];
  readonly needsCode: Confirmed["needsCode"];
  /** The model may end the turn without an answer. */
  readonly silence: boolean;
  /** Sentences for the system prompt of every request. */
  readonly notes: readonly string[];
  readonly ask: (
    question: Question,
  ) => Promise<{ readonly completion: Completion; readonly usage: TokenUsage }>;
  readonly deadline: Deadline;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Lets the model call tools until it answers, at most `max_steps` requests; in the last one it may call none.
 * Goes on from the journal: no step is asked for twice, no call that began is made twice.
 */
export async function runLoop(seams: LoopSeams): Promise<AgentReply> {
  const { settings, request, access, log } = seams;
  const offered = offer(seams.tools, seams.silence ? MAX_TOOLS - 1 : MAX_TOOLS, log);
  const functions = seams.silence ? [...offered.functions, SILENCE] : offered.functions;
  const past = replay(access?.journal.entries ?? []);
  const steps = [...past.steps];
  let usage = past.usage;

  const ask = async (final: boolean, notes: readonly string[]): Promise<Completion> => {
    const question = { steps, tools: functions, final, notes: [...seams.notes, ...notes] };
    const asked = await seams.ask(question).catch((error: unknown) => {
      throw spent(error, usage);
    });
    usage = sum(usage, asked.usage);
    return asked.completion;
  };

  for (;;) {
    const waiting = await settleLast(steps, offered.byName, seams).catch((error: unknown) => {
      throw spent(error, usage);
    });
    if (waiting.length > 0) return { parked: waiting, ...counted(usage) };
    const final = access === undefined || steps.length + 1 >= settings.maxSteps;
    const before = usage;
    let completion = await ask(final, final && steps.length > 0 ? [LAST_STEP] : []);
    if (!acts(completion, final)) {
      log.warn("agent.retry", {
        agent: settings.id,
        turn: request.turnId,
        reason: emptiness(completion),
        delay: 0,
      });
      completion = await ask(final, [ANSWER_NOW]);
    }
    if (!acts(completion, final))
      throw nothingSaid(completion, final && steps.length > 0, settings).after(usage);
    if (!final && seams.silence && choosesSilence(completion)) {
      log.info("agent.silent", { agent: settings.id, turn: request.turnId });
      return counted(usage);
    }
    const calls = completion.parts.some((part) => part.type === "call");
    if (!calls || final) return { text: completion.text, ...counted(usage) };
    const parts = completion.parts.map((part) =>
      part.type === "call" ? { ...part, tool: offered.nameOf(part.tool) } : part,
    );
    const number = steps.length + 1;
    const own = {
      inputTokens: usage.inputTokens - before.inputTokens,
      outputTokens: usage.outputTokens - before.outputTokens,
    };
    await access.journal.append([{ kind: "step", step: number, content: parts, usage: own }]);
    steps.push(stepOf(number, parts, []));
  }
}

const LAST_STEP =
  "You can call no more tools in this turn. Answer now with what you have, and say what could not be done.";
const ANSWER_NOW = "Your last answer was empty. Answer the person now, in plain words.";

/** Runs what is left of the last step's calls; gives those that wait for somebody. */
async function settleLast(
  steps: Step[],
  tools: ReadonlyMap<string, Tool>,
  { access, settings, request, needsCode, deadline, clock, log }: LoopSeams,
): Promise<readonly string[]> {
  const last = steps.at(-1);
  if (last === undefined || access === undefined) return [];
  const calls = await settleCalls(last.calls, {
    settings,
    request,
    access,
    tools,
    needsCode,
    deadline,
    clock,
    log,
  });
  steps[steps.length - 1] = { ...last, calls };
  return calls.filter(({ state }) => state.kind === "waiting").map(({ callId }) => callId);
}

function acts({ text, parts }: Completion, final: boolean): boolean {
  return text !== "" || (!final && parts.some((part) => part.type === "call"));
}

function emptiness({ strayCall, parts }: Completion): "empty" | "tool_text" {
  return strayCall || parts.some((part) => part.type === "call") ? "tool_text" : "empty";
}

function nothingSaid(completion: Completion, exhausted: boolean, settings: LlmAgent): AgentFailure {
  const subject = subjectOf(settings);
  const { id, maxSteps } = settings;
  if (exhausted)
    return new AgentFailure("provider", `${subject} gave no answer within ${maxSteps} steps`, {
      fix: `Raise agents.${id}.max_steps, or take away a tool that leads it in circles.`,
    });
  if (completion.strayCall)
    return new AgentFailure(
      "provider",
      `${subject} writes its tool calls as text instead of making them, twice`,
      {
        fix: "Switch on the model server's parser for tool calls, use another model, or give the agent no tools.",
      },
    );
  return new AgentFailure(
    "provider",
    `${subject} answered nothing, twice (finish reason: ${completion.finishReason})`,
    { fix: "Try the model in a terminal; a reasoning model may need a larger context or output limit." },
  );
}

/** The failure with what the turn has cost so far. */
export function spent(error: unknown, usage: TokenUsage): unknown {
  return error instanceof AgentFailure ? error.after(usage) : error;
}

function counted(usage: TokenUsage): { readonly usage?: TokenUsage } {
  return usage.inputTokens > 0 || usage.outputTokens > 0 ? { usage } : {};
}

/** OpenAI's limits; others allow more. */
const MAX_TOOLS = 128;
const MAX_DESCRIPTION = 1_024;

/** The tools as the model is shown them. */
function offer(tools: readonly Tool[], most: number, log: Log) {
  const byName = new Map<string, Tool>();
  const names = new Map<string, string>();
  const functions: LanguageModelV4FunctionTool[] = [];
  for (const tool of tools) {
    const name = modelToolName(tool.name);
    if (names.has(name) || functions.length === most) {
      log.warn("agent.tool_left_out", { tool: tool.name, limit: most });
      continue;
    }
    byName.set(tool.name, tool);
    names.set(name, tool.name);
    const { $schema: _, ...schema } = tool.inputSchema;
    functions.push({
      type: "function",
      name,
      description: tool.description.slice(0, MAX_DESCRIPTION),
      inputSchema: { properties: {}, ...schema, type: "object" },
    });
  }
  /** Some models write the name they read in a text instead of the one they were given. */
  const nameOf = (written: string) => names.get(written) ?? written;
  return { byName, functions, nameOf };
}
