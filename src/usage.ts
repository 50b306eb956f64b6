/** What went through a channel on one local day. */
export interface DayUsage {
  /** `YYYY-MM-DD` in the configured time zone. */
  readonly day: string;
  readonly channel: string;
  /** Texts, dropped ones included: the carrier charges for them too. */
  readonly inbound: number;
  /** Texts that were handed to the carrier, those whose fate is unknown included. */
  readonly outbound: number;
  /** Of the outbound texts. */
  readonly segments: number;
  readonly inboundSegments: number;
  /** Of language models: the agents' turns, and the texts they judged. */
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export interface UsageStore {
  /** Newest day first, and within a day by channel; from `since` (`YYYY-MM-DD`) on. */
  usage(since: string): Promise<readonly DayUsage[]>;
  /** Outbound segments of all channels on the local day of `now`. */
  segmentsUsed(now: number): Promise<number>;
}

/** A text without words (a picture, a template) costs a segment too. */
export function billedSegments(segments: number | null | undefined): number {
  return Math.max(1, segments ?? 1);
}

/** A day of the calendar somewhere: `YYYY-MM-DD`, and the moment the next one begins. */
export interface LocalDay {
  readonly day: string;
  readonly end: number;
}

/** No day is longer, clock changes and skipped dates included. */
const LONGEST_DAY = 50 * 3_600_000;

/**
 * Tells the local day of a moment. The day that was asked for last is remembered, so that asking again costs
 * nothing; the time zone (IANA name) may change.
 */
export function createLocalDays(timezone: () => string): (at: number) => LocalDay {
  let known: (LocalDay & { readonly from: number; readonly timezone: string }) | undefined;
  return (at) => {
    const zone = timezone();
    if (known !== undefined && known.timezone === zone && at >= known.from && at < known.end) return known;
    const dayAt = dayIn(zone);
    const day = dayAt(at);
    // Local dates never go back, so the first moment of another date is found by halving.
    let [last, end] = [at, at + LONGEST_DAY];
    while (end - last > 1) {
      const middle = Math.floor((last + end) / 2);
      if (dayAt(middle) === day) last = middle;
      else end = middle;
    }
    known = { day, end, from: at, timezone: zone };
    return known;
  };
}

function dayIn(timezone: string): (at: number) => string {
  const format = new Intl.DateTimeFormat("en", {
    timeZone: timezone,
    calendar: "gregory",
    numberingSystem: "latn",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  });
  return (at) => {
    const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
    return `${parts.get("year")}-${parts.get("month")}-${parts.get("day")}`;
  };
}

/** Money of a day, in the configured currency, to a millionth. */
export function costOf(
  { segments, inboundSegments }: Pick<DayUsage, "segments" | "inboundSegments">,
  prices: { readonly outboundSegment: number; readonly inboundSegment: number },
): number {
  const cost = segments * prices.outboundSegment + inboundSegments * prices.inboundSegment;
  return Math.round(cost * 1e6) / 1e6;
}
