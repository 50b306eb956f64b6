/**
 * Phone addresses as carriers write them: `+15551234567`, a short code `22000`, an alphanumeric sender
 * `MYBANK`, and the same with a channel prefix (`whatsapp:+1555…`, `rcs:…`).
 */
export type AddressKind = "mobile" | "shortcode" | "alphanumeric" | "whatsapp" | "rcs";

const E164 = /^\+[1-9]\d{6,14}$/;
const SHORT_CODE = /^\d{3,8}$/;
const ALPHANUMERIC = /^(?=.*[A-Za-z])[A-Za-z0-9 &._+-]{1,11}$/;

/** The kind of `address`, or undefined when it is none that a carrier sends. */
export function addressKind(address: string): AddressKind | undefined {
  if (address.startsWith("whatsapp:")) return E164.test(address.slice(9)) ? "whatsapp" : undefined;
  if (address.startsWith("rcs:")) return /^rcs:[^\s]{1,100}$/.test(address) ? "rcs" : undefined;
  if (E164.test(address)) return "mobile";
  if (SHORT_CODE.test(address)) return "shortcode";
  return ALPHANUMERIC.test(address) ? "alphanumeric" : undefined;
}

/** An address something can be sent to: `+E164` or `whatsapp:+E164`; short codes and RCS agents included. */
export function isSendable(address: string): boolean {
  const kind = addressKind(address);
  return kind !== undefined && kind !== "alphanumeric";
}

/** True for an E.164 number, the only form a sender of ours may have besides its `whatsapp:` form. */
export function isE164(address: string): boolean {
  return E164.test(address);
}

/** The E.164 number inside an address, where it has one. */
export function numberOf(address: string): string | undefined {
  const bare = address.replace(/^(whatsapp|rcs):/, "");
  return E164.test(bare) ? bare : undefined;
}

/**
 * The form for logs and for denied senders: `+1555***4567`. The shorter an address, the less of it is kept, so
 * that a short number, a short code or a name cannot be told either.
 */
export function redactAddress(address: string): string {
  const colon = address.indexOf(":");
  const prefix = colon > 0 && colon < 10 ? address.slice(0, colon + 1) : "";
  const bare = address.slice(prefix.length);
  if (bare.startsWith("+") && bare.length >= 12) return `${prefix}${bare.slice(0, 5)}***${bare.slice(-4)}`;
  if (bare.startsWith("+") && bare.length >= 9) return `${prefix}${bare.slice(0, 3)}***${bare.slice(-2)}`;
  if (bare.length >= 4) return `${prefix}${bare.slice(0, 1)}***${bare.slice(-1)}`;
  return `${prefix}***`;
}

/** With plus, as people write it too: `+1 (555) 123-4567`. Without it, digits alone and as many as a whole number has. */
const NUMBER_IN_TEXT = /\+\(?\d(?:[ ().-]{0,2}\d){6,14}|(?<![\w.-])\d{10,15}(?![\w.-]?\w)/g;

/** A sentence of ours with every full number in it redacted, for the log. */
export function redactNumbers(text: string): string {
  return text.replace(NUMBER_IN_TEXT, (found) => redactAddress(found.replace(/[ ().-]/g, "")));
}
