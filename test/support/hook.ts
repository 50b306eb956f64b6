/** What an `http` agent of a test is asked, and how the test answers it. */
export interface HookRequest {
  readonly headers: Headers;
  /** As it came, for signatures. */
  readonly raw: string;
  readonly body: HookBody;
  /** Answers a request that was held. */
  answer(answer: HookAnswer): void;
  /** Resolves when the caller hangs up. */
  readonly hungUp: Promise<void>;
}

export interface HookBody {
  readonly turn_id: string;
  readonly channel: string;
  readonly agent: string;
  readonly conversation_id: string;
  readonly from: string;
  readonly label?: string;
  readonly text: string;
  readonly media: readonly { readonly url: string; readonly content_type: string }[];
  readonly messages: readonly { readonly role: string; readonly text: string }[];
}

/** A reply, silence, or a failure with this status. */
export type HookAnswer = string | null | { readonly status: number } | { readonly json: unknown };

/** An endpoint an `http` agent calls. */
export interface Hook {
  readonly url: string;
  readonly requests: readonly HookRequest[];
  /** Resolves with the `count`-th request, from 1. */
  request(count: number): Promise<HookRequest>;
  /** From now on requests are held until the test answers them. */
  hold(): void;
  /** From now on `respond` answers; undefined holds the request. */
  respond(respond: (request: HookRequest) => HookAnswer | undefined): void;
  /** Answers what is held with silence, and stops. */
  close(): Promise<void>;
}

/** The longest a test waits for a request, ms. */
const PATIENCE = 10_000;

/** Answers `re: <text>` unless told otherwise. */
export function openHook(): Hook {
  const requests: HookRequest[] = [];
  const waiting: { readonly count: number; readonly resolve: (request: HookRequest) => void }[] = [];
  const held = new Set<() => void>();
  let respond: (request: HookRequest) => HookAnswer | undefined = ({ body }) => `re: ${body.text}`;

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(incoming) {
      const raw = await incoming.text();
      return new Promise<Response>((resolve) => {
        const answer = (given: HookAnswer) => {
          held.delete(silence);
          resolve(responseOf(given));
        };
        const silence = () => answer(null);
        const request: HookRequest = {
          headers: incoming.headers,
          raw,
          body: JSON.parse(raw),
          answer,
          hungUp: new Promise((gone) =>
            incoming.signal.addEventListener("abort", () => gone(), { once: true }),
          ),
        };
        held.add(silence);
        requests.push(request);
        const now = respond(request);
        if (now !== undefined) answer(now);
        for (const waiter of waiting.filter(({ count }) => count === requests.length))
          waiter.resolve(request);
      });
    },
  });

  return {
    url: `http://127.0.0.1:${server.port}/sms`,
    requests,
    request(count) {
      const known = requests[count - 1];
      if (known !== undefined) return Promise.resolve(known);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`the agent was asked ${requests.length} times, not ${count}`)),
          PATIENCE,
        );
        waiting.push({
          count,
          resolve: (request) => {
            clearTimeout(timer);
            resolve(request);
          },
        });
      });
    },
    hold() {
      respond = () => undefined;
    },
    respond(given) {
      respond = given;
    },
    async close() {
      for (const silence of held) silence();
      await server.stop(true);
    },
  };
}

function responseOf(answer: HookAnswer): Response {
  if (answer === null) return new Response(null, { status: 204 });
  if (typeof answer === "string") return Response.json({ reply: answer });
  if ("json" in answer) return Response.json(answer.json);
  return new Response("the hook fails on purpose", { status: answer.status });
}
