import type { AgentRegistry } from "./agent-registry.ts";
import type { Core, Wake } from "./app-core.ts";
import { type AwaitSignal, createAwaitSignal } from "./await-signal.ts";
import type { Channels } from "./channels.ts";
import { createJudging } from "./judging.ts";
import { compilePattern } from "./patterns/re2.ts";
import { createSignals, type Signals } from "./signals.ts";
import { createWaiting, type Waiting } from "./waiting.ts";
import type { Watch } from "./watch.ts";
import { startWorker, type Worker } from "./worker.ts";

/** Small models on small machines answer one after the other anyway. */
const JUDGE_CONCURRENCY = 4;

/** Everything that waits for codes and links: programs, agents, and the agents that judge texts for them. */
export interface Signalling {
  readonly signals: Signals;
  readonly awaitSignal: AwaitSignal;
  readonly waiting: Waiting;
  /** Who waited when the service stopped, waits on; before the first text can come in. */
  start(loadChannels: () => Promise<void>): Promise<void>;
  idle: Worker["idle"];
  stopJudging: Worker["stop"];
}

export function openSignals(core: Core, agents: AgentRegistry, channels: Channels, wake: Wake): Signalling {
  const { metrics, clock, log } = core;
  const shared = { ...core, pairedAddresses: channels.pairedAddresses, compile: compilePattern };
  const awaitSignal = createAwaitSignal({ ...shared, signals: () => signals, onResume: wake.turns });
  const watchEnded = (watch: Watch): void => {
    awaitSignal.ended(watch).catch((error: unknown) => {
      log.error("turn.resume", { watch: watch.id, error: String(error) });
    });
  };
  const signals = createSignals({
    ...shared,
    judge: () => judgeWorker.wake(),
    onMatched(watch, signal) {
      metrics.count("signals_matched_total", { channel: signal.channel });
      watchEnded(watch);
    },
    onExpired(watch) {
      metrics.count("watches_expired_total", {});
      watchEnded(watch);
    },
  });
  const judging = createJudging({ ...core, agent: (name) => agents.get(name), signals });
  const judgeWorker = startWorker(judging, { concurrency: JUDGE_CONCURRENCY, clock, log });
  const waiting = createWaiting({ ...core, signals, compile: compilePattern });
  return {
    signals,
    awaitSignal,
    waiting,
    async start(loadChannels) {
      await waiting.start();
      await loadChannels();
      await signals.start();
      judgeWorker.wake();
      await awaitSignal.recover();
    },
    idle: () => judgeWorker.idle(),
    stopJudging: (grace) => judgeWorker.stop(grace),
  };
}
