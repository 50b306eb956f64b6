import { type Agent, AgentFailure, type AgentReply, type TurnRequest } from "../agent.ts";
import type { LlmAgent } from "../settings.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import { errorMessageIn, excerpt, explanationIn } from "./excerpt.ts";
import { OversizedAnswer, triesNote, Unreachable } from "./exchange.ts";
import { answerMiddleware } from "./middleware.ts";
import { loadSdk, modelFactory, type Sdk } from "./model.ts";
import { promptMessages, systemPrompt } from "./prompt.ts";
import type { AgentSeams } from "./seams.ts";

const MAX_ANSWER = 4 * 1024 * 1024;

/** Answers with a language model: the conversation goes in, one text comes out. */
export function createLlmAgent(settings: LlmAgent, seams: AgentSeams): Agent {
  const { id, model: modelName } = settings;
  const { clock, log } = seams;
  const makeModel = modelFactory(settings);
  const subject = `${modelName} at ${hostOf(settings)}`;
  const secrets = settings.apiKey === undefined ? [] : [settings.apiKey];
  const ignored = [...settings.tools, ...Object.keys(settings.mcpServers)];
  if (ignored.length > 0) log.warn("agent.tools_unavailable", { agent: id, tools: ignored });

  async function answer(request: TurnRequest, deadline: Deadline): Promise<AgentReply> {
    const sdk = await loadSdk();
    const usage = { inputTokens: 0, outputTokens: 0 };
    let tries = 1;
    const onRetry = (reason: string, delay: number) =>
      log.warn("agent.retry", { agent: id, turn: request.turnId, reason, delay });
    const model = await makeModel({
      fetch: seams.fetch,
      clock,
      deadline,
      maxAnswer: MAX_ANSWER,
      onRetry,
      onAnswer: (taken) => {
        tries = taken;
      },
    });
    const middleware = answerMiddleware({
      isMalformed: (error) => isMalformed(sdk, error),
      onRetry: (reason) => onRetry(reason, 0),
      onUsage: (used) => {
        usage.inputTokens += used.inputTokens;
        usage.outputTokens += used.outputTokens;
      },
    });
    try {
      const result = await sdk.generateText({
        model: sdk.wrapLanguageModel({ model, middleware }),
        instructions: systemPrompt(settings.system, request),
        messages: [...promptMessages(request, settings.history)],
        maxRetries: 0, // the exchange repeats, by our clock and within the deadline
        abortSignal: deadline.signal,
      });
      const text = result.text.trim();
      if (text === "")
        throw new AgentFailure(
          "provider",
          `${subject} answered nothing, twice (finish reason: ${result.finishReason})`,
          {
            fix: "Try the model in a terminal; a reasoning model may need a larger context or output limit.",
          },
        );
      const counted = usage.inputTokens > 0 || usage.outputTokens > 0;
      return { text, ...(counted ? { usage } : {}) };
    } catch (error) {
      deadline.signal.throwIfAborted();
      throw failureOf(sdk, error, request, tries);
    }
  }

  /** The SDK's errors hold the whole prompt, so none is passed on, as a cause neither. */
  function failureOf(sdk: Sdk, error: unknown, request: TurnRequest, tries: number): AgentFailure {
    const known = causes(error).find(
      (each) =>
        each instanceof AgentFailure || each instanceof Unreachable || each instanceof OversizedAnswer,
    );
    if (known instanceof AgentFailure) return known;
    if (known instanceof Unreachable)
      return new AgentFailure("provider", `${subject} could not be reached: ${known.message}`, {
        fix: `Start the model server, or correct agents.${id}.base_url.`,
      });
    if (known instanceof OversizedAnswer) return new AgentFailure("output", `${subject}: ${known.message}`);
    const body = sdk.APICallError.isInstance(error) ? (error.responseBody ?? "") : "";
    const status = sdk.APICallError.isInstance(error) ? error.statusCode : undefined;
    const quote = (said: string) => {
      const words = excerpt(said, request, { secrets });
      return words === "" ? "" : `: ${words}`;
    };
    if (isMalformed(sdk, error))
      return new AgentFailure(
        "output",
        `${subject} answered, twice, with something that is not a chat completion${quote(errorMessageIn(body) ?? "")}`,
        { fix: `Check that agents.${id}.base_url ends where /chat/completions is to follow, mostly in /v1.` },
      );
    if (status !== undefined) {
      const fix = fixOf(status, id);
      return new AgentFailure(
        "provider",
        `${subject} answered ${status}${triesNote(tries)}${quote(explanationIn(body))}`,
        fix === undefined ? {} : { fix },
      );
    }
    const words = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return new AgentFailure("provider", `${subject} could not be asked${quote(words)}`);
  }

  return {
    async run(request, signal) {
      const deadline = startDeadline(clock, settings.timeout, signal, subject);
      try {
        return await answer(request, deadline);
      } finally {
        deadline.end();
      }
    },
  };
}

/** It answered 2xx, or the SDK could make nothing of the answer. */
function isMalformed(sdk: Sdk, error: unknown): boolean {
  if (sdk.APICallError.isInstance(error))
    return error.statusCode !== undefined && error.statusCode >= 200 && error.statusCode < 300;
  return sdk.InvalidResponseDataError.isInstance(error);
}

function causes(error: unknown): readonly unknown[] {
  const chain: unknown[] = [];
  for (
    let each = error;
    each !== undefined && chain.length < 8;
    each = each instanceof Error ? each.cause : undefined
  )
    chain.push(each);
  return chain;
}

function fixOf(status: number, id: string): string | undefined {
  if (status === 401 || status === 403) return `Check agents.${id}.api_key.`;
  if (status === 404) return `Check agents.${id}.model and agents.${id}.base_url.`;
  if (status === 429) return "Wait, or raise the provider's rate limit or quota.";
  if (status >= 300 && status < 400)
    return `Redirects are not followed; write the final address in agents.${id}.base_url.`;
  return undefined;
}

function hostOf({ provider, baseUrl }: LlmAgent): string {
  return baseUrl === undefined ? provider : new URL(baseUrl).host;
}
