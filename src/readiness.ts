import type { Clock } from "./clock.ts";
import type { ConfigurationError } from "./configuration.ts";
import type { AppError } from "./errors.ts";
import { overrunning, type WebhookLag } from "./webhook-lag.ts";

/** Whether the service can do its work, and what keeps it from that. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: readonly ReadinessCheck[];
}

export interface ReadinessCheck {
  /** `database`, `policies`, `channel <id>`, `configuration`, `webhook <n> (<origin>)`. */
  readonly name: string;
  readonly ok: boolean;
  readonly reason?: string;
}

export interface ReadinessSeams {
  readonly store: { ping(): Promise<void> };
  /** How many policies are in force. */
  readonly policies: () => number;
  /** Every channel that is enabled, as it is now. */
  readonly channels: () => readonly {
    readonly id: string;
    readonly status: string;
    readonly reason?: string;
  }[];
  /** Why the file's configuration is not in force. */
  readonly configuration: () => ConfigurationError | undefined;
  /** How far the webhooks of sms.yaml are behind. */
  readonly webhooks: () => Promise<readonly WebhookLag[]>;
  readonly clock: Clock;
}

/** Whoever asks, and however often, makes the database write no more often than this, ms. */
const PROBE_EVERY = 5_000;

/** What `/readyz` says: what is so now, but for the database, which is asked every few seconds at most. */
export function createReadiness(seams: ReadinessSeams): {
  look(): Promise<Readiness>;
  /** The database has just refused something: no need to ask it. */
  failed(error: AppError): void;
  /** The database takes writes again. */
  recovered(): void;
} {
  const { clock } = seams;
  let probe: { readonly at: number; readonly result: Promise<ReadinessCheck> } | undefined;

  function database(): Promise<ReadinessCheck> {
    const now = clock.now();
    if (probe === undefined || Math.abs(now - probe.at) >= PROBE_EVERY)
      probe = {
        at: now,
        result: seams.store.ping().then(() => ({ name: "database", ok: true }), unusable),
      };
    return probe.result;
  }

  /** A slow program of the operator's keeps nobody from being answered. What the database cannot say is left out. */
  async function webhooks(): Promise<readonly ReadinessCheck[]> {
    const lags = await seams.webhooks().catch(() => []);
    return lags.map((lag) => {
      const name = `webhook ${lag.webhook}`;
      const reason = overrunning(lag, clock.now());
      return reason === undefined ? { name, ok: true } : { name, ok: false, reason };
    });
  }

  return {
    async look() {
      const policies = seams.policies();
      const working: readonly ReadinessCheck[] = [
        await database(),
        policies > 0
          ? { name: "policies", ok: true }
          : { name: "policies", ok: false, reason: "none is loaded" },
        ...seams.channels().map(({ id, status, reason }) => {
          const ok = status === "connected" || status === "pairing";
          return { name: `channel ${id}`, ok, ...(ok || reason === undefined ? {} : { reason }) };
        }),
      ];
      // A file that is not in force is for the operator to mend; the service works on without it.
      const error = seams.configuration();
      const file = error === undefined ? [] : [{ name: "configuration", ok: false, reason: error.message }];
      const told = await webhooks();
      return { ready: working.every(({ ok }) => ok), checks: [...working, ...file, ...told] };
    },
    failed(error) {
      probe = { at: clock.now(), result: Promise.resolve(unusable(error)) };
    },
    recovered() {
      probe = undefined;
    },
  };
}

function unusable(error: unknown): ReadinessCheck {
  return { name: "database", ok: false, reason: error instanceof Error ? error.message : String(error) };
}
