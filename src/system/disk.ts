import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "../finding.ts";

const MIB = 1024 * 1024;
/** Less than this is soon full: a day's log and a backup need as much, bytes. */
const LITTLE = 500 * MIB;
const HARDLY = 50 * MIB;

/** Whether the data folder can be written to, and how much there is room for. */
export function checkDisk(dataDir: string): Finding {
  const name = "disk";
  const probe = join(dataDir, ".doctor");
  try {
    writeFileSync(probe, "", { mode: 0o600 });
    rmSync(probe, { force: true });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    if (code === "ENOENT")
      return {
        name,
        status: "warn",
        detail: `${dataDir} is not there yet; the first start makes it`,
        fix: "Start the service with sms-agent serve, or correct data_dir if the data lie elsewhere.",
      };
    return {
      name,
      status: "fail",
      detail: `${dataDir} cannot be written to (${code})`,
      fix: "Give the service's user write access to data_dir, or set it to another folder.",
    };
  }
  const { bavail, bsize } = statfsSync(dataDir);
  const free = bavail * bsize;
  const detail = `${Math.floor(free / MIB).toLocaleString("en")} MiB free for ${dataDir}`;
  if (free >= LITTLE) return { name, status: "ok", detail };
  return {
    name,
    status: free < HARDLY ? "fail" : "warn",
    detail,
    fix: "Free some space: when the disk is full, no text can be taken.",
  };
}
