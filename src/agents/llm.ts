import type { Agent, AgentReply, TurnRequest } from "../agent.ts";
import type { LlmAgent } from "../settings.ts";
import { sum, type TokenUsage, type Tool } from "../tool.ts";
import { adapt, fullShape, type Shape } from "./adaptation.ts";
import { complete } from "./completion.ts";
import { confirmedOf } from "./confirm-names.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import { explanationIn } from "./excerpt.ts";
import { createJudge } from "./judge.ts";
import { createMcpServers } from "./mcp/servers.ts";
import { type Answered, modelFactory } from "./model.ts";
import { conversationMessages, systemPrompt } from "./prompt.ts";
import { isMalformed, providerFailure, refusalOf, subjectOf } from "./provider-failure.ts";
import type { AgentSeams } from "./seams.ts";
import { STAY_SILENT } from "./silence.ts";
import { type Question, runLoop, spent } from "./tool-loop.ts";
import { fenceOf } from "./tool-result.ts";
import { stepMessages } from "./transcript.ts";

const MAX_ANSWER = 4 * 1024 * 1024;
/** A turn waits this long for tool servers that are starting, then does without them, ms. */
const PATIENCE = 15_000;

/**
 * Answers with a language model, which may call tools: built-in ones, given with each turn, and those of MCP
 * servers, which the agent starts with its first turn and keeps. A server that is down costs the agent its
 * tools, never its answers.
 */
export function createLlmAgent(settings: LlmAgent, seams: AgentSeams): Agent {
  const { id } = settings;
  const { clock, log } = seams;
  const makeModel = modelFactory(settings);
  const subject = subjectOf(settings);
  const servers = createMcpServers(settings, seams);
  const judge = createJudge(settings, makeModel, seams);
  /** False once the model has turned out not to know what tools are. */
  let usesTools = true;
  let toldMissing = false;

  async function run(request: TurnRequest, deadline: Deadline): Promise<AgentReply> {
    const errors = await import("@ai-sdk/provider");
    const access = request.tools;
    const provided = access === undefined ? NO_TOOLS : await toolsFor(access.builtIn, deadline);
    let shape: Shape = { ...fullShape(settings), tools: usesTools };
    let answered = UNANSWERED;
    const onRetry = (reason: string, delay: number) =>
      log.warn("agent.retry", { agent: id, turn: request.turnId, reason, delay });
    const model = await makeModel({
      fetch: seams.fetch,
      clock,
      deadline,
      maxAnswer: MAX_ANSWER,
      onRetry,
      onAnswer: (answer) => {
        answered = answer;
      },
    });

    async function ask(question: Question) {
      let usage: TokenUsage = { inputTokens: 0, outputTokens: 0 };
      for (;;) {
        answered = UNANSWERED;
        try {
          const completion = await complete(model, callOf(question, request, shape, deadline), {
            isMalformed: (error) => isMalformed(errors, error, answered),
            onRetry(reason) {
              onRetry(reason, 0);
              answered = UNANSWERED;
            },
            onUsage: (used) => {
              usage = sum(usage, used);
            },
          });
          return { completion, usage };
        } catch (error) {
          if (deadline.signal.aborted) throw spent(deadline.signal.reason, usage);
          const refusal = refusalOf(errors, error);
          const adapted =
            refusal === undefined
              ? undefined
              : adapt(shape, refusal.status, explanationIn(refusal.body).slice(0, 4_096));
          if (adapted === undefined)
            throw providerFailure(errors, error, settings, request, answered).after(usage);
          onRetry(adapted.why, 0);
          shape = adapted.shape;
          usesTools = shape.tools;
        }
      }
    }

    return runLoop({ settings, request, access, ...provided, ask, deadline, clock, log });
  }

  /** The built-in tools the settings name, and those of all servers that can be reached. */
  async function toolsFor(builtIn: readonly Tool[], deadline: Deadline) {
    const own = builtIn.filter((tool) => settings.tools.includes(tool.name));
    const missing = settings.tools.filter(
      (name) => name !== STAY_SILENT && own.every((tool) => tool.name !== name),
    );
    if (missing.length > 0 && !toldMissing) {
      toldMissing = true;
      log.warn("agent.tools_unavailable", { agent: id, tools: missing });
    }
    const served = await servers.tools(Math.min(PATIENCE, deadline.remaining() / 4), deadline.signal);
    const notes =
      served.missing.length === 0
        ? []
        : [`The tools of these servers cannot be used at the moment: ${served.missing.join(", ")}.`];
    const named = settings.tools.includes(STAY_SILENT);
    const tools = [...own, ...served.tools];
    const { needsCode, unknown } = confirmedOf(settings.confirm, tools);
    for (const tool of unknown) seams.onUnknownConfirm?.({ agent: id, tool });
    return {
      tools,
      needsCode,
      silence: named || tools.length > 0,
      notes,
    };
  }

  function callOf(question: Question, request: TurnRequest, shape: Shape, deadline: Deadline) {
    const { steps, notes, final } = question;
    const tools = shape.tools && (!final || steps.length > 0) ? [...question.tools] : [];
    const system = systemPrompt(settings.system, request, {
      tools: tools.some(({ name }) => name !== STAY_SILENT) || steps.length > 0,
      silence: !final && tools.some(({ name }) => name === STAY_SILENT),
      notes,
    });
    return {
      prompt: [
        { role: "system" as const, content: system },
        ...conversationMessages(request, shape.history, shape.images),
        ...stepMessages(steps, fenceOf(request.turnId), shape.maxResult),
      ],
      ...(tools.length === 0
        ? {}
        : { tools, toolChoice: { type: final ? ("none" as const) : ("auto" as const) } }),
      abortSignal: deadline.signal,
    };
  }

  return {
    async run(request, signal) {
      const deadline = startDeadline(clock, settings.timeout, signal, subject);
      try {
        return await run(request, deadline);
      } finally {
        deadline.end();
      }
    },
    judge,
    toolServers: () => servers.status(),
    close: () => servers.close(),
  };
}

const UNANSWERED: Answered = { status: 0, tries: 1 };
const NO_TOOLS = { tools: [], needsCode: () => true, silence: false, notes: [] };
