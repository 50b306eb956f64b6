/** One press of Ctrl-C can arrive twice, from the terminal and from a program that passes it on. Milliseconds. */
const SAME_SIGNAL = 1_000;

/** Resolves with the name of the first SIGTERM or SIGINT; a second one, later, ends the process at once. */
export function untilSignal(): Promise<string> {
  return new Promise((resolve) => {
    let askedAt: number | undefined;
    for (const name of ["SIGTERM", "SIGINT"] as const) {
      process.on(name, () => {
        if (askedAt !== undefined && Date.now() - askedAt > SAME_SIGNAL) process.exit(1);
        askedAt ??= Date.now();
        resolve(name);
      });
    }
  });
}

/**
 * Catches SIGHUP from now on, which would otherwise end the process. What it asks for begins when it is given;
 * once, if the signal has come before.
 */
export function hangups(): (run: () => void) => void {
  let early = false;
  let act = () => {
    early = true;
  };
  process.on("SIGHUP", () => act());
  return (run) => {
    act = run;
    if (early) run();
  };
}
