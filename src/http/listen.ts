import { AppError } from "../errors.ts";
import type { ListenAddress } from "../settings.ts";

export interface Listener {
  /** `http://host:port` under which this machine reaches it; a wildcard host becomes loopback. */
  readonly url: string;
  readonly port: number;
  /** The address a request that is under way comes from; "" where that is not known any more. */
  clientOf(request: Request): string;
  /** Takes no new connections; resolves when those under way are done or `grace` ms are over. */
  close(grace: number): Promise<void>;
}

export interface ListenOptions {
  readonly address: ListenAddress;
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** Largest body the listener reads at all, bytes. */
  readonly maxBody: number;
  /** A connection that brings no whole request, or takes no answer, is closed after this long, seconds. */
  readonly idleTimeout: number;
  /**
   * The handler may take as long as it needs (long polls, uploads, streams), and bounds that itself. What comes
   * before the request and after its answer is bound by `idleTimeout` all the same.
   */
  readonly patient?: boolean;
}

/** Opens a listener. Throws AppError `unavailable` that names the address when it cannot be had. */
export function listen(options: ListenOptions): Listener {
  const { host, port } = options.address;
  const server = serve(options);
  const bound = server.port ?? port;
  const name =
    host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${name}:${bound}`,
    port: bound,
    clientOf: (request) => server.requestIP(request)?.address ?? "",
    async close(grace) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, grace);
      });
      await Promise.race([server.stop(false), late]);
      clearTimeout(timer);
      await server.stop(true);
    },
  };
}

function serve({ address, fetch, maxBody, idleTimeout, patient }: ListenOptions): Bun.Server<undefined> {
  const answer = (request: Request) => (hasPath(request) ? fetch(request) : badHost());
  try {
    return Bun.serve({
      hostname: address.host,
      port: address.port,
      // Left out, Linux lets two programs of one user listen there, and each gets some of the requests.
      reusePort: false,
      fetch: patient ? (request, server) => unhurried(request, server, answer, idleTimeout) : answer,
      maxRequestBodySize: maxBody,
      idleTimeout,
      // Else an error is printed, and shown to whoever asks, past the log.
      development: false,
      error: () => new Response("internal error", { status: 500 }),
    });
  } catch (error) {
    const where = `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
    const [reason, fix] = whyNot(error);
    throw new AppError("unavailable", `cannot listen on ${where}: ${reason}`, { fix, cause: error });
  }
}

/**
 * The runtime's clock runs while a handler works, and what a connection is granted for one request stays granted
 * for those that follow on it: it is taken away again before the answer. A stream of events keeps it, for the clock
 * takes no notice of what is written; the stream itself drops a reader that takes nothing.
 */
async function unhurried(
  request: Request,
  server: Bun.Server<undefined>,
  answer: (request: Request) => Response | Promise<Response>,
  idleTimeout: number,
): Promise<Response> {
  server.timeout(request, 0);
  const response = await answer(request);
  const streams = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
  if (!streams) server.timeout(request, idleTimeout);
  return response;
}

/**
 * The runtime makes the URL of a request out of its Host header and its path. With a Host that is none, path and
 * host run into one another, and a request would reach a route it did not name.
 */
function hasPath(request: Request): boolean {
  const host = request.headers.get("host");
  if (host === lastHost && host !== null) return true;
  const fine = host !== null && /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/.test(host);
  if (fine) lastHost = host;
  return fine;
}

/** The one that passed last, as nearly all requests have the same. */
let lastHost: string | undefined;

function badHost(): Response {
  return new Response("a Host header with a host name or an address is needed", { status: 400 });
}

/** Reason and fix of a listener that cannot be had. */
function whyNot(error: unknown): readonly [reason: string, fix: string] {
  switch (error instanceof Error && "code" in error ? error.code : undefined) {
    case "EADDRINUSE":
      return ["another program listens there", "Stop that program, or write another port."];
    case "EACCES":
      return ["this user may not", "Write a port from 1024 up, or let a reverse proxy listen there."];
    case "EADDRNOTAVAIL":
    case "EINVAL":
      return [
        "this machine has no such address",
        "Write 127.0.0.1, 0.0.0.0 or an address of one of its interfaces.",
      ];
    default:
      return [String(error), "Write another address or port."];
  }
}
