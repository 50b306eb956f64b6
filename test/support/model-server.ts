import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

/** One answer of the scripted server, or a function of the request that makes one. */
export type ModelAnswer = PlannedAnswer | ((request: ModelRequest) => PlannedAnswer);

type PlannedAnswer =
  | {
      readonly text?: string | null;
      /** Sent as `reasoning_content`. */
      readonly reasoning?: string;
      /** `arguments` as a string is sent as it is, whether it is JSON or not. */
      readonly toolCalls?: readonly {
        readonly name: string;
        readonly arguments: unknown;
        readonly id?: string;
      }[];
      readonly finishReason?: string;
      readonly usage?: { readonly prompt: number; readonly completion: number };
    }
  /** A failure, or any body at all: a string is sent as it is, anything else as JSON. */
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown }
  /** Takes the request and never answers. */
  | "hang"
  /** Closes the connection without an answer. */
  | "reset";

export interface ModelRequest {
  /** `/v1/chat/completions`, `/v1/responses` or `/v1/messages`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: {
    readonly model: string;
    /** The `input` of a request to `/v1/responses`. */
    readonly messages: readonly {
      readonly role: string;
      readonly content: unknown;
      readonly [key: string]: unknown;
    }[];
    readonly tools?: readonly {
      readonly function: { readonly name: string; readonly [key: string]: unknown };
      readonly [key: string]: unknown;
    }[];
    readonly [key: string]: unknown;
  };
}

export interface ModelServer {
  /** For `base_url`; ends in `/v1`. */
  readonly baseUrl: string;
  readonly requests: readonly ModelRequest[];
  /** Adds answers, given one per request in this order. A request beyond the script gets 500. */
  script(...answers: readonly ModelAnswer[]): void;
  /** Resolves once `count` requests have come in all. */
  received(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** The settings of an agent that asks this model. */
export function scriptedAgent(
  { baseUrl }: Pick<ModelServer, "baseUrl">,
  more: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  return { type: "llm", provider: "openai-compatible", base_url: baseUrl, model: "scripted", ...more };
}

/**
 * A server on loopback that speaks OpenAI's chat completions and responses and Anthropic's messages, without
 * streaming, and answers as it is told.
 */
export async function startModelServer(...answers: readonly ModelAnswer[]): Promise<ModelServer> {
  const script = [...answers];
  const requests: ModelRequest[] = [];
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  const server = createServer((incoming, response) => {
    handle(incoming, response).catch((error: unknown) => {
      response.writeHead(500).end(JSON.stringify({ error: { message: String(error) } }));
    });
  });

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    if (incoming.method === "GET" && incoming.url === "/v1/models") {
      return send(response, 200, {}, { object: "list", data: [{ id: "test-model", object: "model" }] });
    }
    const form = FORMS[incoming.url ?? ""];
    if (incoming.method !== "POST" || incoming.url === undefined || form === undefined) {
      return send(response, 404, {}, { error: { message: `no such route: ${incoming.url}` } });
    }
    const body = JSON.parse(await bodyOf(incoming));
    const request: ModelRequest = {
      path: incoming.url,
      headers: incoming.headers,
      body: { ...body, messages: body.messages ?? body.input },
    };
    requests.push(request);
    for (const each of waiting) if (requests.length >= each.count) each.resolve();
    const next = script.shift() ?? { status: 500, body: { error: { message: "the script is over" } } };
    const answer = typeof next === "function" ? next(request) : next;
    if (answer === "hang") return;
    if (answer === "reset") {
      incoming.socket.destroy();
      return;
    }
    if ("status" in answer) return send(response, answer.status, answer.headers ?? {}, answer.body ?? "");
    send(response, 200, {}, form(request.body.model, answer, requests.length));
  }

  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });

  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    requests,
    script: (...more) => void script.push(...more),
    received: (count) =>
      new Promise((resolve) => {
        if (requests.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type SpokenAnswer = Extract<PlannedAnswer, { readonly text?: string | null }>;

/** How each API writes an answer. */
const FORMS: Readonly<Record<string, (model: string, answer: SpokenAnswer, serial: number) => unknown>> = {
  "/v1/chat/completions": completion,
  "/v1/responses": response,
  "/v1/messages": message,
};

function argumentsText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function response(model: string, answer: SpokenAnswer, serial: number): unknown {
  const { text = null, reasoning, toolCalls = [], usage = { prompt: 10, completion: 5 } } = answer;
  const content = text === null ? [] : [{ type: "output_text", text, annotations: [] }];
  return {
    id: `resp_${serial}`,
    object: "response",
    created_at: 1_760_000_000,
    status: "completed",
    model,
    output: [
      ...(reasoning === undefined
        ? []
        : [
            {
              type: "reasoning",
              id: `rs_${serial}`,
              encrypted_content: `sealed ${serial}`,
              summary: [{ type: "summary_text", text: reasoning }],
            },
          ]),
      ...(content.length === 0
        ? []
        : [{ type: "message", id: `msg_${serial}`, role: "assistant", status: "completed", content }]),
      ...toolCalls.map((call, index) => ({
        type: "function_call",
        id: `fc_${serial}_${index}`,
        call_id: call.id ?? `call_${serial}_${index}`,
        name: call.name,
        arguments: argumentsText(call.arguments),
        status: "completed",
      })),
    ],
    usage: { input_tokens: usage.prompt, output_tokens: usage.completion },
  };
}

function message(model: string, answer: SpokenAnswer, serial: number): unknown {
  const { text = null, reasoning, toolCalls = [], usage = { prompt: 10, completion: 5 } } = answer;
  return {
    id: `msg_${serial}`,
    type: "message",
    role: "assistant",
    model,
    content: [
      ...(reasoning === undefined
        ? []
        : [{ type: "thinking", thinking: reasoning, signature: `sealed ${serial}` }]),
      ...(text === null ? [] : [{ type: "text", text }]),
      ...toolCalls.map((call, index) => ({
        type: "tool_use",
        id: call.id ?? `call_${serial}_${index}`,
        name: call.name,
        input: call.arguments,
      })),
    ],
    stop_reason: answer.finishReason ?? (toolCalls.length === 0 ? "end_turn" : "tool_use"),
    stop_sequence: null,
    usage: { input_tokens: usage.prompt, output_tokens: usage.completion },
  };
}

function completion(model: string, answer: SpokenAnswer, serial: number): unknown {
  const { text = null, reasoning, toolCalls = [], usage = { prompt: 10, completion: 5 } } = answer;
  return {
    id: `chatcmpl-${serial}`,
    object: "chat.completion",
    created: 1_760_000_000,
    model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: text,
          ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
          ...(toolCalls.length === 0
            ? {}
            : {
                tool_calls: toolCalls.map((call, index) => ({
                  id: call.id ?? `call_${serial}_${index}`,
                  type: "function",
                  function: { name: call.name, arguments: argumentsText(call.arguments) },
                })),
              }),
        },
        finish_reason: answer.finishReason ?? (toolCalls.length === 0 ? "stop" : "tool_calls"),
      },
    ],
    usage: {
      prompt_tokens: usage.prompt,
      completion_tokens: usage.completion,
      total_tokens: usage.prompt + usage.completion,
    },
  };
}

function send(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: unknown,
): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const type = typeof body === "string" ? "text/plain" : "application/json";
  response.writeHead(status, { "content-type": type, ...headers }).end(text);
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
