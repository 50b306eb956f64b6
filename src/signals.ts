import type { CancelTimer } from "./clock.ts";
import { AppError } from "./errors.ts";
import { createHeldTexts, type HeldText, signalOf } from "./held-texts.ts";
import type { NewId } from "./ids.ts";
import type { Log } from "./log.ts";
import type { Signal } from "./signal.ts";
import type { CreateWatchOutcome, Offer, OfferOutcome, RecentSignal, SignalStore } from "./signal-store.ts";
import {
  type CompilePattern,
  mayClaimFromAgent,
  type Pattern,
  type Watch,
  type WatchFilters,
  type WatchOwner,
} from "./watch.ts";
import { type Candidate, createEligibility, type EligibilitySeams, newKnown } from "./watch-eligibility.ts";
import { createWatchIndex, type Indexed } from "./watch-index.ts";
import { whyNoRoom } from "./watch-limits.ts";

export interface SignalsSeams extends EligibilitySeams {
  readonly compile: CompilePattern;
  readonly store: SignalStore;
  readonly newId: NewId;
  readonly log: Log;
  /** Told after the commit that a text waits to be judged for a watch with `instructions`. */
  readonly judge: () => void;
  /** Told after the commit, for SSE, webhooks and parked turns. */
  readonly onMatched: (watch: Watch, signal: Signal) => void;
  readonly onExpired: (watch: Watch) => void;
}

export interface NewWatch {
  readonly filters: WatchFilters;
  readonly mode: "once" | "continuous";
  readonly consume: "claim" | "peek";
  readonly backfill: number;
  /** How long it waits, ms. */
  readonly expiresIn: number;
  readonly owner: WatchOwner;
  readonly idempotency?: { readonly key: string; readonly fingerprint: string; readonly keepFor: number };
}

export interface Signals {
  /** Loads pending watches; those that expired meanwhile are told so. */
  start(): Promise<void>;
  /**
   * Makes a watch and lets it look back. Rejects with AppError `invalid` for a pattern that cannot run, `conflict`
   * for a key that was used for something else and where there is no room for another watch.
   */
  create(watch: NewWatch): Promise<Watch>;
  /**
   * Waits until the watch is no longer pending and answers it as it then is. An abort rejects with the signal's
   * reason and leaves the watch as it is.
   */
  ended(id: string, signal?: AbortSignal): Promise<Watch>;
  cancel(id: string): Promise<boolean>;
  /**
   * The watches a message is offered to, and those it is to be judged for, oldest first, with a mark to hand back
   * after the commit: watches made in between are offered it then.
   */
  offers(signal: Signal): Offered & { readonly mark: number };
  /** After the commit of an admission: wakes who waited and offers the message to watches made meanwhile. */
  admitted(signal: Signal, mark: number, outcome: OfferOutcome | undefined, held: HeldText | undefined): void;
  /** True while the watch waits and its owner may have the signal; asked again around its judgement. */
  mayGet(watchId: string, signal: Signal): boolean;
  /** After the commit of a judgement: wakes who got the signal. */
  judged(signal: Signal, outcome: OfferOutcome): void;
  stop(): void;
}

/** What becomes of one message. */
export interface Offered {
  readonly offers: readonly Offer[];
  /** Ids of the watches with `instructions` whose hard filters it passes. */
  readonly judged: readonly string[];
}

type Entry = Indexed & Candidate;

const NOTHING: Pattern = { test: () => false };

