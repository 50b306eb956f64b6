import type { Dice } from "./dice.ts";

/** One answer of the service to a webhook of the carrier. */
export interface DoorAnswer {
  readonly sid: string;
  /** 0 when the service could not be reached or hung up. */
  readonly status: number;
  /** From the carrier's request to the answer, ms. */
  readonly took: number;
}

/**
 * What the carrier calls: hands every webhook on to the service and notes what it answered. So what was
 * acknowledged is known from outside, and an answer can be lost on its way back.
 */
export interface FrontDoor {
  readonly url: string;
  close(): Promise<void>;
}

export function openFrontDoor(options: {
  /** Where the service listens, `http://127.0.0.1:1234`. */
  readonly service: string;
  readonly dice: Dice;
  /** The share of answers that the carrier never sees. */
  readonly lose: () => number;
  /** Told of every answer to a text, not of those to status callbacks. */
  readonly answered: (answer: DoorAnswer) => void;
}): FrontDoor {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 60,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const body = await request.text();
      const text = request.method === "POST" && !pathname.endsWith("/status");
      const headers = new Headers(request.headers);
      for (const name of ["host", "connection", "content-length"]) headers.delete(name);
      const started = performance.now();
      const note = (status: number) => {
        if (!text) return;
        const sid = /(?:^|&)MessageSid=([^&]*)/.exec(body)?.[1];
        if (sid !== undefined) options.answered({ sid, status, took: performance.now() - started });
      };
      try {
        const response = await fetch(`${options.service}${pathname}${search}`, {
          method: request.method,
          headers,
          ...(request.method === "POST" ? { body } : {}),
          redirect: "manual",
          signal: request.signal,
        });
        const answer = await response.text();
        note(response.status);
        if (options.dice.chance(options.lose())) return new Response("the answer was lost", { status: 502 });
        return new Response(answer, {
          status: response.status,
          headers: { "content-type": response.headers.get("content-type") ?? "text/plain" },
        });
      } catch {
        note(0);
        return new Response("the service cannot be reached", { status: 502 });
      }
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, close: () => server.stop(true) };
}
