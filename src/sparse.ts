import type { Clock } from "./clock.ts";

/**
 * For log lines that something outside could repeat without end: says for each key when one is to be written, at once
 * the first time and then at most every `interval` ms, and how many were left out before it.
 */
export function createSparse(
  clock: Clock,
  interval: number,
): (key: string) => { readonly more?: number } | undefined {
  const told = new Map<string, { since: number; more: number }>();
  return (key) => {
    const now = clock.now();
    const known = told.get(key);
    if (known !== undefined && now - known.since < interval) {
      known.more += 1;
      return undefined;
    }
    told.set(key, { since: now, more: 0 });
    return known === undefined || known.more === 0 ? {} : { more: known.more };
  };
}