export function createSignals(seams: SignalsSeams): Signals {
  const { store, clock, log } = seams;
  const pending = createWatchIndex<Entry>();
  /** Watches that are being made: their time is not over before they have looked back. */
  const beginning = new Set<Watch>();
  const waiters = new Map<string, Set<(watch: Watch) => void>>();
  const held = createHeldTexts(clock);
  const eligibility = createEligibility(seams);
  let made = 0;
  let timer: CancelTimer | undefined;
  /** When the timer rings. */
  let alarm = Number.POSITIVE_INFINITY;
  /** What is due waits for a watch that is being made. */
  let unarmed = false;
  let stopped = false;

  function compile(match: string): Pattern {
    const compiled = seams.compile(match);
    if (!("refused" in compiled)) return compiled;
    throw new AppError("invalid", `The pattern cannot be run: ${compiled.refused}`, {
      problems: [{ path: "match", message: compiled.refused }],
    });
  }

  /** `known`: the pattern of a watch that was just made; that of one from the disk is compiled when it is needed. */
  function register(watch: Watch, known?: Pattern): Entry {
    let pattern = known;
    const { match } = watch.filters;
    made += 1;
    const entry: Entry = {
      watch,
      pattern: () => {
        if (match !== undefined) pattern ??= compileAgain(watch.id, match);
        return pattern;
      },
      order: made,
    };
    pending.set(entry);
    armFor(watch.expiresAt);
    return entry;
  }

  /** A pattern that was accepted once and is refused now matches nothing; its watch ends by its time. */
  function compileAgain(id: string, match: string): Pattern {
    try {
      return compile(match);
    } catch (error) {
      log.error("watch.pattern", { watch: id, error: String(error) });
      return NOTHING;
    }
  }

  /** The timer need not be looked at again for a watch that expires later than another. */
  function armFor(expiresAt: number): void {
    if (expiresAt < alarm) ring(expiresAt);
  }

  /** One timer for the watch that expires first. It may have ended since: then nothing is due when it rings. */
  function arm(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const { watch } of pending.values()) next = Math.min(next, watch.expiresAt);
    ring(next);
  }

  /** Where nobody waits any more no timer is left. */
  function settle(): void {
    if (pending.size === 0) arm();
  }

  function ring(at: number): void {
    timer?.();
    timer = undefined;
    alarm = at;
    unarmed = false;
    if (stopped || at === Number.POSITIVE_INFINITY) return;
    timer = clock.after(Math.max(0, at - clock.now()), () => {
      alarm = Number.POSITIVE_INFINITY;
      expire().catch((error: unknown) => {
        log.error("watch.expire", { error: String(error) });
        if (!stopped) timer = clock.after(1_000, arm);
      });
    });
  }

  async function expire(): Promise<void> {
    const now = clock.now();
    let until = now;
    for (const { expiresAt } of beginning) until = Math.min(until, expiresAt - 1);
    const ended = await store.expireWatches(until);
    for (const watch of ended) {
      pending.delete(watch.id);
      log.debug("watch.expired", { watch: watch.id });
      seams.onExpired(watch);
      tell(watch);
    }
    await dropEnded(until);
    // Else whoever is being made arms when that is done.
    unarmed = until !== now && beginning.size > 0;
    if (!unarmed) arm();
  }

  /** Watches that were ended in the store by something else: a turn that was cancelled took its own with it. */
  async function dropEnded(until: number): Promise<void> {
    for (const { watch } of [...pending.values()]) {
      if (watch.expiresAt > until || beginning.has(watch)) continue;
      pending.delete(watch.id);
      const now = await store.watch(watch.id);
      if (now !== undefined) tell(now);
    }
  }

  function tell(watch: Watch): void {
    for (const waiter of waiters.get(watch.id) ?? []) waiter(watch);
    waiters.delete(watch.id);
  }

  function offerOf({ watch }: Entry, signal: Signal): Offer {
    return {
      watchId: watch.id,
      claims: watch.consume === "claim" && watch.mode === "once",
      claimsFromAgent: mayClaimFromAgent(watch, signal.annotation),
    };
  }

  function collect(signal: Signal, after: number): Offered {
    const known = newKnown();
    const offers: Offer[] = [];
    const judged: string[] = [];
    for (const entry of pending.candidates(signal)) {
      if (entry.order <= after || !eligibility.passes(entry, signal, known)) continue;
      if (entry.watch.filters.instructions !== undefined) judged.push(entry.watch.id);
      else offers.push(offerOf(entry, signal));
    }
    return { offers, judged };
  }

  /** Wakes the watches that got a signal, and the judge. Called after the commit. */
  function delivered(signal: Signal, outcome: OfferOutcome): void {
    if (outcome.judging) seams.judge();
    for (const { watchId, ended } of outcome.delivered) {
      const entry = pending.get(watchId);
      if (entry === undefined) continue;
      const watch: Watch = {
        ...entry.watch,
        state: ended ? "matched" : "pending",
        signals: [...entry.watch.signals, signal],
      };
      log.info("watch.matched", { watch: watchId, message: signal.messageId, channel: signal.channel });
      if (ended) {
        pending.delete(watchId);
        settle();
      } else pending.set({ ...entry, watch: { ...watch, signals: [] } });
      seams.onMatched(watch, signal);
      if (ended) tell(watch);
    }
  }

  async function offerLate(
    signal: Signal,
    { offers, judged }: Offered,
    text: HeldText | undefined,
  ): Promise<OfferOutcome> {
    const outcome = await store.offerSignal({
      kind: "offer_signal",
      messageId: signal.messageId,
      offers,
      judged,
      ...(text === undefined
        ? {}
        : { reveal: { from: text.from, text: text.text, media: text.media, annotation: text.annotation } }),
      at: clock.now(),
    });
    if (outcome.delivered.length > 0) held.release(signal.messageId);
    delivered(signal, outcome);
    return outcome;
  }

  /** What came just before the watch was made, oldest first, until a `once` watch is content. */
  async function lookBack(entry: Entry): Promise<void> {
    const { watch } = entry;
    if (watch.backfill <= 0) return;
    const since = watch.createdAt - watch.backfill;
    const claims =
      watch.consume === "claim" && watch.mode === "once" && watch.filters.instructions === undefined;
    const { channel } = watch.filters;
    const kept = await store.recentSignals({
      since,
      unclaimed: claims,
      ...(channel === undefined ? {} : { channel }),
    });
    const inMemory = new Map(held.recent().map((text) => [text.messageId, text]));
    const texts: (RecentSignal & { readonly text?: HeldText })[] = kept.map((recent) => {
      // Kept for a judge only, it may be erased before it is offered.
      const text = inMemory.get(recent.signal.messageId);
      inMemory.delete(recent.signal.messageId);
      return text === undefined ? recent : { ...recent, text };
    });
    for (const text of inMemory.values())
      texts.push({ signal: signalOf(text), claimed: false, inTurn: false, text });
    texts.sort((a, b) => a.signal.receivedAt - b.signal.receivedAt);
    for (const { signal, claimed, inTurn, text } of texts) {
      if (pending.get(watch.id) === undefined) return;
      if (!eligibility.passes(entry, signal)) continue;
      if (watch.filters.instructions !== undefined) {
        await offerLate(signal, { offers: [], judged: [watch.id] }, text);
        continue;
      }
      const offer = offerOf(entry, signal);
      if (offer.claims && claimed) continue;
      // What an agent has already got can no longer be taken from it.
      const peek = inTurn ? { ...offer, claims: false, claimsFromAgent: false } : offer;
      await offerLate(signal, { offers: [peek], judged: [] }, text);
    }
  }

  /** Puts a registered watch on disk and lets it look back. */
  async function begin(
    entry: Entry,
    idempotency: NewWatch["idempotency"],
    noRoom: AppError | undefined,
  ): Promise<Watch> {
    const { watch } = entry;
    let outcome: CreateWatchOutcome;
    try {
      outcome = await store.createWatch(
        watch,
        idempotency === undefined
          ? undefined
          : {
              key: idempotency.key,
              fingerprint: idempotency.fingerprint,
              until: watch.createdAt + idempotency.keepFor,
              onlyKnown: noRoom !== undefined,
            },
      );
    } catch (error) {
      pending.delete(watch.id);
      throw error;
    }
    if (outcome.kind !== "created") pending.delete(watch.id);
    if (outcome.kind === "key_conflict")
      throw new AppError("conflict", "This Idempotency-Key was used for another wait.", {
        fix: "Use a new key for a new wait, or repeat the first request exactly.",
      });
    if (outcome.kind === "no_room") throw noRoom;
    if (outcome.kind === "replayed") return outcome.watch;
    try {
      await lookBack(entry);
    } catch (error) {
      // Its caller gets the error, so nobody would be there for what it caught.
      pending.delete(watch.id);
      await store.cancelWatch(watch.id, clock.now());
      throw error;
    }
    return (await store.watch(watch.id)) ?? watch;
  }

  return {
    async start() {
      for (const watch of await store.pendingWatches()) register(watch);
      await expire();
    },
    async create(wanted) {
      const now = clock.now();
      const noRoom = whyNoRoom(wanted.owner, ownersOf(pending.values()));
      if (noRoom !== undefined && wanted.idempotency === undefined) throw noRoom;
      const watch: Watch = {
        id: seams.newId("watch"),
        state: "pending",
        filters: wanted.filters,
        mode: wanted.mode,
        consume: wanted.consume,
        backfill: wanted.backfill,
        owner: wanted.owner,
        createdAt: now,
        expiresAt: now + wanted.expiresIn,
        signals: [],
      };
      // Registered first: a message admitted from here on is offered to it, one admitted before is looked back at.
      const { match } = wanted.filters;
      const entry = register(watch, match === undefined ? undefined : compile(match));
      beginning.add(watch);
      try {
        return await begin(entry, wanted.idempotency, noRoom);
      } finally {
        beginning.delete(watch);
        if (unarmed) arm();
        else settle();
      }
    },
    async ended(id, signal) {
      return new Promise<Watch>((resolve, reject) => {
        const set = waiters.get(id) ?? new Set();
        waiters.set(id, set);
        const done = (watch: Watch) => {
          signal?.removeEventListener("abort", onAbort);
          resolve(watch);
        };
        const leave = () => {
          set.delete(done);
          if (set.size === 0 && waiters.get(id) === set) waiters.delete(id);
        };
        const onAbort = () => {
          leave();
          reject(signal?.reason);
        };
        if (signal?.aborted) return onAbort();
        set.add(done);
        signal?.addEventListener("abort", onAbort, { once: true });
        if (pending.get(id) !== undefined) return;
        store.watch(id).then(
          (watch) => {
            leave();
            if (watch === undefined) reject(new AppError("not_found", `There is no watch ${id}.`));
            else done(watch);
          },
          (error: unknown) => {
            leave();
            reject(error);
          },
        );
      });
    },
    async cancel(id) {
      // A watch that has just caught something ends by what it caught, and tells whoever waits.
      if (!(await store.cancelWatch(id, clock.now()))) return false;
      pending.delete(id);
      const watch = await store.watch(id);
      if (watch !== undefined) {
        // A parked turn must go on; other waiters are told below.
        if (watch.owner.kind === "agent") seams.onExpired(watch);
        tell(watch);
      }
      settle();
      return true;
    },
    offers(signal) {
      return { ...collect(signal, 0), mark: made };
    },
    admitted(signal, mark, outcome, text) {
      if (outcome !== undefined) delivered(signal, outcome);
      const unseen = text !== undefined && (outcome === undefined || outcome.delivered.length === 0);
      if (unseen) held.hold(text);
      if (made === mark) return;
      const late = collect(signal, mark);
      if (late.offers.length + late.judged.length === 0) return;
      offerLate(signal, late, unseen ? text : undefined).catch((error: unknown) => {
        log.error("watch.offer", { message: signal.messageId, error: String(error) });
      });
    },
    mayGet(watchId, signal) {
      const entry = pending.get(watchId);
      return entry !== undefined && eligibility.permits(entry.watch, signal);
    },
    judged(signal, outcome) {
      if (outcome.delivered.length > 0) held.release(signal.messageId);
      delivered(signal, outcome);
    },
    stop() {
      stopped = true;
      timer?.();
    },
  };
}

function* ownersOf(entries: Iterable<Entry>): Iterable<WatchOwner> {
  for (const { watch } of entries) yield watch.owner;
}
