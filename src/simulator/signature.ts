import { createHmac } from "node:crypto";

/** Form parameters in the order in which they are sent; a name may occur more than once. */
export type Parameters = readonly (readonly [name: string, value: string])[];

/**
 * `X-Twilio-Signature` as the sender makes it: base64(HMAC-SHA1(token, url + name + value …)), names sorted,
 * the values of a repeated name without duplicates and sorted. The receiving side is written on its own in
 * the Twilio adapter, so that a mistake in one of them shows.
 */
export function sign(authToken: string, url: string, parameters: Parameters): string {
  const values = new Map<string, Set<string>>();
  for (const [name, value] of parameters) {
    const known = values.get(name);
    if (known) known.add(value);
    else values.set(name, new Set([value]));
  }
  let data = url;
  for (const name of [...values.keys()].sort()) {
    for (const value of [...(values.get(name) ?? [])].sort()) data += name + value;
  }
  return createHmac("sha1", authToken).update(data, "utf8").digest("base64");
}
