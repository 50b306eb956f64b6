import { readFileSync, statfsSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";

/** What it ran on, without any name or path of the machine itself. */
export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memory: string;
  readonly disk: string;
  readonly kernel: string;
  readonly bun: string;
  readonly node: string;
}

/** `folder`: on the disk that was measured. */
export function machine(folder: string): Machine {
  const node = Bun.spawnSync(["node", "--version"], { stdout: "pipe", stderr: "ignore" });
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memory: `${Math.round(totalmem() / 2 ** 30)} GB`,
    disk: diskOf(folder),
    kernel: `Linux ${release().split("-")[0]}`,
    bun: Bun.version,
    node: node.stdout.toString().trim().replace(/^v/, ""),
  };
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: "ext4",
  1481003842: "xfs",
  2435016766: "btrfs",
  2035054128: "overlayfs",
};

function diskOf(folder: string): string {
  const { type } = statfsSync(folder);
  const system = FILE_SYSTEMS[type] ?? `file system 0x${type.toString(16)}`;
  try {
    const partitions = readFileSync("/proc/partitions", "utf8");
    return `${system}, ${/ vd[a-z]\b/.test(partitions) ? "virtual disk" : / nvme/.test(partitions) ? "NVMe" : "disk"}`;
  } catch {
    return system;
  }
}
