import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { newPairingCode, type Pairing, pairingCodeIn, pairingLink, redeems } from "../../src/pairing.ts";

const random = (count: number) => new Uint8Array(randomBytes(count));
const pairing: Pairing = {
  id: "pair_1",
  channel: "sms",
  code: "ABCD-2345",
  createdAt: 0,
  expiresAt: 600_000,
};

describe("pairing codes", () => {
  test("are eight unambiguous symbols in two groups", () => {
    for (let i = 0; i < 200; i++)
      expect(newPairingCode(random)).toMatch(/^[A-HJ-KM-NP-Z2-9]{4}-[A-HJ-KM-NP-Z2-9]{4}$/);
  });

  test("favour no symbol", () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 4_000; i++)
      for (const symbol of newPairingCode(random).replace("-", ""))
        counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
    expect(counts.size).toBe(31);
    const mean = (4_000 * 8) / 31;
    for (const count of counts.values()) expect(Math.abs(count - mean)).toBeLessThan(mean * 0.25);
  });

  test("are recognised in any case, with spaces and hyphens, alone in the body", () => {
    for (const body of ["ABCD-2345", "abcd2345", " ab cd-23 45 ", "A-B-C-D-2-3-4-5", "abcd–2345"])
      expect(pairingCodeIn(body)).toBe("ABCD-2345");
    for (const body of ["my code is ABCD-2345", "ABCD-234", "ABCD-23450", "ABCD-234O", ""])
      expect(pairingCodeIn(body)).toBeUndefined();
  });

  test("expire at the moment of redemption", () => {
    expect(redeems(pairing, "ABCD-2345", 599_999)).toBe(true);
    expect(redeems(pairing, "ABCD-2345", 600_000)).toBe(false);
  });

  test("are redeemed by nothing but themselves", () => {
    fc.assert(
      fc.property(fc.string(), (body) => {
        const code = pairingCodeIn(body);
        if (code !== undefined && code !== pairing.code) expect(redeems(pairing, code, 1)).toBe(false);
        expect(redeems(pairing, body, 1)).toBe(body === pairing.code);
      }),
    );
  });

  test("fill in the phone's composer by link", () => {
    expect(pairingLink("+15551234567", "ABCD-2345")).toBe("sms:+15551234567?body=ABCD-2345");
    expect(pairingLink("whatsapp:+15551234567", "ABCD-2345")).toBe(
      "https://wa.me/15551234567?text=ABCD-2345",
    );
  });
});
