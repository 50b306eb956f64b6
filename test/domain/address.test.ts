import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { addressKind, isSendable, numberOf, redactAddress, redactNumbers } from "../../src/address.ts";

describe("addresses", () => {
  test("have a kind", () => {
    expect(addressKind("+15551234567")).toBe("mobile");
    expect(addressKind("22000")).toBe("shortcode");
    expect(addressKind("MYBANK")).toBe("alphanumeric");
    expect(addressKind("My Bank 24")).toBe("alphanumeric");
    expect(addressKind("whatsapp:+15551234567")).toBe("whatsapp");
    expect(addressKind("rcs:brand_agent")).toBe("rcs");
    for (const none of ["", "whatsapp:MYBANK", "a\nb", "+0123", "sip:a@b"])
      expect(addressKind(none)).toBeUndefined();
  });

  test("of names cannot be sent to", () => {
    expect(isSendable("MYBANK")).toBe(false);
    expect(isSendable("22000")).toBe(true);
  });

  test("carry a number only where there is one", () => {
    expect(numberOf("whatsapp:+15551234567")).toBe("+15551234567");
    expect(numberOf("22000")).toBeUndefined();
  });

  test("are redacted so that the middle cannot be told", () => {
    expect(redactAddress("+15551234567")).toBe("+1555***4567");
    expect(redactAddress("whatsapp:+15551234567")).toBe("whatsapp:+1555***4567");
    expect(redactAddress("22000")).toBe("2***0");
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 40 }), (address) => {
        const redacted = redactAddress(address);
        expect(redacted).toContain("***");
        expect(redacted).not.toBe(address);
      }),
    );
  });
});

test("sentences keep everything but whole numbers, however people write them", () => {
  for (const [given, kept] of [
    ["found whatsapp:+15557654321, write +15557654321", "found whatsapp:+1555***4321, write +1555***4321"],
    ["found +1 (555) 765-4321 here", "found +1555***4321 here"],
    ["found 15557654321 here", "found 1***1 here"],
    [
      "SM00000000000000000000000015557654321 at 2026-11-21T16:55:39.123Z",
      "SM00000000000000000000000015557654321 at 2026-11-21T16:55:39.123Z",
    ],
    ["error 21211 of 127.0.0.1:43215, 1 + 20 tries", "error 21211 of 127.0.0.1:43215, 1 + 20 tries"],
  ] as const)
    expect(redactNumbers(given)).toBe(kept);
});
