import type { RequestId, ServerContext } from "@modelcontextprotocol/server";

const SESSION = "mcp-session-id";

/**
 * Cancelling a call in the older protocol revisions: the client says so in a request of its own
 * (`notifications/cancelled`), which names the call by a number that is unique only within the client's session.
 * Nothing is kept of a session but its name, so it survives a restart, and any name will do.
 */
export interface Cancellations {
  /** Aborts when the call is cancelled, by either revision's way, or its connection ends. */
  signalOf(context: ServerContext): { readonly signal: AbortSignal; readonly release: () => void };
  /** Takes note of a cancellation, where `body` is one. */
  notice(request: Request, body: unknown): void;
  /** Gives the answer to `initialize` a session's name, where it has none. */
  named(body: unknown, response: Response): Response;
}

export function createCancellations(newName: () => string): Cancellations {
  const running = new Map<string, AbortController>();
  const keyOf = (request: Request | undefined, id: RequestId): string | undefined => {
    const session = request?.headers.get(SESSION);
    // Session names are the clients' own, so the credential belongs to the key: nobody cancels another's call.
    const credential = request?.headers.get("authorization") ?? "";
    return session ? JSON.stringify([credential, session, id]) : undefined;
  };
  return {
    signalOf(context) {
      const own = context.mcpReq.signal;
      const key = keyOf(context.http?.req, context.mcpReq.id);
      if (key === undefined) return { signal: own, release: () => {} };
      const controller = new AbortController();
      const abort = () => controller.abort(own.reason);
      if (own.aborted) abort();
      own.addEventListener("abort", abort, { once: true });
      running.set(key, controller);
      return {
        signal: controller.signal,
        release() {
          own.removeEventListener("abort", abort);
          if (running.get(key) === controller) running.delete(key);
        },
      };
    },
    notice(request, body) {
      for (const message of Array.isArray(body) ? body : [body]) {
        const id = cancelledId(message);
        const key = id === undefined ? undefined : keyOf(request, id);
        if (key !== undefined) running.get(key)?.abort();
      }
    },
    named(body, response) {
      if (!isInitialize(body) || !response.ok || response.headers.has(SESSION)) return response;
      const headers = new Headers(response.headers);
      headers.set(SESSION, newName());
      return new Response(response.body, { status: response.status, headers });
    },
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function isInitialize(body: unknown): boolean {
  return isObject(body) && body.method === "initialize";
}

function cancelledId(message: unknown): RequestId | undefined {
  if (!isObject(message) || message.method !== "notifications/cancelled" || !isObject(message.params))
    return undefined;
  const { requestId } = message.params;
  return typeof requestId === "string" || typeof requestId === "number" ? requestId : undefined;
}
