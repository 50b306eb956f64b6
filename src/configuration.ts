import type { CancelTimer, Clock } from "./clock.ts";
import { AppError, whatIsWrong } from "./errors.ts";
import type { Log } from "./log.ts";
import type { ListenAddress, Mode, Settings } from "./settings.ts";

/**
 * The file the settings come from, with all it refers to: secret files, the folder of policies. Everything here
 * is synchronous, so that reading, checking, writing and taking over are one step that nothing else of this
 * process can come between.
 */
export interface ConfigFile {
  /** As the operator named it. */
  readonly path: string;
  /** Reads everything anew. Never throws. */
  read(): ConfigRead;
  /** The file as it is on disk, with this change; nothing is written yet. Never throws. */
  draft(channel: string, change: ChannelChange): ConfigDraft;
  /** Differs from the one before whenever something may have been changed. Cheap; never throws. */
  stamp(): string;
  /** True when the content is not the one that was last read or written here. Never throws. */
  changed(): boolean;
}

export type ConfigRead =
  | { readonly kind: "ok"; readonly settings: Settings; readonly warnings: readonly string[] }
  /** Everything that is wrong, each with file, line, key and what to write. */
  | { readonly kind: "invalid"; readonly problems: readonly string[] };

export type ConfigDraft =
  | { readonly kind: "ok"; readonly settings: Settings; readonly write: () => ConfigWritten }
  | { readonly kind: "refused"; readonly message: string; readonly fix: string };

/** `overtaken`: somebody else has changed the file since it was read for the draft; nothing was written. */
export type ConfigWritten =
  | { readonly kind: "written" }
  | { readonly kind: "overtaken" }
  | { readonly kind: "failed"; readonly message: string; readonly fix: string };

/** What API, CLI and console may change of a channel; absent means as it is. */
export interface ChannelChange {
  readonly mode?: Mode;
  readonly enabled?: boolean;
}

/** New settings, checked and ready. Exactly one of the two is called, at once. */
export interface Prepared {
  /** Puts them in force before it returns. Resolves when the channels have followed; never rejects. */
  commit(): Promise<void>;
  discard(): void;
}

export interface ConfigurationSeams {
  /** Undefined where the settings come from no file. */
  readonly file: ConfigFile | undefined;
  /** Makes everything that new settings need. Throws AppError, and then has changed nothing. */
  readonly prepare: (settings: Settings) => Prepared;
  readonly clock: Clock;
  readonly log: Log;
}

export type ReloadOutcome =
  | { readonly kind: "reloaded" }
  /** Nothing was changed; `error()` tells it too. */
  | { readonly kind: "refused"; readonly message: string; readonly fix: string };

/** Why the file on disk is not in force. */
export interface ConfigurationError {
  readonly message: string;
  readonly fix: string;
  /** When it was found. Epoch ms. */
  readonly at: number;
}

/** The settings in force and the file they come from. All or nothing: new settings replace the old ones whole. */
export interface Configuration {
  /** The file as the operator named it; undefined when the settings come from none. */
  readonly file: string | undefined;
  /** Puts these settings in force, or says why not. */
  apply(settings: Settings): Promise<ReloadOutcome>;
  /** Reads the file and puts it in force. */
  reload(): Promise<ReloadOutcome>;
  /**
   * Writes a change of a channel into the file and puts it in force. Rejects with AppError `conflict` that says
   * what to do where the file is at the moment invalid or not writable, the value is not to be written by
   * program, or the result would not be a valid configuration; then nothing was changed.
   */
  change(channel: string, change: ChannelChange): Promise<void>;
  /** From now on reloads when the files change by somebody else's hand. */
  watch(): void;
  /** Ends the watching. */
  close(): void;
  error(): ConfigurationError | undefined;
}

/**
 * The files are looked at this often, ms; what was changed is read once it has stood still for as long. Looking
 * costs a few microseconds and works where notifications do not: over the network, through links that are
 * swapped, for files that are replaced.
 */
export const LOOK_INTERVAL = 1_000;

/** Somebody else's editor may write between our reading and our writing; then we start again, this often. */
const MAX_TRIES = 5;

