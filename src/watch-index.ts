import type { Signal } from "./signal.ts";
import type { Watch } from "./watch.ts";

/** A watch as it is looked up; `order` counts up with every watch made. */
export interface Indexed {
  readonly watch: Watch;
  readonly order: number;
}

/**
 * The pending watches, found by what a text can tell at once: its sender, exactly or by a prefix, or else its channel.
 * A text does not pay for those who wait for somebody else.
 */
export interface WatchIndex<Entry extends Indexed> {
  readonly size: number;
  get(id: string): Entry | undefined;
  /** Replaces the entry of the same watch; its filters never change. */
  set(entry: Entry): void;
  delete(id: string): boolean;
  values(): Iterable<Entry>;
  /** Those that may match, oldest first; whether one does is for its filters to say. */
  candidates(signal: Pick<Signal, "channel" | "from">): readonly Entry[];
}

export function createWatchIndex<Entry extends Indexed>(): WatchIndex<Entry> {
  const all = new Map<string, Entry>();
  const buckets = new Map<string, Set<string>>();

  return {
    get size() {
      return all.size;
    },
    get: (id) => all.get(id),
    set(entry) {
      const { id } = entry.watch;
      if (!all.has(id))
        for (const key of keysOf(entry.watch)) {
          const bucket = buckets.get(key) ?? new Set();
          buckets.set(key, bucket.add(id));
        }
      all.set(id, entry);
    },
    delete(id) {
      const entry = all.get(id);
      if (entry === undefined) return false;
      all.delete(id);
      for (const key of keysOf(entry.watch)) {
        const bucket = buckets.get(key);
        bucket?.delete(id);
        if (bucket?.size === 0) buckets.delete(key);
      }
      return true;
    },
    values: () => all.values(),
    candidates(signal) {
      if (all.size === 0) return [];
      // One that names several senders can stand in several buckets.
      const found = new Map<string, Entry>();
      for (const key of keysFor(signal))
        for (const id of buckets.get(key) ?? []) {
          const entry = all.get(id);
          if (entry !== undefined) found.set(id, entry);
        }
      return [...found.values()].sort((a, b) => a.order - b.order);
    },
  };
}

/** Where a watch stands. */
function keysOf({ filters: { from, channel } }: Watch): readonly string[] {
  if (from !== undefined)
    return from.map((sender) =>
      sender.endsWith("*") ? `prefix ${sender.slice(0, -1).toLowerCase()}` : `from ${sender.toLowerCase()}`,
    );
  return [channel === undefined ? "any" : `channel ${channel}`];
}

/** Where the watches for a text can stand. */
function* keysFor({ channel, from }: Pick<Signal, "channel" | "from">): Iterable<string> {
  yield "any";
  yield `channel ${channel}`;
  const sender = from.toLowerCase();
  yield `from ${sender}`;
  for (let length = 0; length <= sender.length; length++) yield `prefix ${sender.slice(0, length)}`;
}
