import type { Annotation } from "./annotation.ts";
import type { Clock } from "./clock.ts";
import type { Media } from "./message.ts";
import { type Signal, signalId } from "./signal.ts";
import { MAX_BACKFILL } from "./watch.ts";

/** A denied sender's text, kept in memory only, for as long as a backfill may ask for it. */
export interface HeldText {
  readonly messageId: string;
  readonly channel: string;
  readonly from: string;
  readonly text: string;
  readonly media: readonly Media[];
  readonly receivedAt: number;
  readonly annotation: Annotation;
}

/** Denied senders' texts, for as long as a watch may look back at them. A restart forgets them. */
export interface HeldTexts {
  hold(text: HeldText): void;
  /** Somebody got it, so it is on disk now. */
  release(messageId: string): void;
  /** Oldest first. */
  recent(): readonly HeldText[];
}

/** Kept in memory at once; the oldest goes first. */
const MAX_HELD = 2_000;

export function createHeldTexts(clock: Clock): HeldTexts {
  let held: HeldText[] = [];

  function forget(): void {
    const since = clock.now() - MAX_BACKFILL;
    held = held.filter((text) => text.receivedAt >= since).slice(-MAX_HELD);
  }

  return {
    hold(text) {
      held.push(text);
      if (held.length > MAX_HELD) forget();
    },
    release(messageId) {
      held = held.filter((text) => text.messageId !== messageId);
    },
    recent() {
      forget();
      return held;
    },
  };
}

/** The text as watches are offered it. */
export function signalOf(text: HeldText): Signal {
  return {
    id: signalId(text.messageId),
    messageId: text.messageId,
    channel: text.channel,
    from: text.from,
    receivedAt: text.receivedAt,
    text: text.text,
    numMedia: text.media.length,
    annotation: text.annotation,
  };
}
