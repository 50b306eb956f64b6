/** Marks the secret of a webhook that is a key in base64, as Standard Webhooks write it. */
const PREFIX = "whsec_";

/** Why no key can be read from a secret, and what to write. */
export const BAD_SECRET = {
  message: "cannot be used: after whsec_ there must be base64",
  fix: "write whsec_ and a key in base64 (openssl rand -base64 32 makes one), or any other text without that prefix",
} as const;

/**
 * The keys a secret of Standard Webhooks (https://www.standardwebhooks.com) may stand for; a request carries one
 * signature for each, in this order. With `whsec_` it is one key in base64. Without, libraries disagree: some read
 * base64 all the same, others take the text itself, as UTF-8. So it is both where it is base64, and the text
 * where it is not. Empty when no key can be read from it.
 */
export function signingKeys(secret: string): readonly Uint8Array[] {
  const prefixed = secret.startsWith(PREFIX);
  const decoded = decodeBase64(prefixed ? secret.slice(PREFIX.length) : secret);
  const own = prefixed ? [] : [new TextEncoder().encode(secret)];
  return [...(decoded === undefined ? [] : [decoded]), ...own].filter(({ length }) => length > 0);
}

/** Padding may be missing, as the Standard Webhooks library of JavaScript has it. */
function decodeBase64(text: string): Uint8Array | undefined {
  const found = /^([A-Za-z0-9+/]+)={0,2}$/.exec(text)?.[1];
  // One character of four is not even a byte.
  if (found === undefined || text.length < 4 || found.length % 4 === 1) return undefined;
  return Uint8Array.from(atob(found), (char) => char.charCodeAt(0));
}
