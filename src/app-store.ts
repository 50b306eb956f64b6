import { addon } from "./addon.ts";
import { createEvents, type Events } from "./app-events.ts";
import type { Seams } from "./app-seams.ts";
import { createChangeLog } from "./change-log.ts";
import type { ChannelState } from "./channel.ts";
import type { ConfigurationError } from "./configuration.ts";
import type { Metrics } from "./metrics.ts";
import type { PolicyEngine } from "./policy.ts";
import { createReadiness, type Readiness } from "./readiness.ts";
import type { Settings } from "./settings.ts";
import { openStore } from "./store/open.ts";
import type { Store } from "./store.ts";

/** What the state of the service is read from, besides its database. */
export interface StorageParts {
  readonly settings: () => Settings;
  readonly policy: () => PolicyEngine;
  readonly channelState: (channel: string) => ChannelState;
  /** Why the file's configuration is not in force. */
  readonly configurationError: () => ConfigurationError | undefined;
  readonly metrics: Metrics;
}

/** The database, the log of events in it, and whether it can be written. */
export interface Storage {
  readonly store: Store;
  readonly events: Events;
  readonly readiness: { readonly look: () => Promise<Readiness> };
}

/** Opens the database of the data folder and recovers unfinished work. */
export async function openStorage(seams: Seams, parts: StorageParts): Promise<Storage> {
  const { clock, log } = seams;
  const { settings, metrics } = parts;
  const store = await openStore({
    dataDir: settings().dataDir,
    ...(addon === undefined ? {} : { addon }),
    senderOf: (channel) => {
      const sender = settings().channels[channel]?.sender;
      return sender?.kind === "number" ? sender.number : sender?.sid;
    },
    timezone: () => settings().timezone,
    onChanges: createChangeLog({ log, metrics }),
    ...(seams.syncFile === undefined ? {} : { syncFile: seams.syncFile }),
    onFailure(error) {
      readiness.failed(error);
      events.alerts.raise({
        cause: "disk",
        message: `Texts are not taken in: ${error.message}`,
        fix: error.fix ?? "Check the disk that holds data_dir.",
      });
    },
    onRecovery() {
      readiness.recovered();
      log.info("store.writable", {});
    },
    onBroken(error) {
      readiness.failed(error);
      log.error("store.broken", { error: error.message, fix: error.fix });
      seams.onBroken?.(error);
    },
    clock,
    log,
  });
  const readiness = createReadiness({
    store,
    policies: () => parts.policy().list().length,
    channels: () =>
      Object.values(settings().channels)
        .filter((channel) => channel.enabled)
        .map(({ id }) => ({ id, ...parts.channelState(id) })),
    configuration: parts.configurationError,
    webhooks: () => events.lags(),
    clock,
  });
  const events = createEvents(settings, store, metrics, seams);
  const recovered = await store.recover(clock.now());
  if (recovered.turns + recovered.sends > 0) log.info("recovered", recovered);
  return { store, events, readiness };
}
