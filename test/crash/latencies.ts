/** Durations in buckets that grow by 2 %, so that any number of them takes the same room. */
export interface Latencies {
  /** Milliseconds. */
  add(duration: number): void;
  readonly count: () => number;
  /** The duration that `share` of all stay below, ms. */
  percentile(share: number): number;
}

const GROWTH = Math.log(1.02);
/** The smallest that is told apart, ms. */
const LEAST = 0.01;

export function createLatencies(): Latencies {
  const buckets = new Float64Array(1_200);
  let count = 0;
  return {
    add(duration) {
      const index = Math.ceil(Math.log(Math.max(LEAST, duration) / LEAST) / GROWTH);
      const bucket = Math.min(buckets.length - 1, Math.max(0, index));
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
      count += 1;
    },
    count: () => count,
    percentile(share) {
      let left = share * count;
      for (const [index, inside] of buckets.entries()) {
        left -= inside;
        if (left <= 0) return LEAST * Math.exp(index * GROWTH);
      }
      return 0;
    },
  };
}
