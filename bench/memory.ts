/**
 * Resident memory of the compiled binary (`VmRSS` of /proc/PID/status, in MB of 2²⁰ bytes, as `ps` shows it): idle,
 * and after 100,000 messages, half of them texts, half the echo agent's answers, each with its status callback.
 *
 *   bun run bench memory [--messages N] [--json [FILE]] [--dir PATH] [--binary FILE]
 *
 * Idle is the median of five starts with an empty database, ten seconds after it listens. After the messages it is
 * looked at when the last callback is recorded, and ten seconds later, when the service has given back what the burst
 * took: that is what counts. The most it had meanwhile is printed too.
 */
import { join } from "node:path";
import { buildBinary, inFolder, pinLoad } from "./processes.ts";
import { count, hundredths, median, option, publish } from "./report.ts";
import { throughput, withService } from "./turns.ts";

const MAX_IDLE = 110;
const MAX_AFTER = 160;
const STARTS = 5;
const REST = 10_000;
const SAMPLE = 250;

async function run(args: readonly string[]): Promise<boolean> {
  const messages = count(args, "--messages", 100_000);
  pinLoad();
  return inFolder(option(args, "--dir"), async (folder) => {
    const binary = option(args, "--binary") ?? (await buildBinary(folder));
    const idle = await Promise.all(
      Array.from({ length: STARTS }, (_, start) =>
        withService(join(folder, `idle-${start}`), [binary], async (service) => {
          await Bun.sleep(REST);
          return service.memory();
        }),
      ),
    );
    const after = await withService(join(folder, "after"), [binary], async (service, texting) => {
      let peak = 0;
      const sampling = setInterval(() => {
        peak = Math.max(peak, service.memory());
      }, SAMPLE);
      await throughput(texting, Math.ceil(messages / 2));
      clearInterval(sampling);
      const last = service.memory();
      await Bun.sleep(REST);
      return { last, peak: Math.max(peak, last), rested: service.memory() };
    });
    const idleMedian = median(idle);
    return publish(args, {
      bench: "memory",
      figures: [
        {
          what: "resident memory idle, MB",
          target: `at most ${MAX_IDLE}`,
          reached: idleMedian.toFixed(0),
          met: idleMedian <= MAX_IDLE,
        },
        {
          what: `resident memory after ${messages.toLocaleString("en")} messages, MB`,
          target: `at most ${MAX_AFTER}`,
          reached: after.rested.toFixed(0),
          met: after.rested <= MAX_AFTER,
        },
      ],
      details: {
        idle: idle.map(hundredths),
        messages,
        last: hundredths(after.last),
        peak: hundredths(after.peak),
        rested: hundredths(after.rested),
      },
      text: [
        `Resident memory of the binary, MB: idle ${idle.map((mb) => mb.toFixed(0)).join(", ")} (${STARTS} starts);`,
        `after ${messages} messages ${after.last.toFixed(0)}, at most ${after.peak.toFixed(0)} meanwhile, ${after.rested.toFixed(0)} ten seconds later`,
        "",
      ].join("\n"),
    });
  });
}

if (import.meta.main) process.exit((await run(process.argv.slice(2))) ? 0 : 1);
