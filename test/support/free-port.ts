/**
 * A port of loopback nobody listens on, another one each time. Below those that outgoing connections are given, and at
 * random, so that nothing that runs beside the test takes it before it is used.
 */
export function freePort(): number {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    if (given.has(port)) continue;
    given.add(port);
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
      return port;
    } catch {
      // Somebody listens there.
    }
  }
}

const given = new Set<number>();
