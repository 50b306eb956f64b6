/** `bun run bench [name] [options]`: runs one benchmark by name, or all of them. */
const BENCHES = ["replies", "signals", "waits"] as const;

const [name, ...args] = process.argv.slice(2);
const named = BENCHES.find((bench) => bench === name);
if (name !== undefined && !name.startsWith("-") && named === undefined) {
  process.stderr.write(`There is no benchmark ${name}; there is: ${BENCHES.join(", ")}.\n`);
  process.exit(2);
}
let failed = false;
for (const bench of named === undefined ? BENCHES : [named]) {
  const run = Bun.spawn(
    ["bun", `${import.meta.dir}/${bench}.ts`, ...(named === undefined ? process.argv.slice(2) : args)],
    {
      stdio: ["inherit", "inherit", "inherit"],
    },
  );
  if ((await run.exited) !== 0) failed = true;
}
process.exit(failed ? 1 : 0);
