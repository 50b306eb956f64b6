import { AppError } from "./errors.ts";
import { createHeldTexts, type HeldText } from "./held-texts.ts";
import type { NewId } from "./ids.ts";
import type { Log } from "./log.ts";
import type { Signal } from "./signal.ts";
import type { CreateWatchOutcome, OfferOutcome, SignalStore } from "./signal-store.ts";
import type { CompilePattern, Pattern, Watch, WatchFilters, WatchOwner } from "./watch.ts";
import { type Candidate, createEligibility, type EligibilitySeams } from "./watch-eligibility.ts";
import { createWatchExpiry } from "./watch-expiry.ts";
import { createWatchIndex, type Indexed } from "./watch-index.ts";
import { whyNoRoom } from "./watch-limits.ts";
import { lookBack } from "./watch-look-back.ts";
import { type Offered, offersOf } from "./watch-offers.ts";
import { createWatchWaiters } from "./watch-waiters.ts";

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

type Entry = Indexed & Candidate;

const NOTHING: Pattern = { test: () => false };

export function createSignals(seams: SignalsSeams): Signals {
  const { store, clock, log } = seams;
  const pending = createWatchIndex<Entry>();
  const held = createHeldTexts(clock);
  const eligibility = createEligibility(seams);
  const isPending = (id: string) => pending.get(id) !== undefined;
  const { ended, tell } = createWatchWaiters(store, isPending);
  const expiry = createWatchExpiry({
    clock,
    log,
    store,
    pending,
    onExpired(watch) {
      seams.onExpired(watch);
      tell(watch);
    },
    onEnded: tell,
  });
  let made = 0;

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
    expiry.add(watch);
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
        expiry.settle();
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
      await lookBack(entry, { store, held, eligibility, isPending, offer: offerLate });
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
      await expiry.run();
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
      const ready = expiry.hold(watch);
      try {
        return await begin(entry, wanted.idempotency, noRoom);
      } finally {
        ready();
      }
    },
    ended,
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
      expiry.settle();
      return true;
    },
    offers(signal) {
      return { ...offersOf(signal, pending, eligibility), mark: made };
    },
    admitted(signal, mark, outcome, text) {
      if (outcome !== undefined) delivered(signal, outcome);
      const unseen = text !== undefined && (outcome === undefined || outcome.delivered.length === 0);
      if (unseen) held.hold(text);
      if (made === mark) return;
      const late = offersOf(signal, pending, eligibility, mark);
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
      expiry.stop();
    },
  };
}

function* ownersOf(entries: Iterable<Entry>): Iterable<WatchOwner> {
  for (const { watch } of entries) yield watch.owner;
}
