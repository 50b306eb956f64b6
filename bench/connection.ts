/** HTTP/1.1 over raw sockets: the least that a load generator can cost. */

/** A status, and when its answer was complete (`performance.now()`). */
export interface Answer {
  readonly status: number;
  readonly at: number;
}

/** One kept-alive connection; one request at a time, so nothing is pipelined. */
export interface Connection {
  send(request: Uint8Array): Promise<Answer>;
  /** When something was sent last, `performance.now()`: a server closes what is silent for long. */
  readonly usedAt: number;
  close(): void;
}

const HEAD_END = Buffer.from("\r\n\r\n");

/** Connects to a port of loopback. Rejects where nobody listens. */
export async function connect(port: number): Promise<Connection> {
  let waiting: { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void };
  let idle = true;
  let usedAt = performance.now();
  let unsent: Uint8Array | undefined;
  let received: Buffer | undefined;

  function finish(status: number): void {
    received = undefined;
    idle = true;
    waiting.resolve({ status, at: performance.now() });
  }

  function read(data: Buffer): void {
    const all = received === undefined ? data : Buffer.concat([received, data]);
    const end = all.indexOf(HEAD_END);
    if (end < 0) {
      received = Buffer.from(all);
      return;
    }
    const head = all.toString("latin1", 0, end);
    const status = Number(head.slice(9, 12));
    const announced = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    const body = end + 4;
    if (announced === undefined && status !== 204) {
      fail(new Error(`an answer without a length: ${head}`));
    } else if (all.length - body >= Number(announced ?? 0)) finish(status);
    else received = Buffer.from(all);
  }

  function fail(error: Error): void {
    if (!idle) waiting.reject(error);
    idle = true;
  }

  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_, data) => read(data),
      drain(opened) {
        if (unsent === undefined) return;
        const written = opened.write(unsent);
        unsent = written < unsent.length ? unsent.subarray(written) : undefined;
      },
      close: () => fail(new Error("the connection was closed")),
      error: (_, error) => fail(error),
    },
  });
  socket.setNoDelay(true);
  return {
    send(request) {
      if (!idle) return Promise.reject(new Error("a request is under way"));
      idle = false;
      usedAt = performance.now();
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        const written = socket.write(request);
        if (written < 0) fail(new Error("the connection is closed"));
        else if (written < request.length) unsent = request.subarray(written);
      });
    },
    get usedAt() {
      return usedAt;
    },
    close: () => void socket.end(),
  };
}

/** What became of a number of requests. Times in milliseconds. */
export interface Driven {
  readonly seconds: number;
  readonly perSecond: number;
  readonly latencies: Float64Array;
  /** When each was sent, `performance.now()`. */
  readonly sentAt: Float64Array;
}

/** Sends every request once, over `connections` at a time. Throws at the first answer that is not 2xx. */
export async function drive(
  port: number,
  connections: number,
  requests: readonly Uint8Array[],
): Promise<Driven> {
  const open = await Promise.all(Array.from({ length: connections }, () => connect(port)));
  const latencies = new Float64Array(requests.length);
  const sentAt = new Float64Array(requests.length);
  let next = 0;
  const started = performance.now();
  try {
    await Promise.all(
      open.map(async (connection) => {
        for (let i = next++; i < requests.length; i = next++) {
          const request = requests[i];
          if (request === undefined) return;
          const sent = performance.now();
          const { status, at } = await connection.send(request);
          if (status < 200 || status > 299) throw new Error(`a request was answered ${status}`);
          latencies[i] = at - sent;
          sentAt[i] = sent;
        }
      }),
    );
  } finally {
    for (const connection of open) connection.close();
  }
  const seconds = (performance.now() - started) / 1000;
  return { seconds, perSecond: requests.length / seconds, latencies, sentAt };
}

/** The bytes of a POST of a form. `headers` as written, without the last line break. */
export function postBytes(path: string, host: string, headers: string, form: string): Uint8Array {
  const body = Buffer.from(form, "utf8");
  const head =
    `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${headers}\r\n` +
    `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), body]);
}
