import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { ChannelSettings, Settings } from "./settings.ts";
import type { Store } from "./store.ts";

export interface ConversationEndSeams {
  readonly settings: () => Settings;
  readonly store: Pick<Store, "endIdle" | "oldestActivity">;
  readonly clock: Clock;
  readonly log: Log;
}

/** At least so often all open conversations are looked at, ms, also those that a turn kept open before. */
const WHOLE = 30_000;
/** Conversations are looked at no more often than this, ms; so much late one may end. */
const AT_MOST = 1_000;

/** Ends conversations when they have been idle for `idle_timeout`. */
export interface ConversationEnds {
  /** Ends those that are idle. Answers after how many ms the next one can be. */
  end(): Promise<number>;
  /** After how many ms the first one that begins now can be idle. */
  first(): number;
}

/**
 * Looks at what went on since the last look only, by an index on channel and time; nothing is written while nothing
 * is to end. Whatever goes on after a look is not idle before `idle_timeout` is over.
 */
export function createConversationEnds({
  settings,
  store,
  clock,
  log,
}: ConversationEndSeams): ConversationEnds {
  /** By channel: what has gone on before this has ended, or a turn keeps it open. */
  const looked = new Map<string, number>();
  let wholeAt: number | undefined;

  const channels = () => Object.values(settings().channels);
  const within = (delay: number) => Math.min(WHOLE, Math.max(AT_MOST, delay));

  /** Answers when the next conversation of the channel can be idle, epoch ms. */
  async function look({ id, idleTimeout }: ChannelSettings, whole: boolean, now: number): Promise<number> {
    const before = now - idleTimeout;
    const since = whole ? undefined : looked.get(id);
    let oldest = since === undefined ? undefined : await store.oldestActivity(id, since);
    if (since === undefined || (oldest !== undefined && oldest < before)) {
      const ended = await store.endIdle(id, idleTimeout, now);
      for (const one of ended) log.info("conversation.ended", { conversation: one.id, channel: one.channel });
      if (ended.length > 0) return now; // there may be more than one call ends
      oldest = await store.oldestActivity(id, before);
    }
    looked.set(id, before);
    return (oldest ?? now) + idleTimeout + 1;
  }

  return {
    async end() {
      const now = clock.now();
      // The clock may have been put back.
      const whole = wholeAt === undefined || now < wholeAt || now >= wholeAt + WHOLE;
      if (whole) wholeAt = now;
      let next = (wholeAt ?? now) + WHOLE;
      for (const channel of channels()) next = Math.min(next, await look(channel, whole, now));
      return within(next - clock.now());
    },
    first: () => within(Math.min(...channels().map(({ idleTimeout }) => idleTimeout + 1))),
  };
}
