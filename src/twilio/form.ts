/**
 * The parameters of a form body. Of each pair name and value lie at the same place, in the order they came; a name
 * that is repeated has all its values, blank ones included.
 */
export class FormParams {
  readonly #shape: Shape;
  readonly values: readonly string[];

  constructor(shape: Shape, values: readonly string[]) {
    this.#shape = shape;
    this.values = values;
  }

  /** Of each pair. The same array for every form of the same names, as long as they are remembered. */
  get names(): readonly string[] {
    return this.#shape.names;
  }

  /** How many names there are. */
  get size(): number {
    return this.#shape.places.size;
  }

  /** All values of `name`, undefined when it did not come at all. */
  get(name: string): readonly string[] | undefined {
    return this.#shape.places.get(name)?.map((place) => this.values[place] ?? "");
  }

  /** The first value of `name`, undefined when it did not come at all. */
  first(name: string): string | undefined {
    const place = this.#shape.places.get(name)?.[0];
    return place === undefined ? undefined : this.values[place];
  }

  /** Each name once, in the order they first came. */
  keys(): Iterable<string> {
    return this.#shape.places.keys();
  }

  *[Symbol.iterator](): Generator<readonly [name: string, values: readonly string[]]> {
    for (const name of this.keys()) yield [name, this.get(name) ?? []];
  }
}

/** What the names of a form tell: a carrier sends the same ones in the same order again and again. */
interface Shape {
  readonly names: readonly string[];
  /** Where the pairs of each name are, in the order they first came. */
  readonly places: ReadonlyMap<string, readonly number[]>;
}

/**
 * Reads `application/x-www-form-urlencoded` as https://url.spec.whatwg.org does: `+` is a space, `%2B` a plus,
 * percent-encoded bytes are decoded together as UTF-8 (what is no UTF-8 becomes U+FFFD). Never fails.
 */
export function parseForm(body: string | Uint8Array): FormParams {
  const text = typeof body === "string" ? body.toWellFormed() : UTF_8.decode(body);
  try {
    return knownPairs(text) ?? plainPairs(text);
  } catch {
    return anyPairs(text);
  }
}

// The percent signs of what a carrier writes all stand for UTF-8: read so, and where the names are known, a form takes
// a fifth of the time. Both throw URIError for what is no UTF-8.

/** The pairs of a body whose names came before, in the same order; undefined for any other. */
function knownPairs(text: string): FormParams | undefined {
  for (const shape of shapes) {
    const values = valuesOf(text, shape.names);
    if (values !== undefined) return new FormParams(shape, values);
  }
  return undefined;
}

function valuesOf(text: string, names: readonly string[]): readonly string[] | undefined {
  const values: string[] = [];
  let start = 0;
  for (const name of names) {
    const equals = start + name.length;
    if (text.charCodeAt(equals) !== EQUALS || !text.startsWith(name, start)) return undefined;
    const end = text.indexOf("&", equals);
    const next = end < 0 ? text.length : end;
    values.push(decoded(text.slice(equals + 1, next)));
    start = next + 1;
  }
  return start > text.length ? values : undefined;
}

const EQUALS = "=".charCodeAt(0);

function plainPairs(text: string): FormParams {
  const pairs: [name: string, value: string][] = [];
  for (let start = 0; start <= text.length; ) {
    const end = text.indexOf("&", start);
    const next = end < 0 ? text.length : end;
    if (next > start) {
      const equals = text.indexOf("=", start);
      const split = equals < 0 || equals > next ? next : equals;
      pairs.push([decoded(text.slice(start, split)), decoded(text.slice(Math.min(split + 1, next), next))]);
    }
    start = next + 1;
  }
  return formOf(pairs);
}

function decoded(text: string): string {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  return spaced.includes("%") ? decodeURIComponent(spaced) : spaced;
}

function anyPairs(text: string): FormParams {
  // URLSearchParams would take a leading `?` for the start of a query; an empty pair before it prevents that.
  return formOf([...new URLSearchParams(`&${text}`)]);
}

function formOf(pairs: readonly (readonly [name: string, value: string])[]): FormParams {
  const shape = shapeOf(pairs.map(([name]) => name));
  return new FormParams(
    shape,
    pairs.map(([, value]) => value),
  );
}

/** The shape of these names, remembered where each of them stands for itself. */
function shapeOf(names: readonly string[]): Shape {
  if (names.length === 0 || names.length > MAX_NAMES || !names.every((name) => PLAIN_NAME.test(name)))
    return { names, places: placesOf(names) };
  // A piece of a text holds on to all of it, so what is kept are copies.
  const copies = names.map((name) => [...name].join(""));
  const shape = { names: copies, places: placesOf(copies) };
  shapes.unshift(shape);
  shapes.splice(MAX_SHAPES);
  return shape;
}

function placesOf(names: readonly string[]): Shape["places"] {
  const places = new Map<string, number[]>();
  for (const [place, name] of names.entries()) {
    const known = places.get(name);
    if (known === undefined) places.set(name, [place]);
    else known.push(place);
  }
  return places;
}

/** Of the forms that came last: texts with and without pictures, callbacks. */
const shapes: Shape[] = [];
const MAX_SHAPES = 4;
const MAX_NAMES = 64;
/** One that stands for itself. */
const PLAIN_NAME = /^[A-Za-z0-9_]{1,64}$/;

const UTF_8 = new TextDecoder("utf-8", { ignoreBOM: true });
