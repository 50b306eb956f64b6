import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import Histogram from "prom-client/lib/histogram.js";
import Registry from "prom-client/lib/registry.js";
import {
  COUNTERS,
  type CounterName,
  type Exposition,
  GAUGES,
  type GaugeName,
  HISTOGRAMS,
  type HistogramName,
  type Metrics,
  type Reading,
} from "../metrics.ts";
import { addProcessMetrics } from "./process.ts";

type Labels = Readonly<Record<string, string>>;

const PREFIX = "sms_agent_";

/** What was counted under some values of a counter's labels, and under what value of its next label. */
interface Count {
  readonly labels: Labels;
  by: number;
  readonly of: Map<string, Count>;
}

/** Counts in memory, and writes it all down in Prometheus' text format when asked to. */
export function createRegistry(): Metrics & {
  /** `gauges` is asked once, however many ask for the text meanwhile. */
  expose(gauges: () => Promise<readonly Reading[]>): Promise<Exposition>;
} {
  const registry = new Registry();
  const registers = [registry];
  const counters = new Map<CounterName, Counter>();
  const histograms = new Map<HistogramName, Histogram>();
  const gauges = new Map<GaugeName, Gauge>();
  for (const [name, { help, labels }] of entries(COUNTERS))
    counters.set(name, new Counter({ name: PREFIX + name, help, labelNames: [...labels], registers }));
  for (const [name, { help, labels, buckets }] of entries(HISTOGRAMS))
    histograms.set(
      name,
      new Histogram({ name: PREFIX + name, help, labelNames: [...labels], buckets: [...buckets], registers }),
    );
  for (const [name, { help, labels }] of entries(GAUGES))
    gauges.set(name, new Gauge({ name: PREFIX + name, help, labelNames: [...labels], registers }));
  addProcessMetrics(PREFIX, registry);

  /** Counted since the text was last written: the library takes longer to find a counter's labels than to count. */
  const counted = new Map<CounterName, Count>();
  const counts: { readonly name: CounterName; readonly count: Count }[] = [];

  function count(name: CounterName, labels: Labels, by: number): void {
    let found = within(counted, name, name, labels);
    for (const label of COUNTERS[name].labels) found = within(found.of, labels[label] ?? "", name, labels);
    found.by += by;
  }

  function within<Key>(known: Map<Key, Count>, key: Key, name: CounterName, labels: Labels): Count {
    const found = known.get(key);
    if (found !== undefined) return found;
    const count: Count = { labels, by: 0, of: new Map() };
    known.set(key, count);
    counts.push({ name, count });
    return count;
  }

  async function write(read: () => Promise<readonly Reading[]>): Promise<Exposition> {
    const readings = await read();
    for (const { name, count } of counts) {
      if (count.by > 0) counters.get(name)?.inc(count.labels, count.by);
      count.by = 0;
    }
    for (const gauge of gauges.values()) gauge.reset();
    for (const { name, labels, value } of readings) gauges.get(name)?.set(labels, value);
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  let writing: Promise<Exposition> | undefined;
  return {
    count: (name, labels, by = 1) => count(name, labels, by),
    observe: (name, labels, seconds) => histograms.get(name)?.observe(labels, seconds),
    expose(read) {
      writing ??= write(read).finally(() => {
        writing = undefined;
      });
      return writing;
    },
  };
}

/** The entries of a table with the names it has. */
function entries<Name extends string, Entry>(table: Readonly<Record<Name, Entry>>): [Name, Entry][] {
  const found: [Name, Entry][] = [];
  for (const name in table) found.push([name, table[name]]);
  return found;
}
