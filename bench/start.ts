/**
 * From the start of the compiled binary until it listens on both ports, with an existing database.
 *
 *   bun run bench start [--messages N] [--starts N] [--json [FILE]] [--dir PATH] [--binary FILE]
 *
 * The time runs from the spawning of the process until both listeners take a connection; median of the starts, after
 * one that does not count (it unpacks the SQLite addon, and brings files into the disk's cache). An empty database and
 * `sms-agent version` are measured beside it.
 */
import { join } from "node:path";
import { openFakeCarrier } from "./carrier.ts";
import { copyDatabase } from "./database.ts";
import { buildBinary, inFolder, listening, startService } from "./processes.ts";
import { count, option, publish, type Spread, spread, table } from "./report.ts";

const MAX = 300;

async function run(args: readonly string[]): Promise<boolean> {
  const messages = count(args, "--messages", 1_000_000);
  const starts = count(args, "--starts", 11);
  return inFolder(option(args, "--dir"), async (folder) => {
    const binary = option(args, "--binary") ?? (await buildBinary(folder));
    const carrier = openFakeCarrier();
    try {
      const large = join(folder, "large");
      const small = join(folder, "small");
      await copyDatabase(join(large, "data"), messages);
      await copyDatabase(join(small, "data"), 1_000);
      const times = { large: [] as number[], small: [] as number[], version: [] as number[] };
      for (let start = -1; start < starts; start++) {
        for (const [name, home] of [
          ["large", large],
          ["small", small],
        ] as const) {
          const took = await startOnce(binary, home, carrier.url);
          if (start >= 0) times[name].push(took);
        }
        const began = performance.now();
        await Bun.spawn([binary, "version"], { stdio: ["ignore", "ignore", "ignore"] }).exited;
        if (start >= 0) times.version.push(performance.now() - began);
      }
      const [of, beside, version] = [spread(times.large), spread(times.small), spread(times.version)];
      const line = (name: string, { p50, p95, max }: Spread) => [
        name,
        ...[p50, p95, max].map((ms) => ms.toFixed(0)),
      ];
      return publish(args, {
        bench: "start",
        figures: [
          {
            what: `start to listening with ${messages.toLocaleString("en")} messages, ms`,
            target: `at most ${MAX}`,
            reached: of.p50.toFixed(0),
            met: of.p50 <= MAX,
          },
        ],
        details: { messages, starts, milliseconds: of, with1000Messages: beside, version },
        text: `${table(
          ["ms until it listens", "p50", "p95", "max"],
          [
            line(`with ${messages} messages`, of),
            line("with 1000 messages", beside),
            line("sms-agent version, whole", version),
          ],
        )}\n`,
      });
    } finally {
      await carrier.close();
    }
  });
}

async function startOnce(binary: string, home: string, apiUrl: string): Promise<number> {
  const began = performance.now();
  const service = await startService({ program: [binary], folder: home, apiUrl, pin: false });
  try {
    await listening(service.adminPort, () => true);
    return performance.now() - began;
  } finally {
    await service.stop();
  }
}

if (import.meta.main) process.exit((await run(process.argv.slice(2))) ? 0 : 1);
