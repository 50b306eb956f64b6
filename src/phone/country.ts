import { parsePhoneNumberFromString } from "libphonenumber-js/core";
import metadata from "libphonenumber-js/min/metadata";
import { numberOf } from "../address.ts";

/** Not a country: numbers that belong to no place (+800 freephone, +870 satellites, …). */
const NOWHERE = "001";

/**
 * The country of a phone address as ISO 3166 alpha-2, or "" where it has none: short codes, alphanumeric
 * senders, non-geographic numbers, unassigned calling codes.
 *
 * Most calling codes belong to one country, which decides alone. Under a shared one (+1, +7, +44, …) the
 * number's range decides, and the main country (US, RU, GB, …) where the number lies in no known range.
 */
export function countryOf(address: string): string {
  const found = known.get(address);
  if (found !== undefined) return found;
  const country = lookUp(address);
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(address, country);
  return country;
}

/** The answers given last: finding one takes longer than all else that is asked about a text's sender. */
const known = new Map<string, string>();
const MAX_KNOWN = 2_000;

function lookUp(address: string): string {
  const number = numberOf(address);
  if (number === undefined) return "";
  const countries = countriesOf(number);
  const main = countries[0];
  if (main === undefined || main === NOWHERE) return "";
  if (countries.length === 1) return main;
  return parsePhoneNumberFromString(number, metadata)?.country ?? main;
}

const BY_CALLING_CODE: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(metadata.country_calling_codes),
);

/** The countries of a number's calling code, the main one first. No calling code begins with another. */
function countriesOf(number: string): readonly string[] {
  for (let digits = 1; digits <= 3; digits++) {
    const countries = BY_CALLING_CODE.get(number.slice(1, 1 + digits));
    if (countries !== undefined) return countries;
  }
  return [];
}
