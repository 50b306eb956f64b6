/** The process's environment; read here and nowhere else. */
export function environment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

/** All that command agents see of it. */
export function inheritedEnv(): { readonly PATH?: string; readonly HOME?: string; readonly LANG?: string } {
  const { PATH, HOME, LANG } = process.env;
  return {
    ...(PATH === undefined ? {} : { PATH }),
    ...(HOME === undefined ? {} : { HOME }),
    ...(LANG === undefined ? {} : { LANG }),
  };
}

/**
 * Makes requests to this machine itself go straight to it. `fetch` would send them to HTTP_PROXY like any
 * others, but no proxy can reach our loopback: not the simulated carrier, not the admin listener, not a local
 * model.
 */
export function loopbackWithoutProxy(): void {
  const kept = new Set(
    [process.env.NO_PROXY, process.env.no_proxy].flatMap((list) => list?.split(",") ?? []),
  );
  const all = [...kept, ...LOOPBACK].filter((host) => host.trim() !== "").join(",");
  process.env.NO_PROXY = all;
  process.env.no_proxy = all;
}

const LOOPBACK = ["localhost", "127.0.0.1", "::1", "[::1]"];
