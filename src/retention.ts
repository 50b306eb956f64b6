import type { Settings } from "./settings.ts";

/** Until when what was kept is to be removed, epoch ms. */
export interface PurgeBefore {
  /** Texts, with their events, turns and conversations. */
  readonly messages: number;
  /** What is left of denied texts. */
  readonly denied: number;
}

/** The carrier's list is compared with what is kept; the comparison itself takes a while, ms. */
export const LISTED_MARGIN = 3_600_000;

/**
 * A text that is still in the carrier's list must be known, or it would be taken for a missed one and answered
 * again. So nothing goes before the longest `catch_up` is over; the config's check says so where that is longer.
 */
export function purgeBefore(settings: Pick<Settings, "retention" | "channels">, now: number): PurgeBefore {
  const listed =
    Math.max(0, ...Object.values(settings.channels).map(({ catchUp }) => catchUp)) + LISTED_MARGIN;
  const { messages, denied } = settings.retention;
  return { messages: now - Math.max(messages, listed), denied: now - Math.max(denied, listed) };
}

export interface RetentionStore {
  /** Removes a little of what is older; answers whether there may be more: call it again, a little later. */
  purge(before: PurgeBefore): Promise<boolean>;
}
