import type { ChannelSettings } from "./settings.ts";

/**
 * Pacing of one sender. Carriers send on at a fixed rate and queue the rest for hours; a full queue refuses
 * texts (21611) or drops them (30001). So we keep our own queue instead of filling the carrier's: a bucket as
 * deep as what the carrier drains in nine of its ten hours, refilled at its rate.
 */
export interface Pace {
  /** When the sender may send again; in the past while it may. Epoch ms. */
  opensAt(now: number): number;
  spend(segments: number, now: number): void;
  /** Nothing before `until`: the carrier throttled us. */
  close(until: number): void;
}

/** Hours of the carrier's queue that we are willing to fill. */
const QUEUE_HOURS = 9;

/** `settings` undefined or a simulator: never paced. */
export function createPace(settings: ChannelSettings | undefined, now: number): Pace {
  const rate =
    settings === undefined || settings.provider === "simulator" ? undefined : segmentsPerSecond(settings);
  const capacity = (rate ?? 1) * QUEUE_HOURS * 3600;
  let tokens = capacity;
  let filledAt = now;
  let closedUntil = 0;

  const refill = (at: number) => {
    tokens = Math.min(capacity, tokens + ((rate ?? 0) * Math.max(0, at - filledAt)) / 1000);
    filledAt = at;
  };

  return {
    opensAt(at) {
      if (rate === undefined) return closedUntil;
      refill(at);
      const refilled = tokens >= 1 ? at : at + ((1 - tokens) / rate) * 1000;
      return Math.max(closedUntil, refilled);
    },
    spend(segments, at) {
      if (rate === undefined) return;
      refill(at);
      tokens -= segments;
    },
    close(until) {
      closedUntil = Math.max(closedUntil, until);
    },
  };
}

/**
 * Segments per second by kind of sender, after Twilio's published figures; a +1 long code counts with the
 * lowest (Canada's), since a United States campaign's own rate is not known to us.
 */
export function segmentsPerSecond(settings: ChannelSettings): number {
  if (settings.sender.kind === "service") return 10;
  const number = settings.sender.number.replace(/^whatsapp:/, "");
  if (settings.sender.number.startsWith("whatsapp:")) return 80;
  if (!number.startsWith("+")) return 100;
  if (/^\+18(00|33|44|55|66|77|88)/.test(number)) return 3;
  return number.startsWith("+1") ? 1 : 10;
}
