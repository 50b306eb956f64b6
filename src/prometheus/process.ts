import { readdirSync, readFileSync } from "node:fs";
import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import type Registry from "prom-client/lib/registry.js";

/**
 * What the process itself uses, under the names Prometheus gives such metrics. The package's own collection asks for
 * things this runtime does not have, and shows nonsense for them.
 */
export function addProcessMetrics(prefix: string, registry: Registry): void {
  const registers = [registry];
  const cpu = new Counter({
    name: `${prefix}process_cpu_seconds_total`,
    help: "User and system CPU time",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      cpu.reset();
      cpu.inc((user + system) / 1e6);
    },
  });
  const gauge = (name: string, help: string, read: () => number | undefined) => {
    const made: Gauge = new Gauge({
      name: `${prefix}${name}`,
      help,
      registers,
      collect() {
        const value = read();
        if (value === undefined) made.remove();
        else made.set(value);
      },
    });
  };
  const startedAt = Math.round(Date.now() / 1_000 - process.uptime());
  gauge("process_start_time_seconds", "When the process was started, Unix time", () => startedAt);
  gauge("process_resident_memory_bytes", "Memory the process has in RAM", () => process.memoryUsage.rss());
  gauge("process_heap_bytes", "Memory of JavaScript objects", () => process.memoryUsage().heapUsed);
  gauge("process_open_fds", "Open file descriptors", () => openFiles());
  gauge("process_max_fds", "Most file descriptors it may open", () => maxFiles());
  const lag: Gauge = new Gauge({
    name: `${prefix}event_loop_lag_seconds`,
    help: "How long the event loop took to come back when it was asked for this",
    registers,
    async collect() {
      const asked = performance.now();
      await new Promise((resolve) => setImmediate(resolve));
      lag.set((performance.now() - asked) / 1_000);
    },
  });
}

/** Undefined where there is no /proc. */
function openFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}

function maxFiles(): number | undefined {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}
