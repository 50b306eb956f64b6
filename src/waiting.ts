import type { Clock } from "./clock.ts";
import { AppError } from "./errors.ts";
import type { Log } from "./log.ts";
import type { Settings } from "./settings.ts";
import type { Signal } from "./signal.ts";
import type { SignalStore } from "./signal-store.ts";
import type { Signals } from "./signals.ts";
import type { Page } from "./store.ts";
import { type Caller, can, demand, maskSignal, reaches } from "./token.ts";
import { parseWait, type WaitRequest } from "./wait-request.ts";
import { type CompilePattern, MAX_BACKFILL, type Watch, type WatchOwner, type WatchState } from "./watch.ts";

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
 * Waiting for signals, for every door that leads here (REST, MCP, CLI). `request` are the fields of SPEC section
 * 8b as they came. Rejects with AppError: `invalid` with every wrong field, `forbidden` without the scope,
 * `not_found`, `conflict` for a key that was used for something else.
 */
export interface Waiting {
  /**
   * Waits for one signal. A time-out is an answer. Rejects with AppError `unavailable` when `abort` does, or when
   * the service stops.
   *
   * Without a key the wait ends with its caller: nothing is claimed for someone who is gone. With a key it goes
   * on to its time, and whoever comes back with the key within ten minutes gets the signal it caught; when it
   * caught none, the repeated call waits again, for its own `timeout`.
   */
  awaitSignal(request: unknown, options: WaitOptions, abort: AbortSignal): Promise<AwaitOutcome>;
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

/** How long a key is remembered, from the end of the wait on. */
const KEY_LIFE = 10 * 60_000;

export function createWaiting(seams: WaitingSeams): Waiting {
  const { signals, store, clock, log } = seams;
  const stopping = new AbortController();
  /** Signals that were claimed in the moment their waiter left; they go to the next one who waits. */
  let unclaimed: Signal[] = [];
  /** How often a key's wait has ended without a signal, so that the next one need not ask the store. */
  const attempts = new Map<string, { readonly count: number; readonly until: number }>();

  function read(kind: "await" | "watch", request: unknown, caller: Caller): WaitRequest {
    demand(caller, "signals:await");
    return parseWait(kind, request, { settings: seams.settings(), compile: seams.compile, caller });
  }

  function ownerOf({ judge }: WaitRequest, attached: boolean): WatchOwner {
    return {
      kind: "api",
      ...(judge === undefined ? {} : { judge }),
      ...(attached ? { attached } : {}),
    };
  }

  async function attachedWait(wait: WaitRequest, abort: AbortSignal): Promise<AwaitOutcome> {
    const made = await create({ ...wait.watch, owner: ownerOf(wait, true) });
    let watch: Watch;
    try {
      watch = made.state === "pending" ? await signals.ended(made.id, abort) : made;
      if (abort.aborted) throw abort.reason;
    } catch (error) {
      await leave(made.id);
      throw error;
    }
    return outcomeOf(watch);
  }

  async function create(wanted: Parameters<Signals["create"]>[0]): Promise<Watch> {
    const watch = await signals.create(wanted);
    if (watch.state !== "pending" || unclaimed.length === 0) return watch;
    await passOn();
    return (await store.watch(watch.id)) ?? watch;
  }

  /** The caller is gone: what it waits for is nobody's, and what it has just got is somebody else's. */
  async function leave(id: string): Promise<void> {
    if (await signals.cancel(id)) return;
    const watch = await store.watch(id);
    if (watch?.state !== "matched" || watch.consume === "peek") return;
    unclaimed.push(...watch.signals);
    await passOn();
  }

  /** Gives what was left behind to the oldest watch that wants it; what nobody wants waits for the backfill. */
  async function passOn(): Promise<void> {
    const since = clock.now() - MAX_BACKFILL;
    const left = unclaimed.filter((signal) => signal.receivedAt >= since);
    unclaimed = [];
    for (const signal of left) {
      try {
        if (!(await inherited(signal))) unclaimed.push(signal);
      } catch (error) {
        unclaimed.push(signal);
        log.error("watch.pass_on", { message: signal.messageId, error: String(error) });
      }
    }
  }

  async function inherited(signal: Signal): Promise<boolean> {
    const { offers, mark } = signals.offers(signal, []);
    const heir = offers.find((offer) => offer.claims);
    if (heir === undefined) return false;
    const outcome = await store.offerSignal({
      kind: "offer_signal",
      messageId: signal.messageId,
      // To the store it stays claimed by the watch that left, so the heir gets it as one that only looks.
      offers: [{ ...heir, claims: false, claimsFromAgent: false }],
      at: clock.now(),
    });
    signals.admitted(signal, mark, outcome, undefined);
    if (outcome.delivered.length === 0) return false;
    log.info("watch.passed_on", { message: signal.messageId, watch: heir.watchId });
    return true;
  }

  async function keyedWait(wait: WaitRequest, key: string, abort: AbortSignal): Promise<AwaitOutcome> {
    const deadline = clock.now() + wait.watch.expiresIn;
    const fingerprint = fingerprintOf(wait);
    forgetAttempts();
    for (let attempt = attempts.get(key)?.count ?? 0; ; attempt++) {
      const started = clock.now();
      const expiresIn = Math.max(0, deadline - started);
      const made = await create({
        ...wait.watch,
        expiresIn,
        owner: ownerOf(wait, false),
        idempotency: { key: `${key}/${attempt}`, fingerprint, keepFor: expiresIn + KEY_LIFE },
      });
      const own = made.createdAt >= started;
      const ended =
        made.state !== "pending" ? made : await endedBefore(own ? undefined : deadline, made, abort);
      if (ended === undefined) return { status: "timeout" };
      if (ended.state === "matched") return outcomeOf(ended);
      attempts.set(key, { count: attempt + 1, until: clock.now() + KEY_LIFE });
      if (made.state === "pending" && ended.state === "cancelled") return outcomeOf(ended);
      if (clock.now() >= deadline && own) return { status: "timeout" };
    }
  }

  /** The watch as it ended, or undefined when the caller's own time was over first. */
  async function endedBefore(
    deadline: number | undefined,
    watch: Watch,
    abort: AbortSignal,
  ): Promise<Watch | undefined> {
    if (deadline === undefined || watch.expiresAt <= deadline) return signals.ended(watch.id, abort);
    const late = new AbortController();
    const leave = () => late.abort(abort.reason);
    if (abort.aborted) leave();
    abort.addEventListener("abort", leave, { once: true });
    const cancelTimer = clock.after(deadline - clock.now(), () => late.abort(TIME_OVER));
    try {
      return await signals.ended(watch.id, late.signal);
    } catch (error) {
      if (error === TIME_OVER) return undefined;
      throw error;
    } finally {
      cancelTimer();
      abort.removeEventListener("abort", leave);
    }
  }

  function forgetAttempts(): void {
    const now = clock.now();
    for (const [key, { until }] of attempts) if (until <= now) attempts.delete(key);
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
      const gone = new AbortController();
      const leave = () => gone.abort(GONE);
      const stop = () => gone.abort(STOPPING);
      if (abort.aborted) leave();
      if (stopping.signal.aborted) stop();
      abort.addEventListener("abort", leave, { once: true });
      stopping.signal.addEventListener("abort", stop, { once: true });
      try {
        if (gone.signal.aborted) throw gone.signal.reason;
        return idempotencyKey === undefined
          ? await attachedWait(wait, gone.signal)
          : await keyedWait(wait, `await/${caller.id}/${idempotencyKey}`, gone.signal);
      } finally {
        abort.removeEventListener("abort", leave);
        stopping.signal.removeEventListener("abort", stop);
      }
    },
    async createWatch(request, { caller, idempotencyKey }) {
      const wait = read("watch", request, caller);
      return create({
        ...wait.watch,
        owner: ownerOf(wait, false),
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

const TIME_OVER = Symbol("the caller's time is over");
const GONE = new AppError("unavailable", "The caller is gone.");
const STOPPING = new AppError("unavailable", "The service is stopping.", {
  fix: "Repeat the call; with an Idempotency-Key nothing is lost.",
});

function outcomeOf(watch: Watch): AwaitOutcome {
  const signal = watch.signals[0];
  if (watch.state === "matched" && signal !== undefined) return { status: "matched", signal };
  if (watch.state === "cancelled")
    throw new AppError("conflict", "This wait was cancelled while it was waiting.");
  return { status: "timeout" };
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
