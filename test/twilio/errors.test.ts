import { expect, test } from "bun:test";
import { codeMeaning, explainCode, isOptedOut } from "../../src/twilio/errors.ts";

const KNOWN = [
  20003, 20404, 21211, 21212, 21266, 21408, 21606, 21659, 21608, 21610, 21611, 30001, 21612, 21614, 21635,
  30006, 21617, 21620, 21623, 21703, 30002, 30003, 30004, 30005, 30007, 30008, 30022, 30023, 30024, 30032,
  30034, 30035, 30036, 11200, 11205, 11220, 11235, 11237, 12100, 12200, 12300, 63003, 63024, 63007, 63015,
  63016, 63018,
];

test("every code a user of SMS meets has a meaning and a fix of its own", () => {
  for (const code of KNOWN) {
    const known = codeMeaning(code);
    expect(known, String(code)).toBeDefined();
    expect(known?.meaning.length ?? 0, String(code)).toBeGreaterThan(10);
    expect(known?.fix.length ?? 0, String(code)).toBeGreaterThan(10);
    expect(explainCode(code)).toEqual({ code, meaning: known?.meaning ?? "", fix: known?.fix ?? "" });
  }
});

test("a code nobody wrote down is explained with Twilio's words and its page", () => {
  expect(explainCode(12345, "Something odd")).toEqual({
    code: 12345,
    meaning: "Twilio reports error 12345: Something odd",
    fix: "See https://www.twilio.com/docs/api/errors/12345.",
  });
  expect(explainCode(12345).meaning).toBe("Twilio reports error 12345");
});

test("a full queue and a switched-off phone pass by themselves, a landline does not", () => {
  expect(codeMeaning(21611)?.persistence).toBe("later");
  expect(codeMeaning(30003)?.persistence).toBe("later");
  expect(codeMeaning(21614)?.persistence).toBe("permanent");
});

test("only 21610 says that the recipient opted out", () => {
  expect(isOptedOut(21610)).toBe(true);
  expect(isOptedOut(21614)).toBe(false);
  expect(isOptedOut(undefined)).toBe(false);
});
