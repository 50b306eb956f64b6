import type { Alerts } from "./alerts.ts";
import type { Clock } from "./clock.ts";
import type { NewId, RandomBytes } from "./ids.ts";
import type { LimitAlerts } from "./limit-alerts.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { PolicyEngine } from "./policy.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import type { TextTools } from "./text.ts";

/** What nearly every part of the service is wired with. */
export interface Core {
  /** Those in force. */
  readonly settings: () => Settings;
  /** Those in force; their decisions are counted. */
  readonly policy: () => PolicyEngine;
  readonly countryOf: (address: string) => string;
  readonly store: Store;
  readonly text: TextTools;
  readonly alerts: Alerts;
  readonly limits: LimitAlerts;
  readonly metrics: Metrics;
  readonly newId: NewId;
  readonly random: RandomBytes;
  readonly clock: Clock;
  readonly log: Log;
}

/** Has a queue looked at now, in which something was put by a part that does not work it. */
export interface Wake {
  /** `dueAt`: as of `Worker.wake`. */
  turns(dueAt?: number): void;
  sends(): void;
  /** Sends whose fate the carrier's list must tell. */
  looks(): void;
}
