import { once } from "node:events";
import type { Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";

/**
 * `fetch` as the runtime's, but what comes compressed is unpacked only as fast as it is read. The runtime unpacks
 * whatever has arrived at once, so that a few hundred kilobytes on the wire become hundreds of megabytes in memory
 * before a caller's cap sees the first byte. Who asks with `decompress: false` gets the bytes as they came.
 */
export function createBoundedFetch(fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  const bounded = async (
    input: string | URL | Request,
    init: BunFetchRequestInit = {},
  ): Promise<Response> => {
    if (init.decompress === false) return fetch(input, init);
    const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : undefined));
    if (!headers.has("accept-encoding")) headers.set("accept-encoding", "gzip, deflate, br");
    const response = await fetch(input, { ...init, headers, decompress: false });
    const encoding = response.headers.get("content-encoding")?.trim().toLowerCase() ?? "";
    if (response.body === null || encoding === "" || encoding === "identity") return response;
    const unpacker = unpackerOf(encoding);
    if (unpacker !== undefined) return unpacked(response, response.body, unpacker);
    response.body.cancel().catch(() => {});
    throw new TypeError("the answer is compressed in a way that was not asked for");
  };
  return Object.assign(bounded, { preconnect: fetch.preconnect });
}

function unpackerOf(encoding: string): Transform | undefined {
  switch (encoding) {
    case "gzip":
    case "x-gzip":
      return createGunzip();
    case "deflate":
      return createInflate();
    case "br":
      return createBrotliDecompress();
    default:
      return undefined;
  }
}

/** The same response with its body unpacked, a few kilobytes at a time, each when it is asked for. */
function unpacked(response: Response, body: ReadableStream<Uint8Array>, unpacker: Transform): Response {
  const packed = body.getReader();
  const stop = (reason?: unknown) => {
    packed.cancel(reason).catch(() => {});
    unpacker.destroy();
  };
  const feed = async () => {
    for (let step = await packed.read(); !step.done; step = await packed.read())
      if (!unpacker.write(step.value)) await Promise.race([once(unpacker, "drain"), once(unpacker, "close")]);
    unpacker.end();
  };
  const chunks = unpacker[Symbol.asyncIterator]();
  let feeding = false;
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (!feeding)
          feed().catch((error: unknown) => {
            unpacker.destroy(error instanceof Error ? error : new Error(String(error)));
          });
        feeding = true;
        try {
          const step: IteratorResult<unknown> = await chunks.next();
          if (step.done) return controller.close();
          if (step.value instanceof Uint8Array) controller.enqueue(step.value);
        } catch (error) {
          stop(error);
          controller.error(error);
        }
      },
      cancel: stop,
    },
    { highWaterMark: 0 },
  );
  const headers = new Headers(response.headers);
  headers.delete("content-encoding");
  headers.delete("content-length");
  const { status, statusText } = response;
  return new Response(stream, { status, statusText, headers });
}
