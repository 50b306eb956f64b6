/** A reverse proxy or tunnel in front of the service; it is there before the service and after it. */
export interface ReverseProxy {
  readonly url: string;
  /** Requests that came, as the outside wrote them. */
  readonly requests: readonly { readonly method: string; readonly path: string; readonly headers: Headers }[];
  /** Where the service listens now; undefined: 502 to everything. */
  pointTo(target: string | undefined): void;
  close(): Promise<void>;
}

/** `strip`: a path prefix it takes off. Host, scheme and port that the service sees are the proxy's choice. */
export function openProxy(options: { readonly strip?: string; readonly host?: string } = {}): ReverseProxy {
  const requests: { method: string; path: string; headers: Headers }[] = [];
  let target: string | undefined;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const query = request.url.includes("?") ? request.url.slice(request.url.indexOf("?")) : "";
      requests.push({ method: request.method, path: pathname + query, headers: request.headers });
      if (target === undefined) return new Response("no tunnel", { status: 502 });
      const { strip = "", host = "internal.invalid:3000" } = options;
      const path = strip !== "" && pathname.startsWith(`${strip}/`) ? pathname.slice(strip.length) : pathname;
      const headers = new Headers(request.headers);
      headers.set("x-forwarded-host", headers.get("host") ?? "");
      headers.set("x-forwarded-proto", "ftp");
      headers.set("x-forwarded-for", "203.0.113.9");
      headers.set("host", host);
      headers.delete("accept-encoding");
      try {
        const answer = await fetch(target + path + query, {
          method: request.method,
          headers,
          ...(request.method === "POST" ? { body: await request.arrayBuffer() } : {}),
          redirect: "manual",
        });
        return new Response(answer.body, { status: answer.status, headers: answer.headers });
      } catch {
        return new Response("bad gateway", { status: 502 });
      }
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    requests,
    pointTo(url) {
      target = url;
    },
    close: () => server.stop(true),
  };
}
