import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { annotate } from "../../src/annotation.ts";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problems.ts";
import { compilePattern } from "../../src/patterns/re2.ts";
import type { PolicyEngine } from "../../src/policy.ts";
import type { Settings } from "../../src/settings.ts";
import { type Signal, signalId } from "../../src/signal.ts";
import type { SignalStore } from "../../src/signal-store.ts";
import { createSignals, type Signals } from "../../src/signals.ts";
import { createWaiting, type Waiting } from "../../src/waiting.ts";
import { quiet, type TestStore, temporaryFolder, testStore } from "../store/support.ts";
import { SMS, testConfig } from "../support/service.ts";
import { CODES } from "./support.ts";

/** Waiting over the real store, without HTTP, on a clock that stands still. */
export interface Stack {
  readonly t: TestStore;
  readonly settings: Settings;
  readonly signals: Signals;
  readonly waiting: Waiting;
  /** Takes a text in as the admission does. */
  arrive(text: string, changes?: { readonly from?: string; readonly channel?: string }): Promise<Signal>;
  /** Resolves once this many watches are pending on disk. */
  pending(count: number): Promise<void>;
  /** Lets what is due happen until `work` is over; the time stands still. */
  settled<T>(work: Promise<T>): Promise<T>;
  /** The same data in another process. */
  again(): Stack;
}

const ALLOW: PolicyEngine = {
  decide: () => ({ decision: "allow", policies: [], errors: [] }),
  list: () => [],
};

/** An `assistant` that can judge behind `sms`, a `parrot` that cannot behind `shout`; `out` only sends. */
export function stackSettings(): Settings {
  const path = join(temporaryFolder(), "sms.yaml");
  const agent = { type: "llm", provider: "openai-compatible", base_url: "http://127.0.0.1:9/v1", model: "m" };
  const config = testConfig({
    channels: {
      sms: { ...SMS, agent: "assistant" },
      codes: { provider: "simulator", from_number: CODES, mode: "signal" },
      shout: { ...SMS, from_number: "+15550100003" },
      out: { ...SMS, from_number: "+15550100004", inbound: "none" },
    },
    agents: { assistant: agent, parrot: { type: "echo" } },
  });
  writeFileSync(path, JSON.stringify(config));
  const loaded = loadConfig({ path, env: {}, simulatorSeed: "seed" });
  if (loaded.kind === "invalid") throw new Error(formatProblems(loaded.problems));
  return loaded.settings;
}

export function openStack(
  options: { readonly t?: TestStore; readonly wrap?: (store: SignalStore) => SignalStore } = {},
): Stack {
  const t = options.t ?? testStore();
  const store: SignalStore = options.wrap?.(t.store) ?? t.store;
  const settings = stackSettings();
  const common = { settings: () => settings, compile: compilePattern, store, clock: t.clock, log: quiet };
  const signals = createSignals({
    ...common,
    policy: () => ALLOW,
    countryOf: () => "US",
    pairedAddresses: () => [],
    newId: t.newId,
    judge() {},
    onMatched() {},
    onExpired() {},
  });
  return {
    t,
    settings,
    signals,
    waiting: createWaiting({ ...common, signals }),
    async arrive(text, { from = "22000", channel = "codes" } = {}) {
      const id = t.newId("msg");
      const receivedAt = t.clock.now();
      const annotation = annotate(text, from);
      const signal = {
        id: signalId(id),
        messageId: id,
        channel,
        from,
        receivedAt,
        text,
        numMedia: 0,
        annotation,
      };
      const { offers, mark } = signals.offers(signal);
      const offer = { kind: "offer_signal", messageId: id, offers, at: receivedAt } as const;
      const outcome = await t.store.admit({
        message: t.inbound({ id, channel, from, text, annotation, route: "signal", state: "received" }),
        effects: offers.length === 0 ? [] : [offer],
      });
      if (outcome.kind !== "admitted") throw new Error(outcome.kind);
      signals.admitted(signal, mark, outcome.offered, undefined);
      return signal;
    },
    async pending(count) {
      for (let tries = 0; tries < 1_000; tries++) {
        if ((await t.store.pendingWatches()).length === count) return;
        await t.clock.flush();
      }
      throw new Error(`never ${count} pending watches`);
    },
    async settled(work) {
      let over = false;
      const end = () => {
        over = true;
      };
      work.then(end, end);
      for (let tries = 0; tries < 1_000 && !over; tries++) await t.clock.flush();
      return work;
    },
    again: () => openStack({ ...options, t }),
  };
}
