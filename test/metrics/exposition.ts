/** One line of values: `name{labels} value`. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;

/**
 * Reads Prometheus' text format 0.0.4 as its documentation has it, and throws on whatever that does not allow:
 * samples without or before their TYPE, names and values that are none, a series twice, a histogram that does not
 * add up. https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function readExposition(text: string): readonly Family[] {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const families: { name: string; type: string; help: string; samples: Sample[] }[] = [];
  const seen = new Set<string>();
  let help: readonly [name: string, text: string] | undefined;
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    const [mark, kind, name = "", ...rest] = line.split(" ");
    if (mark === "#" && kind === "HELP") {
      help = [name, rest.join(" ")];
      continue;
    }
    if (mark === "#" && kind === "TYPE") {
      const type = rest.join(" ");
      if (!NAME.test(name) || !/^(counter|gauge|histogram|summary|untyped)$/.test(type))
        throw new Error(`no type line: ${line}`);
      if (families.some((family) => family.name === name)) throw new Error(`twice: ${name}`);
      if (help?.[0] !== name) throw new Error(`no help for ${name}`);
      families.push({ name, type, help: help[1], samples: [] });
      continue;
    }
    const sample = readSample(line);
    const family = families.at(-1);
    if (family === undefined || !belongs(sample.name, family)) throw new Error(`not of its family: ${line}`);
    const series = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
    if (seen.has(series)) throw new Error(`a series twice: ${line}`);
    seen.add(series);
    family.samples.push(sample);
  }
  for (const family of families) checkFamily(family);
  return families;
}

function readSample(line: string): Sample {
  const match = SAMPLE.exec(line);
  if (match === null) throw new Error(`no sample: ${line}`);
  const [, name = "", inner = "", raw = ""] = match;
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < inner.length) {
    const found = LABEL.exec(inner);
    if (found === null) throw new Error(`no labels: ${line}`);
    const [, label = "", value = ""] = found;
    if (label in labels) throw new Error(`a label twice: ${line}`);
    labels[label] = value.replace(/\\(.)/g, (_, sign: string) => (sign === "n" ? "\n" : sign));
  }
  if (!/^([+-]?Inf|NaN|[+-]?\d+(\.\d+)?([eE][+-]?\d+)?)$/.test(raw)) throw new Error(`no value: ${line}`);
  return { name, labels, value: Number(raw.replace("Inf", "Infinity")) };
}

function belongs(sample: string, { name, type }: Pick<Family, "name" | "type">): boolean {
  return type === "histogram" ? /^_(bucket|sum|count)$/.test(sample.slice(name.length)) : sample === name;
}

function checkFamily({ name, type, samples }: Family): void {
  if (type === "counter" && !name.endsWith("_total")) throw new Error(`a counter without _total: ${name}`);
  if (type === "counter" && samples.some(({ value }) => !(value >= 0)))
    throw new Error(`less than 0: ${name}`);
  if (type !== "histogram") return;
  const of = (suffix: string) => samples.filter((sample) => sample.name === name + suffix);
  for (const { labels, value: count } of of("_count")) {
    const same = ({ le: _, ...rest }: Sample["labels"]) =>
      JSON.stringify(Object.entries(rest).sort()) === JSON.stringify(Object.entries(labels).sort());
    const buckets = of("_bucket").filter((sample) => same(sample.labels));
    const bounds = buckets.map((bucket) => Number(bucket.labels.le?.replace("Inf", "Infinity")));
    const rising = (values: readonly number[]) =>
      values.every((value, i) => i === 0 || value >= (values[i - 1] ?? 0));
    if (!rising(bounds) || !rising(buckets.map(({ value }) => value))) throw new Error(`not rising: ${name}`);
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY || buckets.at(-1)?.value !== count)
      throw new Error(`the last bucket is not everything: ${name}`);
    if (!of("_sum").some((sample) => same(sample.labels))) throw new Error(`no sum: ${name}`);
  }
}
