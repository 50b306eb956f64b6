import type { Carrier } from "./carrier.ts";
import { CATCH_UP_INTERVAL } from "./channel.ts";
import { type Clock, sleep } from "./clock.ts";
import { AppError, type Explained } from "./errors.ts";
import type { Log } from "./log.ts";
import type { InboundEvent, StatusEvent } from "./message.ts";
import { LISTED_MARGIN, purgeBefore } from "./retention.ts";
import type { ChannelSettings, Settings } from "./settings.ts";
import type { Store } from "./store.ts";

export interface CatchUpSeams {
  readonly settings: () => Pick<Settings, "retention" | "channels">;
  readonly carrier: (channel: string) => Carrier | undefined;
  readonly admit: (channel: string, event: InboundEvent) => Promise<unknown>;
  readonly record: (event: StatusEvent) => Promise<unknown>;
  readonly store: Pick<Store, "knownSids" | "openDeliveries" | "restoredAt">;
  readonly clock: Clock;
  readonly log: Log;
}

/** The carrier's list may lag behind; each look overlaps the one before by this much, ms. */
const OVERLAP = 10 * 60_000;
/** Deliveries younger than this are asked for at every look, older ones at every CATCH_UP_INTERVAL. */
const FRESH = 10 * 60_000;
/**
 * The whole of `catch_up` is looked at again at every CATCH_UP_INTERVAL while it lists no more than this; where it is
 * more, at every WHOLE_INTERVAL, and the time since the last look between.
 */
const SMALL_LIST = 1_000;
const WHOLE_INTERVAL = 3_600_000;
const DELIVERY_WINDOW = 24 * 3_600_000;
const DELIVERIES_PER_LOOK = 100;
/** A list that could not be read is asked for again after this, doubling up to the longest, ms. */
const FIRST_RETRY = 5_000;
const LONGEST_RETRY = 40_000;
/** What is about to be removed is no more asked for: a look takes a while, ms. */
const KEPT_MARGIN = LISTED_MARGIN / 2;

/**
 * Follows the carrier's own list: what the webhook missed while we were down, and with `inbound: poll` everything,
 * delivery states included (with `inbound: none` only those). Runs until aborted; rejects with AppError `unavailable`
 * when the carrier cannot be reached (polling only), `forbidden` when it refuses.
 */
export async function followList(
  channel: ChannelSettings,
  signal: AbortSignal,
  seams: CatchUpSeams,
): Promise<void> {
  const { clock, log } = seams;
  const polling = channel.inbound === "poll";
  const listing = channel.inbound !== "none" && channel.catchUp > 0;
  const whole = createWholeLooks();
  /** Nothing older is asked for. */
  let oldest = clock.now() - channel.catchUp;
  /** When the last look began whose list came. */
  let lastLook: number | undefined;
  /** When the oldest came that the last look had to leave out. */
  let unfinishedSince = Number.POSITIVE_INFINITY;
  let lastFull = 0;
  let failures = 0;
  while (!signal.aborted) {
    const carrier = seams.carrier(channel.id);
    if (carrier === undefined) return;
    const started = clock.now();
    const full = started - lastFull >= CATCH_UP_INTERVAL;
    // A clock that was set back would hide what is new.
    oldest = Math.min(oldest, started - channel.catchUp);
    const wholly = lastLook === undefined || whole.due(started);
    // What could not be listed meanwhile is not left out, however long that was.
    const next = lastLook === undefined ? oldest : Math.min(started, lastLook) - OVERLAP;
    const usual = Math.max(oldest, wholly ? Math.min(next, started - channel.catchUp) : next);
    // What is removed here is not known any more, however long it could not be listed.
    const { messages, denied } = purgeBefore(seams.settings(), started);
    const since = Math.max(Math.min(usual, unfinishedSince), messages + KEPT_MARGIN, denied + KEPT_MARGIN);
    const missed = listing ? await missing(channel, carrier, since, signal, seams) : NOTHING_MISSED;
    if (signal.aborted) return;
    failures = missed.kind === "ok" && missed.unfinishedSince === undefined ? 0 : failures + 1;
    if (missed.kind === "ok") {
      lastLook = started;
      unfinishedSince = missed.unfinishedSince ?? Number.POSITIVE_INFINITY;
      if (wholly) whole.done(started, missed.listed);
      if (missed.admitted > 0) log.info("catch_up.admitted", { channel: channel.id, count: missed.admitted });
      const age = full ? DELIVERY_WINDOW : FRESH;
      await refreshDeliveries(channel, carrier, started - age, signal, seams);
      if (full) lastFull = started;
    } else if (polling) {
      throw new AppError("unavailable", `The carrier's message list cannot be read: ${missed.reason}`, {
        fix: "Check the network; it is tried again by itself.",
      });
    } else log.warn("catch_up.unreachable", { channel: channel.id, reason: missed.reason });
    try {
      const pause = missed.kind === "refused" ? CATCH_UP_INTERVAL : pauseAfter(failures);
      await sleep(clock, channel.inbound === "webhook" ? pause : channel.pollInterval, signal);
    } catch {
      return;
    }
  }
}

