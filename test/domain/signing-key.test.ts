import { expect, test } from "bun:test";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { signingKeys } from "../../src/signing-key.ts";

const base64ish = fc.string({
  unit: fc.constantFrom(..."ABCabc019+/=", "-", "_", " ", "ü"),
  maxLength: 14,
});
const at = new Date(1_700_000_000_000);

/** The signature of the library's own reading of a secret; undefined where it takes none from it. */
function ofLibrary(secret: string): string | undefined {
  try {
    return new Webhook(secret).sign("id", at, "body");
  } catch {
    return undefined;
  }
}

const signatures = (secret: string) =>
  signingKeys(secret).map((key) => new Webhook(key, { format: "raw" }).sign("id", at, "body"));

test("the first key of a secret is the one the Standard Webhooks library reads from it, where it reads one", () => {
  fc.assert(
    fc.property(fc.boolean(), base64ish, (prefixed, text) => {
      // The library passes over a surplus last character, whatever it is.
      fc.pre(text.replace(/=+$/, "").length % 4 !== 1);
      const secret = prefixed ? `whsec_${text}` : text;
      const expected = ofLibrary(secret);
      if (expected !== undefined) expect(signatures(secret)[0]).toBe(expected);
      else if (prefixed) expect(signingKeys(secret)).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});

test("a secret without whsec_ is always a key as it is, too", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (secret) => {
      fc.pre(!secret.startsWith("whsec_"));
      expect(signingKeys(secret).at(-1)).toEqual(new TextEncoder().encode(secret));
    }),
  );
});
