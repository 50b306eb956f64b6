import { AgentFailure, type TurnRequest } from "../agent.ts";
import type { LlmAgent } from "../settings.ts";
import { errorMessageIn, excerpt, explanationIn } from "./excerpt.ts";
import { OversizedAnswer, triesNote, Unreachable } from "./exchange.ts";
import type { Answered } from "./model.ts";

/** The errors of the providers' libraries. */
export type ProviderErrors = Pick<
  typeof import("@ai-sdk/provider"),
  "APICallError" | "InvalidResponseDataError"
>;

/** The provider refused or failed: its status, and its words where there were any. */
export function refusalOf(
  errors: ProviderErrors,
  error: unknown,
): { readonly status: number; readonly body: string } | undefined {
  if (!errors.APICallError.isInstance(error) || error.statusCode === undefined) return undefined;
  return isSuccess(error.statusCode) ? undefined : { status: error.statusCode, body: bodyOf(errors, error) };
}

/** The answer was a 2xx, and yet the library could make nothing of it. Some libraries call that a 500. */
export function isMalformed(errors: ProviderErrors, error: unknown, { status }: Answered): boolean {
  return (
    isSuccess(status) &&
    (errors.APICallError.isInstance(error) || errors.InvalidResponseDataError.isInstance(error))
  );
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** Typed as text, but some libraries put the parsed JSON there. */
function bodyOf(errors: ProviderErrors, error: unknown): string {
  const body: unknown = errors.APICallError.isInstance(error) ? error.responseBody : undefined;
  return typeof body === "string" ? body : (JSON.stringify(body) ?? "");
}

/** The model as messages name it: `qwen3:8b at 127.0.0.1:11434`. */
export function subjectOf({ provider, baseUrl, model }: LlmAgent): string {
  return `${model} at ${baseUrl === undefined ? provider : new URL(baseUrl).host}`;
}

/**
 * Why the model could not be asked, for the operator. The libraries' errors hold the whole prompt, so none is
 * passed on, as a cause neither.
 */
export function providerFailure(
  errors: ProviderErrors,
  error: unknown,
  settings: LlmAgent,
  request: Pick<TurnRequest, "from" | "text" | "messages">,
  answered: Answered,
): AgentFailure {
  const { id, apiKey } = settings;
  const subject = subjectOf(settings);
  const known = causes(error).find(
    (each) => each instanceof AgentFailure || each instanceof Unreachable || each instanceof OversizedAnswer,
  );
  if (known instanceof AgentFailure) return known;
  if (known instanceof Unreachable)
    return new AgentFailure("provider", `${subject} could not be reached: ${known.message}`, {
      fix: `Start the model server, or correct agents.${id}.base_url.`,
    });
  if (known instanceof OversizedAnswer) return new AgentFailure("output", `${subject}: ${known.message}`);
  const quote = (said: string) => {
    const words = excerpt(said, request, { secrets: apiKey === undefined ? [] : [apiKey] });
    return words === "" ? "" : `: ${words}`;
  };
  const body = bodyOf(errors, error);
  if (isMalformed(errors, error, answered))
    return new AgentFailure(
      "output",
      `${subject} answered, twice, with something that is not a chat completion${quote(errorMessageIn(body) ?? "")}`,
      {
        fix: `Check that agents.${id}.base_url ends where ${PATHS[settings.provider]} is to follow, mostly in /v1.`,
      },
    );
  const refusal = refusalOf(errors, error);
  if (refusal !== undefined) {
    const fix = fixOf(refusal.status, id);
    return new AgentFailure(
      "provider",
      `${subject} answered ${refusal.status}${triesNote(answered.tries)}${quote(explanationIn(body))}`,
      { fix, blamesText: BLAME.includes(refusal.status) },
    );
  }
  const words = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new AgentFailure("provider", `${subject} could not be asked${quote(words)}`);
}

/** What was asked is refused: too long, not wanted, or not understood. */
const BLAME: readonly number[] = [400, 413, 422];

const PATHS = {
  "openai-compatible": "/chat/completions",
  openai: "/responses",
  anthropic: "/messages",
} as const;

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
