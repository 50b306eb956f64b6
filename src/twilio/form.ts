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
    for (let start = 0; start <= text.length; ) {
      const end = text.indexOf("&", start);
      const next = end < 0 ? text.length : end;
      if (next > start) {
        const equals = text.indexOf("=", start);
        const split = equals < 0 || equals > next ? next : equals;
        add(params, decoded(text.slice(start, split)), decoded(text.slice(Math.min(split + 1, next), next)));
      }
      start = next + 1;
    }
  } catch {
    return undefined;
  }
  return params;
}

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
