import type { Clock } from "./clock.ts";
import { AppError } from "./errors.ts";
import type { Log } from "./log.ts";
import type { Settings } from "./settings.ts";
import type { Signal } from "./signal.ts";
import type { SignalStore } from "./signal-store.ts";
import type { Signals } from "./signals.ts";
import type { Page } from "./store.ts";
import { type Caller, can, demand, maskSignal, reaches } from "./token.ts";
import { createDeparted } from "./wait-departed.ts";
import { createRepeatedWaits, KEY_LIFE } from "./wait-repeated.ts";
import { parseWait, type WaitRequest } from "./wait-request.ts";
import type { CompilePattern, Watch, WatchOwner, WatchState } from "./watch.ts";

export interface WaitingSeams {
  readonly signals: Signals;
  readonly store: SignalStore;
  readonly settings: () => Settings;
  readonly compile: CompilePattern;
  readonly clock: Clock;
  readonly log: Log;
}

export type AwaitOutcome =
  | { readonly status: "matched"; readonly signal: Signal }
  | { readonly status: "timeout" };

/** Who asks, and the key under which a repeated request is the same one. */
export interface WaitOptions {
  readonly caller: Caller;
  readonly idempotencyKey?: string;
}

/**
 * Waiting for signals, for every door that leads here (REST, MCP, CLI). `request` are the fields of a wait
 * as they came (`wait-request.ts`). Rejects with AppError: `invalid` with every wrong field, `forbidden` without the scope,
 * `not_found`, `conflict` for a key that was used for something else.
 */
export interface Waiting {
  /**
   * Waits for one signal. A time-out is an answer. When `abort` does, rejects with its reason where that is an
   * AppError (the token was revoked), otherwise with `unavailable`; with that too when the service stops.
   *
   * Without a key the wait ends with its caller: nothing is claimed for someone who is gone. With a key it goes
   * on to its time, and whoever comes back with the key within ten minutes gets the signal it caught; when it
   * caught none, the repeated call waits again, for its own `timeout`.
   */
  awaitSignal(request: unknown, options: WaitOptions, abort: AbortSignal): Promise<AwaitOutcome>;
  /** Ends a wait with a key that still waits. What it has caught already stays for whoever has the key. */
  giveUp(options: Required<WaitOptions>): Promise<void>;
  /** Makes a standing watch; with a key, the same request within ten minutes gives the same watch. */
  createWatch(request: unknown, options: WaitOptions): Promise<Watch>;
  /** Newest first, those of the caller's channels. Codes and texts are masked for callers who only read. */
  watches(query: WatchQuery, caller: Caller): Promise<Page<Watch>>;
  watch(id: string, caller: Caller): Promise<Watch>;
  /** Rejects with AppError `conflict` when it is over already. */
  cancelWatch(id: string, caller: Caller): Promise<void>;
  /** Before the signals start: cancels the watches of calls that ended with the last process. */
  start(): Promise<void>;
  /** Sends every caller away; those with a key find their watch again after the restart. */
  stop(): void;
}

export interface WatchQuery {
  readonly state?: WatchState;
  readonly limit: number;
  readonly cursor?: string;
}