/**
 * When the whole window is to be looked at: a row may turn up in the list long after its time, and a page of it may be
 * left out once. Only a list that is long is not read again each time.
 */
function createWholeLooks() {
  let last = Number.NEGATIVE_INFINITY;
  let interval = CATCH_UP_INTERVAL;
  return {
    due: (now: number) => now < last || now - last >= interval,
    done(began: number, listed: number) {
      last = began;
      interval = listed <= SMALL_LIST ? CATCH_UP_INTERVAL : WHOLE_INTERVAL;
    },
  };
}

/** A text whose webhook was lost need not wait for another interval because the list did not come. */
function pauseAfter(failures: number): number {
  return failures === 0
    ? CATCH_UP_INTERVAL
    : Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** Math.min(failures - 1, 10));
}

/** A list that is refused stops a channel that lives by it; for one with a webhook it is only a pity. */
async function missing(
  channel: ChannelSettings,
  carrier: Carrier,
  since: number,
  signal: AbortSignal,
  seams: CatchUpSeams,
): Promise<Missed> {
  try {
    return await admitMissing(channel, carrier, since, signal, seams);
  } catch (error) {
    if (channel.inbound === "poll" || !(error instanceof AppError) || error.code !== "forbidden") throw error;
    return { kind: "refused", reason: error.message };
  }
}

const NOTHING_MISSED: Missed = { kind: "ok", admitted: 0, listed: 0 };

type Missed =
  | {
      readonly kind: "ok";
      readonly admitted: number;
      readonly listed: number;
      readonly unfinishedSince?: number | undefined;
    }
  | { readonly kind: "refused" | "unreachable"; readonly reason: string };

async function admitMissing(
  channel: ChannelSettings,
  carrier: Carrier,
  since: number,
  signal: AbortSignal,
  seams: CatchUpSeams,
): Promise<Missed> {
  const list = await carrier.listInbound(since, seams.store.knownSids, signal);
  if (list.kind === "refused") throw refused(list.error);
  if (list.kind === "unreachable") return list;
  const restoredAt = (await seams.store.restoredAt()) ?? 0;
  // Their webhooks may have come while the rest of the list was read.
  const known = await seams.store.knownSids(list.items.map((event) => event.sid));
  let admitted = 0;
  for (const event of list.items) {
    if (known.has(event.sid) || signal.aborted) continue;
    // A poller sees every text in the list; only those it should have seen before are late.
    const onTime =
      channel.inbound === "poll" && seams.clock.now() - event.receivedAt < 60_000 + 3 * channel.pollInterval;
    const { receivedAt } = event;
    await seams.admit(channel.id, {
      ...event,
      late: !onTime,
      // Seconds are all that the carrier tells.
      ...(receivedAt < restoredAt ? { beforeRestore: true } : {}),
    });
    admitted += 1;
  }
  return { kind: "ok", admitted, listed: list.listed, unfinishedSince: list.unfinishedSince };
}

async function refreshDeliveries(
  channel: ChannelSettings,
  carrier: Carrier,
  since: number,
  signal: AbortSignal,
  seams: CatchUpSeams,
): Promise<void> {
  const open = await seams.store.openDeliveries(channel.id, since, DELIVERIES_PER_LOOK);
  for (const { sid } of open) {
    if (signal.aborted) return;
    const state = await carrier.fetchStatus(sid, signal);
    if (state.kind === "refused") throw refused(state.error);
    if (state.kind === "unreachable") return;
    for (const event of state.items) await seams.record({ ...event, channel: channel.id });
  }
}

function refused({ meaning, fix }: Explained): AppError {
  return new AppError("forbidden", `The carrier refuses to list messages: ${meaning}`, { fix });
}
