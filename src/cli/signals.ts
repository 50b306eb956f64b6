/** Resolves with the name of the first SIGTERM or SIGINT; a second one ends the process at once. */
export function untilSignal(): Promise<string> {
  return new Promise((resolve) => {
    let asked = false;
    for (const name of ["SIGTERM", "SIGINT"] as const) {
      process.on(name, () => {
        if (asked) process.exit(1);
        asked = true;
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
