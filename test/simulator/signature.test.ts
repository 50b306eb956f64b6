import { expect, test } from "bun:test";
import fc from "fast-check";
import twilio from "twilio";
import { sign } from "../../src/simulator/signature.ts";

const URL_ = "https://mycompany.com/myapp.php?foo=1&bar=2";
const CALL = [
  ["CallSid", "CA1234567890ABCDE"],
  ["Caller", "+14158675309"],
  ["Digits", "1234"],
  ["From", "+14158675309"],
  ["To", "+18005551212"],
] as const;

test("the known signatures come out", () => {
  expect(sign("12345", URL_, CALL)).toBe("RSOYDt4T1cUTdK1PDd93/VVr8B8=");
  expect(sign("12345", "https://mycompany.com:443/myapp.php?foo=1&bar=2", CALL)).toBe(
    "kvajT1Ptam85bY51eRf/AJRuM3w=",
  );
  expect(sign("12345", "http://mycompany.com:80/myapp.php?foo=1&bar=2", CALL)).toBe(
    "0ZXoZLH/DfblKGATFgpif+LLRf4=",
  );
});

test("the order of parameters does not matter, and values of a repeated name are sorted without duplicates", () => {
  expect(sign("12345", URL_, [...CALL].reverse())).toBe("RSOYDt4T1cUTdK1PDd93/VVr8B8=");
  const repeated = [
    ["Sid", "CA123"],
    ["SidAccount", "AC123"],
    ["Digits", "5678"],
    ["Digits", "1234"],
    ["Digits", "1234"],
  ] as const;
  expect(sign("12345", URL_, repeated)).toBe("IK+Dwps556ElfBT0I3Rgjkr1wJU=");
});

test("whatever is signed, Twilio's own SDK accepts it", () => {
  const name = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => text !== "__proto__");
  fc.assert(
    fc.property(fc.dictionary(name, fc.string({ unit: "grapheme", maxLength: 30 })), (parameters) => {
      const signature = sign("secret", URL_, Object.entries(parameters));
      expect(twilio.validateRequest("secret", signature, URL_, parameters)).toBe(true);
      expect(twilio.validateRequest("other", signature, URL_, parameters)).toBe(false);
    }),
    { numRuns: 100 },
  );
});
