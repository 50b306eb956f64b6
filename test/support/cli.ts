import { fileURLToPath } from "node:url";
import type { Service } from "./service.ts";

/** Runs a verb of the command line, from its source, against the service; answers its exit code and all it prints. */
export async function cli(
  service: Pick<Service, "adminUrl" | "token">,
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string }> {
  const main = fileURLToPath(import.meta.resolve("../../src/main.ts"));
  const child = Bun.spawn(
    [process.execPath, main, ...args, "--url", service.adminUrl, "--token", service.token],
    {
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, out: out + err };
}
