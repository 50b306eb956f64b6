import type { StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import type { McpServerSettings } from "../../settings.ts";
import { errorCode, Unreachable } from "../exchange.ts";
import type { Fetch } from "../seams.ts";
import type { McpSdk } from "./connection.ts";
import { McpFailure, STREAM_ENDED } from "./failure.ts";

/** Bytes of one answer, decompressed. */
const MAX_ANSWER = 8 * 1024 * 1024;
/** The request was never sent. */
const NOT_SENT = new Set(["ECONNREFUSED", "ConnectionRefused", "ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH"]);

export type HttpServer = Extract<McpServerSettings, { readonly url: string }>;

/**
 * Streamable HTTP with the configured headers on every request. Redirects are never followed: the headers may
 * be credentials. A stream that ends without the answer it was opened for fails its request at once, instead
 * of after the call's time.
 */
export function httpTransport(
  { StreamableHTTPClientTransport }: Pick<McpSdk, "StreamableHTTPClientTransport">,
  { url, headers }: HttpServer,
  fetch: Fetch,
): StreamableHTTPClientTransport {
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { "user-agent": "sms-agent", ...headers } },
    fetch: guarded(fetch),
  });
  const send = transport.send.bind(transport);
  transport.send = (message, options) =>
    send(message, {
      ...options,
      onRequestStreamEnd() {
        options?.onRequestStreamEnd?.();
        if (Array.isArray(message) || !("id" in message) || !("method" in message)) return;
        const error = { code: STREAM_ENDED, message: "the connection ended before the answer came" };
        transport.onmessage?.({ jsonrpc: "2.0", id: message.id, error });
      },
    });
  return transport;
}

function guarded(fetch: Fetch): (url: string | URL, init?: RequestInit) => Promise<Response> {
  return async (url, init) => {
    let response: Response;
    try {
      response = await fetch(String(url), { ...init, redirect: "manual", timeout: false });
    } catch (error) {
      init?.signal?.throwIfAborted();
      const code = errorCode(error);
      throw new McpFailure(NOT_SENT.has(code) ? "unreached" : "lost", new Unreachable(code, 1).message);
    }
    if (response.status >= 300 && response.status < 400)
      throw new McpFailure("refused", `it answered ${response.status}, a redirect, which is not followed`);
    return init?.method === "POST" ? limited(response) : response;
  };
}

function limited(response: Response): Response {
  if (response.body === null) return response;
  let size = 0;
  const limit = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      size += chunk.byteLength;
      if (size > MAX_ANSWER)
        controller.error(new McpFailure("lost", `its answer is larger than ${MAX_ANSWER / 1024} KiB`));
      else controller.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(limit), {
    status: response.status,
    statusText: response.statusText,
    headers: response.headers,
  });
}
