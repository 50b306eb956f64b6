/**
 * What of a question the policies can tell apart. Everything else is left out of the request, so that
 * questions which no policy distinguishes become one request, asked of Cedar once (engine.ts).
 */
import { attributeRead, comparison, member, nodes, variable } from "./expression.ts";

export interface Reads {
  readonly now: boolean;
  readonly pairedAddresses: boolean;
  /** `mode` or `provider` of a channel. */
  readonly channelAttributes: boolean;
  /**
   * The addresses that make a difference, when addresses are only ever compared with literals; undefined when
   * they are read in any other way (`like`, looked up in the paired ones).
   */
  readonly addresses: ReadonlySet<string> | undefined;
}

export function readsOf(trees: readonly unknown[]): Reads {
  const attributes = new Set<string>();
  const addresses = new Set<string>();
  let compared = 0;
  let read = 0;
  let whole = false;
  for (const [key, value] of nodes(trees)) {
    const attribute = key === "." ? member(value, "attr") : undefined;
    if (typeof attribute === "string") attributes.add(attribute);
    if (attribute === "address") read++;
    const found = comparison(key, value);
    if (found?.attribute === "address") {
      compared++;
      for (const literal of found.literals) if (typeof literal === "string") addresses.add(literal);
    }
    // A record used as a whole (`resource.sender == {…}`) reads all that is in it.
    for (const part of key === "." || key === "has" ? [] : parts(value))
      if (variable(part) === "context" || attributeRead(part) === "sender") whole = true;
  }
  return {
    now: whole || attributes.has("now"),
    pairedAddresses: whole || attributes.has("paired_addresses"),
    channelAttributes: attributes.has("mode") || attributes.has("provider"),
    addresses: whole || read !== compared ? undefined : addresses,
  };
}

/** The operands directly under a node. */
function parts(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return typeof value === "object" && value !== null ? Object.values(value) : [];
}
