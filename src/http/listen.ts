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
  /** A connection with no traffic is closed after this long, seconds; 0 for never (long polls, SSE). */
  readonly idleTimeout: number;
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

function serve({ address, fetch, maxBody, idleTimeout }: ListenOptions): Bun.Server<undefined> {
  try {
    return Bun.serve({
      hostname: address.host,
      port: address.port,
      fetch: (request) => (hasPath(request) ? fetch(request) : badHost()),
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
 * The runtime makes the URL of a request out of its Host header and its path. With a Host that is none, path and
 * host run into one another, and a request would reach a route it did not name.
 */
function hasPath(request: Request): boolean {
  const host = request.headers.get("host");
  return host !== null && /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/.test(host);
}

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