export function createWaiting(seams: WaitingSeams): Waiting {
  const { signals, store, clock, log } = seams;
  const stopping = new AbortController();
  const departed = createDeparted(seams);
  const repeated = createRepeatedWaits({ signals, create: departed.create, clock });

  function read(kind: "await" | "watch", request: unknown, caller: Caller): WaitRequest {
    demand(caller, "signals:await");
    return parseWait(kind, request, { settings: seams.settings(), compile: seams.compile, caller });
  }

  function ownerOf({ judge }: WaitRequest, caller: Caller, attached: boolean): WatchOwner {
    return {
      kind: "api",
      token: caller.id,
      ...(judge === undefined ? {} : { judge }),
      ...(attached ? { attached } : {}),
    };
  }

  /** Ends with its caller: whatever it gets after that is for others. */
  async function waitOnce(wait: WaitRequest, caller: Caller, abort: AbortSignal): Promise<Watch> {
    const made = await departed.create({ ...wait.watch, owner: ownerOf(wait, caller, true) });
    try {
      const watch = made.state === "pending" ? await signals.ended(made.id, abort) : made;
      if (abort.aborted) throw abort.reason;
      return watch;
    } catch (error) {
      await departed.leave(made.id);
      throw error;
    }
  }

  async function seen(id: string, caller: Caller): Promise<Watch> {
    const watch = await store.watch(id);
    if (watch === undefined || !isVisible(watch, caller))
      throw new AppError("not_found", `There is no watch ${id.slice(0, 64)}.`);
    return watch;
  }

  return {
    async awaitSignal(request, { caller, idempotencyKey }, abort) {
      const wait = read("await", request, caller);
      const ended = new AbortController();
      const leave = () => ended.abort(abort.reason instanceof AppError ? abort.reason : gone());
      const stop = () => ended.abort(serviceStops());
      if (abort.aborted) leave();
      if (stopping.signal.aborted) stop();
      abort.addEventListener("abort", leave, { once: true });
      stopping.signal.addEventListener("abort", stop, { once: true });
      try {
        if (ended.signal.aborted) throw ended.signal.reason;
        if (idempotencyKey === undefined) return outcomeOf(await waitOnce(wait, caller, ended.signal));
        const key = { key: keyOf(caller, idempotencyKey), fingerprint: fingerprintOf(wait) };
        const wanted = { ...wait.watch, owner: ownerOf(wait, caller, false) };
        return outcomeOf(await repeated.wait(wanted, key, ended.signal));
      } finally {
        abort.removeEventListener("abort", leave);
        stopping.signal.removeEventListener("abort", stop);
      }
    },
    async giveUp({ caller, idempotencyKey }) {
      demand(caller, "signals:await");
      const watch = repeated.watchOf(keyOf(caller, idempotencyKey));
      if (watch === undefined || !(await signals.cancel(watch)))
        throw new AppError("not_found", "Nothing waits with this Idempotency-Key.");
    },
    async createWatch(request, { caller, idempotencyKey }) {
      const wait = read("watch", request, caller);
      return departed.create({
        ...wait.watch,
        owner: ownerOf(wait, caller, false),
        ...(idempotencyKey === undefined
          ? {}
          : {
              idempotency: {
                key: `watch/${caller.id}/${idempotencyKey}`,
                fingerprint: fingerprintOf(wait),
                keepFor: KEY_LIFE,
              },
            }),
      });
    },
    async watches(query, caller) {
      demandSight(caller);
      const page = await store.watches(query);
      const items = page.items.filter((watch) => isVisible(watch, caller));
      return { ...page, items: items.map((watch) => masked(watch, caller)) };
    },
    async watch(id, caller) {
      demandSight(caller);
      return masked(await seen(id, caller), caller);
    },
    async cancelWatch(id, caller) {
      demand(caller, "signals:await");
      const watch = await seen(id, caller);
      if (!(await signals.cancel(id)))
        throw new AppError("conflict", `The watch ${watch.id} is over already.`);
      log.info("watch.cancelled", { watch: watch.id });
    },
    async start() {
      for (const { id, owner } of await store.pendingWatches())
        if (owner.kind === "api" && owner.attached === true) await store.cancelWatch(id, clock.now());
    },
    stop() {
      stopping.abort();
    },
  };
}

function keyOf(caller: Caller, idempotencyKey: string): string {
  return `await/${caller.id}/${idempotencyKey}`;
}

function gone(): AppError {
  return new AppError("unavailable", "The caller is gone.");
}

function serviceStops(): AppError {
  return new AppError("unavailable", "The service is stopping.", {
    fix: "Repeat the call; with an Idempotency-Key nothing is lost.",
  });
}

/** Watches are seen by who may wait and by who may read. */
function demandSight(caller: Caller): void {
  if (!can(caller, "signals:await")) demand(caller, "read");
}

function isVisible(watch: Watch, caller: Caller): boolean {
  const { channel } = watch.filters;
  return channel === undefined ? caller.channels === undefined : reaches(caller, channel);
}

function masked(watch: Watch, caller: Caller): Watch {
  return { ...watch, signals: watch.signals.map((signal) => maskSignal(caller, signal)) };
}

function outcomeOf(watch: Watch | undefined): AwaitOutcome {
  const signal = watch?.signals[0];
  if (watch?.state === "matched" && signal !== undefined) return { status: "matched", signal };
  if (watch?.state === "cancelled")
    throw new AppError("conflict", "This wait was cancelled while it was waiting.");
  return { status: "timeout" };
}

/** Two waits under one key are the same when they wait for the same; how long does not matter. */
function fingerprintOf({ watch }: WaitRequest): string {
  const { filters, mode, consume, backfill } = watch;
  return JSON.stringify([
    mode,
    consume,
    backfill,
    ...Object.entries(filters).sort(([a], [b]) => (a < b ? -1 : 1)),
  ]);
}
