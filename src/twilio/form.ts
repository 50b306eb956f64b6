/** Parameters of a form body in the order they came; a repeated name has all its values, blank ones included. */
export type FormParams = ReadonlyMap<string, readonly string[]>;

/**
 * Reads `application/x-www-form-urlencoded` as https://url.spec.whatwg.org does: `+` is a space, `%2B` a plus,
 * percent-encoded bytes are decoded together as UTF-8 (what is no UTF-8 becomes U+FFFD). Never fails.
 */
export function parseForm(body: string | Uint8Array): FormParams {
  const text = typeof body === "string" ? body : new TextDecoder("utf-8", { ignoreBOM: true }).decode(body);
  const params = new Map<string, string[]>();
  // URLSearchParams would take a leading `?` for the start of a query; an empty pair before it prevents that.
  for (const [name, value] of new URLSearchParams(`&${text}`)) {
    const values = params.get(name);
    if (values === undefined) params.set(name, [value]);
    else values.push(value);
  }
  return params;
}

/** The first value of `name`, undefined when the name did not come at all. */
export function first(params: FormParams, name: string): string | undefined {
  return params.get(name)?.[0];
}
