import { listen } from "./http/listen.ts";

/** The wanted ports of loopback where they are free, otherwise any free ones. */
export async function freePorts(wanted: readonly [number, number]): Promise<readonly [number, number]> {
  const open = (port: number) => {
    const address = { host: "127.0.0.1", port };
    const options = { address, fetch: () => new Response(), maxBody: 1, idleTimeout: 1 };
    try {
      return listen(options);
    } catch {
      return listen({ ...options, address: { ...address, port: 0 } });
    }
  };
  const [first, second] = [open(wanted[0]), open(wanted[1])];
  await Promise.all([first.close(0), second.close(0)]);
  return [first.port, second.port];
}
