import { existsSync, readFileSync } from "node:fs";

/** Waits for something that another process does, up to five seconds. */
export async function until<T>(look: () => T | undefined): Promise<T> {
  for (let i = 0; i < 500; i++) {
    const found = look();
    if (found !== undefined) return found;
    await Bun.sleep(10);
  }
  throw new Error("it did not happen within five seconds");
}

/** False for a process that has ended, also while nobody has asked for its exit code yet. */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "";
  return !/\) Z/.test(stat);
}

export const gone = (pid: number) => until(() => (alive(pid) ? undefined : true));