export function createConfiguration(seams: ConfigurationSeams): Configuration {
  const { file, clock, log } = seams;
  let failure: ConfigurationError | undefined;
  let unwatch: CancelTimer = () => {};
  let closed = false;

  function refuse(message: string, fix: string): ReloadOutcome {
    failure = { message, fix, at: clock.now() };
    // One line of the log for each problem; what is indented belongs to the problem above it.
    for (const problem of message.split(/\n(?! )/))
      log.error("config.problem", { error: problem.replace(/\n +/g, " ") });
    log.error("config.refused", { file: file?.path, fix });
    return { kind: "refused", message, fix };
  }

  async function apply(settings: Settings): Promise<ReloadOutcome> {
    let prepared: Prepared;
    try {
      prepared = seams.prepare(settings);
    } catch (error) {
      if (error instanceof AppError) return refuse(whatIsWrong(error), error.fix ?? KEPT);
      log.error("config.failed", {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
      return refuse(
        "internal error, see the log",
        "The configuration in force stays as it is; please report this.",
      );
    }
    failure = undefined;
    await prepared.commit();
    return { kind: "reloaded" };
  }

  async function reload(): Promise<ReloadOutcome> {
    if (file === undefined) return { kind: "refused", ...NO_FILE };
    const read = file.read();
    if (read.kind === "invalid") return refuse(read.problems.join("\n"), KEPT);
    for (const warning of read.warnings) log.warn("config.warning", { reason: warning });
    return apply(read.settings);
  }

  /** The draft's settings, ready; what is wrong with them is wrong with the file. */
  function prepareDraft(settings: Settings): Prepared {
    try {
      return seams.prepare(settings);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      throw conflict(whatIsWrong(error), error.fix ?? "Correct that first.");
    }
  }

  return {
    file: file?.path,
    apply,
    reload,
    async change(channel, change) {
      if (file === undefined) throw conflict(NO_FILE.message, NO_FILE.fix);
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const draft = file.draft(channel, change);
        if (draft.kind === "refused") throw conflict(draft.message, draft.fix);
        const prepared = prepareDraft(draft.settings);
        const written = draft.write();
        if (written.kind === "written") {
          failure = undefined;
          log.info("channel.changed", { channel, ...change });
          return prepared.commit();
        }
        prepared.discard();
        if (written.kind === "failed") throw conflict(written.message, written.fix);
      }
      throw conflict(
        `${file.path} is being changed by another program at this moment.`,
        "Try again once that program is done.",
      );
    },
    watch() {
      if (file === undefined) return;
      let seen: string | undefined;
      let moving = false;
      const look = async () => {
        const stamp = file.stamp();
        if (stamp !== seen) {
          seen = stamp;
          moving = true;
        } else if (moving) {
          moving = false;
          if (file.changed()) await reload();
        }
      };
      const arm = () => {
        unwatch = clock.after(LOOK_INTERVAL, () => {
          look()
            .catch((error: unknown) => log.error("config.watch", { error: String(error) }))
            .finally(() => {
              if (!closed) arm();
            });
        });
      };
      arm();
    },
    close() {
      closed = true;
      unwatch();
    },
    error: () => failure,
  };
}

const KEPT = "Correct it; until then the configuration in force stays as it is.";

const NO_FILE = {
  message: "The service was started without a configuration file, so there is nothing to change.",
  fix: "Start it with --config FILE.",
} as const;

function conflict(message: string, fix: string): AppError {
  return new AppError("conflict", message, { fix });
}

/** The keys whose values differ, or that only one of the two has. */
export function changedKeys(old: object, next: object): readonly string[] {
  const [before, after] = [new Map(Object.entries(old)), new Map(Object.entries(next))];
  const differs = (key: string) => JSON.stringify(before.get(key)) !== JSON.stringify(after.get(key));
  return [...new Set([...before.keys(), ...after.keys()])].filter(differs);
}

/** What is fixed when the service starts. Throws AppError `conflict` that names what would have to change. */
export function refuseFixed(now: Settings, next: Settings): void {
  const address = ({ host, port }: ListenAddress) => `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const fixed: readonly [key: string, now: string, next: string][] = [
    ["server.listen", address(now.server.listen), address(next.server.listen)],
    ["admin.listen", address(now.admin.listen), address(next.admin.listen)],
    ["data_dir", now.dataDir, next.dataDir],
  ];
  const changed = fixed.filter(([, old, wanted]) => old !== wanted);
  if (changed.length === 0) return;
  throw new AppError(
    "conflict",
    changed
      .map(
        ([key, old, wanted]) =>
          `${key} cannot be changed while the service runs: it is ${old}, and the file says ${wanted}.`,
      )
      .join("\n"),
    {
      fix: `Restart the service to take the file over, or set ${changed.map(([key]) => key).join(" and ")} back.`,
    },
  );
}
