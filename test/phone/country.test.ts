import { expect, test } from "bun:test";
import fc from "fast-check";
import { countryOf } from "../../src/phone/country.ts";

test.each([
  ["a German mobile number", "+4915112345678", "DE"],
  ["an American number", "+12124567890", "US"],
  ["a Canadian number", "+14164671234", "CA"],
  ["a Jamaican number", "+18764567890", "JM"],
  ["a number of Puerto Rico", "+17875551234", "PR"],
  ["an example number", "+15551234567", "US"],
  ["a British number", "+442079460000", "GB"],
  ["a number of Jersey", "+441534123456", "JE"],
  ["a Russian number", "+79161234567", "RU"],
  ["a Kazakh number", "+77012345678", "KZ"],
  ["an Italian number", "+393331234567", "IT"],
  ["a number of the Vatican", "+3906698123", "VA"],
  ["a number too short for its country", "+4912345678", "DE"],
  ["a number outside the ranges of a shared code", "+262999999999", "RE"],
  ["a WhatsApp sender", "whatsapp:+4915112345678", "DE"],
  ["an international freephone number", "+80012345678", ""],
  ["a satellite phone", "+870773111632", ""],
  ["an unassigned calling code", "+9991234567", ""],
  ["a short code", "22000", ""],
  ["an alphanumeric sender", "MYBANK", ""],
  ["an RCS agent", "rcs:brand_agent", ""],
  ["nothing", "", ""],
])("the country of %s", (_, address, country) => {
  expect(countryOf(address)).toBe(country);
});

test("is two capital letters or nothing, whatever the address", () => {
  const address = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.stringMatching(/^\+[1-9][0-9]{6,14}$/),
    fc.stringMatching(/^(whatsapp|rcs):\+[1-9][0-9]{3,16}$/),
  );
  fc.assert(
    fc.property(address, (value) => /^([A-Z]{2})?$/.test(countryOf(value))),
    { numRuns: 500 },
  );
});
