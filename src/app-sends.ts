import type { Core, Wake } from "./app-core.ts";
import { fraction } from "./app-events.ts";
import type { Links } from "./app-links.ts";
import type { Channels } from "./channels.ts";
import { sleep } from "./clock.ts";
import { createOutbox, type Outbox } from "./outbox.ts";
import { createReconciliation, doubledAlert } from "./reconciliation.ts";
import { explainCode } from "./twilio/errors.ts";
import { startWorker, type Worker } from "./worker.ts";

const SEND_CONCURRENCY = 64;
/** Lists of the carrier read at the same time. */
const LOOK_CONCURRENCY = 16;

/** What hands messages to the carrier, and finds out what became of them. */
export interface Sending {
  readonly record: Outbox["record"];
  /** A message was put into the outbox. */
  wake(): void;
  /** The carrier's list must be asked. */
  look(): void;
  idle: Worker["idle"];
  stopLooking: Worker["stop"];
  /** Sends what is due until then, epoch ms, and stops. */
  finish(until: number): Promise<void>;
}

export function openSends(
  core: Core,
  parts: {
    readonly channels: Channels;
    readonly links: Links;
    readonly runnable: () => readonly string[];
    readonly wake: Wake;
  },
): Sending {
  const { alerts, limits, random, clock, log } = core;
  const { channels, links, runnable, wake } = parts;
  const shared = { ...core, carrier: links.carrier, runnable, explain: explainCode };
  const outbox = createOutbox({
    ...shared,
    numbers: (channel) => channels.state(channel).numbers,
    statusCallback: (channel) => {
      const url = links.webhookUrl(channel);
      return url === undefined ? undefined : `${url}/status`;
    },
    random: () => fraction(random),
    onLimit: limits.segmentsPerDay,
    onDoubt: wake.looks,
    onFreed: wake.sends,
    onDoubled: (message, channel) => alerts.raise(doubledAlert(message, channel)),
  });
  const reconciliation = createReconciliation({ ...shared, onSend: wake.sends });
  const sendWorker = startWorker(outbox.queue, { concurrency: SEND_CONCURRENCY, clock, log });
  const lookWorker = startWorker(reconciliation, { concurrency: LOOK_CONCURRENCY, clock, log });
  return {
    record: outbox.record,
    wake: () => sendWorker.wake(),
    look: () => lookWorker.wake(),
    idle: () => sendWorker.idle(),
    stopLooking: (grace) => lookWorker.stop(grace),
    async finish(until) {
      const sent = new AbortController();
      const timeUp = sleep(clock, Math.max(0, until - clock.now()), sent.signal).catch(() => {});
      await Promise.race([sendWorker.idle(), timeUp]);
      sent.abort();
      await sendWorker.stop(Math.max(0, until - clock.now()));
    },
  };
}
