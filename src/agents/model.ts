import { AppError } from "../errors.ts";
import type { LlmAgent } from "../settings.ts";
import { type ExchangeOptions, post } from "./exchange.ts";

/** The SDK, loaded with the first turn: a service without an llm agent never pays its memory and start-up time. */
export type Sdk = typeof import("ai");

/** A language model of any provider. */
type Model = Parameters<Sdk["wrapLanguageModel"]>[0]["model"];

/** Makes the model for one turn, whose requests go through `exchange`. */
export type ModelFactory = (exchange: ExchangeOptions & OnAnswer) => Promise<Model>;

interface OnAnswer {
  /** Told of each answer, failed ones included, how many requests it took. */
  readonly onAnswer: (tries: number) => void;
}

export async function loadSdk(): Promise<Sdk> {
  globalThis.AI_SDK_LOG_WARNINGS = false; // it would write to stderr, between our log lines
  return import("ai");
}

/** Throws AppError `invalid` for a provider that this build cannot speak to, and for a base URL that is none. */
export function modelFactory(settings: LlmAgent): ModelFactory {
  const { id, provider, baseUrl, model, apiKey } = settings;
  switch (provider) {
    case "openai-compatible": {
      if (baseUrl === undefined || !/^https?:\/\/[^\s]+$/i.test(baseUrl) || !URL.canParse(baseUrl))
        throw invalid(id, "base_url", "Write the endpoint's address, like http://127.0.0.1:11434/v1.");
      return async (exchange) => {
        const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
        const connect = createOpenAICompatible({
          name: "llm",
          baseURL: baseUrl,
          fetch: exchangeFetch(exchange),
          ...(apiKey === undefined ? {} : { apiKey }),
        });
        return connect(model);
      };
    }
    case "openai":
      throw invalid(id, "provider", notYet("openai", "https://api.openai.com/v1"));
    case "anthropic":
      throw invalid(id, "provider", notYet("anthropic", "https://api.anthropic.com/v1"));
  }
}

function notYet(provider: string, url: string): string {
  return `${provider} is not supported by this version; write openai-compatible, with base_url: ${url}.`;
}

function invalid(id: string, key: string, message: string): AppError {
  return new AppError("invalid", `Agent ${id} cannot be used as it is configured.`, {
    problems: [{ path: `agents.${id}.${key}`, message }],
  });
}

/** Statuses whose responses have no body. */
const BODILESS = new Set([101, 204, 205, 304]);

/** `fetch` for the SDK on top of our exchange: repetitions, caps and time-outs are the same as for all agents. */
function exchangeFetch(exchange: ExchangeOptions & OnAnswer): typeof fetch {
  const send = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const body = typeof init?.body === "string" ? init.body : "";
    const answer = await post(String(input), () => new Headers(init?.headers), body, exchange);
    exchange.onAnswer(answer.tries);
    const { status, headers } = answer;
    return new Response(BODILESS.has(status) ? null : answer.body, { status, headers });
  };
  return Object.assign(send, { preconnect() {} });
}
