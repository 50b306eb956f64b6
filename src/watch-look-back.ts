import { type HeldText, type HeldTexts, signalOf } from "./held-texts.ts";
import type { Signal } from "./signal.ts";
import type { RecentSignal, SignalStore } from "./signal-store.ts";
import type { Watch } from "./watch.ts";
import type { Candidate, Eligibility } from "./watch-eligibility.ts";
import { type Offered, offerOf } from "./watch-offers.ts";

export interface LookBackSeams {
  readonly store: Pick<SignalStore, "recentSignals">;
  readonly held: Pick<HeldTexts, "recent">;
  readonly eligibility: Pick<Eligibility, "passes">;
  readonly isPending: (watchId: string) => boolean;
  /** Gives a text that was admitted before to the watch; `text` where it is in memory. */
  readonly offer: (signal: Signal, offered: Offered, text: HeldText | undefined) => Promise<unknown>;
}

/** A text from before the watch; with `text` it is in memory, perhaps nowhere else. */
type EarlierText = RecentSignal & { readonly text?: HeldText };

/**
 * Offers a new watch what came just before it was made and nobody has claimed, oldest first, until a `once` watch is
 * content.
 */
export async function lookBack(candidate: Candidate, seams: LookBackSeams): Promise<void> {
  const { watch } = candidate;
  if (watch.backfill <= 0) return;
  for (const { signal, inTurn, text } of await earlierTexts(watch, seams)) {
    if (!seams.isPending(watch.id)) return;
    if (!seams.eligibility.passes(candidate, signal)) continue;
    if (watch.filters.instructions !== undefined) {
      await seams.offer(signal, { offers: [], judged: [watch.id] }, text);
      continue;
    }
    const offer = offerOf(watch, signal);
    // What an agent has already got can no longer be taken from it.
    const peek = inTurn ? { ...offer, claims: false, claimsFromAgent: false } : offer;
    await seams.offer(signal, { offers: [peek], judged: [] }, text);
  }
}

/** What the watch may look back at, on disk and in memory, oldest first. */
async function earlierTexts(
  watch: Watch,
  { store, held }: Pick<LookBackSeams, "store" | "held">,
): Promise<readonly EarlierText[]> {
  const { channel } = watch.filters;
  const kept = await store.recentSignals({
    since: watch.createdAt - watch.backfill,
    ...(channel === undefined ? {} : { channel }),
  });
  const inMemory = new Map(held.recent().map((text) => [text.messageId, text]));
  const texts: EarlierText[] = kept.map((recent) => {
    // Kept for a judge only, it may be erased before it is offered.
    const text = inMemory.get(recent.signal.messageId);
    inMemory.delete(recent.signal.messageId);
    return text === undefined ? recent : { ...recent, text };
  });
  for (const text of inMemory.values()) texts.push({ signal: signalOf(text), inTurn: false, text });
  return texts.sort((a, b) => a.signal.receivedAt - b.signal.receivedAt);
}
