import type { Clock } from "./clock.ts";
import type { ConfigFile } from "./configuration.ts";
import type { AppError } from "./errors.ts";
import type { RandomBytes } from "./ids.ts";
import { openLog } from "./log/logtape.ts";
import type { Log } from "./log.ts";
import type { Settings } from "./settings.ts";
import type { SyncFile } from "./store/log-sync.ts";
import { systemClock } from "./system/clock.ts";
import { createBoundedFetch } from "./system/fetch.ts";
import { systemRandom } from "./system/files.ts";
import { collectGarbage, compileHotCode } from "./system/memory.ts";

/** What the world gives the service; tests give their own. */
export interface Seams {
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
  /** The environment command agents inherit. */
  readonly env: {
    readonly PATH?: string | undefined;
    readonly HOME?: string | undefined;
    readonly LANG?: string | undefined;
  };
  readonly version: string;
  /** How the database is brought to the disk; without it, beside the event loop. */
  readonly syncFile?: SyncFile;
  /** Called when nothing can be written any more until the process is started anew. */
  readonly onBroken?: (error: AppError) => void;
  /** Called in quiet moments; without it memory is left to the runtime. */
  readonly collectGarbage?: () => void;
  /** Called once the service listens: what is run often from now on is worth compiling. */
  readonly compileHotCode?: () => void;
  /** Where the settings come from; without it nothing can be switched or reloaded from a file. */
  readonly configFile?: ConfigFile;
  /** Told of the `log:` section when a reload has changed it. */
  readonly configureLog?: (options: Settings["log"]) => void;
}

/** The real world: the machine's clock, randomness, network and environment; logs go to standard error. */
export function systemSeams(
  options: Settings["log"],
  env: Seams["env"],
  version: string,
): Seams & { readonly log: Log & { flush(): void } } {
  const formatOf = ({ format }: Settings["log"]) =>
    format === "auto" ? (process.stderr.isTTY ? "pretty" : "json") : format;
  const log = openLog({
    level: options.level,
    format: formatOf(options),
    write: (lines) => void process.stderr.write(lines),
  });
  return {
    fetch: createBoundedFetch(fetch),
    clock: systemClock,
    random: systemRandom,
    log,
    env,
    version,
    collectGarbage,
    compileHotCode,
    configureLog: (wanted) => log.configure({ level: wanted.level, format: formatOf(wanted) }),
  };
}
