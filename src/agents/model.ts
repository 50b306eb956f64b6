import type { LanguageModelV4, SharedV4ProviderOptions } from "@ai-sdk/provider";
import { AppError } from "../errors.ts";
import type { LlmAgent } from "../settings.ts";
import { type ExchangeOptions, post } from "./exchange.ts";

/** A language model of any provider, for one turn. */
export interface Model {
  readonly model: LanguageModelV4;
  /** Sent with every request. */
  readonly providerOptions: SharedV4ProviderOptions;
}

/** Makes the model for one turn, whose requests go through `exchange`. */
export type ModelFactory = (exchange: ExchangeOptions & OnAnswer) => Promise<Model>;

/** What came over the wire, whatever the library makes of it. */
export interface Answered {
  readonly status: number;
  /** Requests it took. */
  readonly tries: number;
}

interface OnAnswer {
  /** Told of each answer, failed ones included. */
  readonly onAnswer: (answer: Answered) => void;
}

/** Given to the libraries where no key is configured: without one they would look into the environment. */
const NO_KEY = "none";
const KEY_HEADERS = ["authorization", "x-api-key"];

export const OPENAI_URL = "https://api.openai.com/v1";
export const ANTHROPIC_URL = "https://api.anthropic.com/v1";

/**
 * Checks the settings, and leaves the provider's library to the first turn: a service without an llm agent
 * never pays its memory and start-up time. Throws AppError `invalid` for a base URL that is none.
 */
export function modelFactory(settings: LlmAgent): ModelFactory {
  const { provider, baseUrl, model, apiKey = NO_KEY } = settings;
  if (provider === "openai-compatible" || baseUrl !== undefined) checkUrl(settings);
  const fetchOf = (exchange: ExchangeOptions & OnAnswer) => exchangeFetch(exchange, apiKey === NO_KEY);
  switch (provider) {
    case "openai-compatible":
      return async (exchange) => {
        const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
        const connect = createOpenAICompatible({
          name: "llm",
          baseURL: baseUrl ?? "",
          fetch: fetchOf(exchange),
          apiKey,
          supportsStructuredOutputs: true,
        });
        return { model: connect(model), providerOptions: {} };
      };
    case "openai":
      return async (exchange) => {
        const { createOpenAI } = await import("@ai-sdk/openai");
        const connect = createOpenAI({ baseURL: baseUrl ?? OPENAI_URL, fetch: fetchOf(exchange), apiKey });
        // Nothing is kept there: people's texts are not theirs, and a resumed turn brings all it needs.
        return { model: connect(model), providerOptions: { openai: { store: false } } };
      };
    case "anthropic":
      return async (exchange) => {
        const { createAnthropic } = await import("@ai-sdk/anthropic");
        const connect = createAnthropic({
          baseURL: baseUrl ?? ANTHROPIC_URL,
          fetch: fetchOf(exchange),
          apiKey,
        });
        return { model: connect(model), providerOptions: {} };
      };
  }
}

function checkUrl({ id, baseUrl }: LlmAgent): void {
  if (baseUrl !== undefined && /^https?:\/\/[^\s]+$/i.test(baseUrl) && URL.canParse(baseUrl)) return;
  throw new AppError("invalid", `Agent ${id} cannot be used as it is configured.`, {
    problems: [
      {
        path: `agents.${id}.base_url`,
        message: "Write the endpoint's address, like http://127.0.0.1:11434/v1.",
      },
    ],
  });
}

/** Statuses whose responses have no body. */
const BODILESS = new Set([101, 204, 205, 304]);

/** `fetch` for the libraries on top of our exchange: repetitions, caps and time-outs are as for all agents. */
function exchangeFetch(exchange: ExchangeOptions & OnAnswer, keyless: boolean): typeof fetch {
  const send = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const body = typeof init?.body === "string" ? init.body : "";
    const headers = () => {
      const own = new Headers(init?.headers);
      if (keyless) for (const name of KEY_HEADERS) own.delete(name);
      return own;
    };
    const answer = await post(String(input), headers, body, exchange);
    exchange.onAnswer(answer);
    return new Response(BODILESS.has(answer.status) ? null : answer.body, {
      status: answer.status,
      headers: answer.headers,
    });
  };
  return Object.assign(send, { preconnect() {} });
}
