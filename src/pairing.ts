import type { RandomBytes } from "./ids.ts";

/** No I, L, O, 0 or 1: what is read off a screen and typed on a phone must not be ambiguous. */
const SYMBOLS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789";
const LENGTH = 8;

export const PAIRING_TTL = 10 * 60_000;
export const ATTEMPT_WINDOW = 10 * 60_000;
export const MAX_ATTEMPTS = 5;
export const LOCK_TIME = 60 * 60_000;

/** A pending code of a channel. `code` is shown as `XXXX-XXXX`. */
export interface Pairing {
  readonly id: string;
  readonly channel: string;
  readonly code: string;
  readonly createdAt: number;
  readonly expiresAt: number;
}

export interface PairedAddress {
  readonly channel: string;
  readonly address: string;
  readonly label?: string;
  readonly pairedAt: number;
}

/** Draws a code without bias: bytes that would favour the first symbols are thrown away. */
export function newPairingCode(random: RandomBytes): string {
  const limit = 256 - (256 % SYMBOLS.length);
  let code = "";
  while (code.length < LENGTH) {
    for (const byte of random(LENGTH)) {
      if (byte < limit && code.length < LENGTH) code += SYMBOLS[byte % SYMBOLS.length];
    }
  }
  return `${code.slice(0, 4)}-${code.slice(4)}`;
}

/**
 * The code in a body that holds nothing else, in its shown form; undefined for any other body. Case, spaces
 * and hyphens do not matter.
 */
export function pairingCodeIn(body: string): string | undefined {
  if (body.length > 64) return undefined;
  const written = body.replace(/[\s\u00a0\u200b\u2010-\u2015-]/g, "");
  // Letters of other scripts have capitals among ours: ſ is no S.
  if (written.length !== LENGTH || !/^[A-Za-z0-9]+$/.test(written)) return undefined;
  const bare = written.toUpperCase();
  for (const symbol of bare) if (!SYMBOLS.includes(symbol)) return undefined;
  return `${bare.slice(0, 4)}-${bare.slice(4)}`;
}

/**
 * Compares a texted code with the pending one in constant time, and only while it is valid.
 * Both are in shown form.
 */
export function redeems(pairing: Pairing | undefined, code: string, now: number): pairing is Pairing {
  if (pairing === undefined || now >= pairing.expiresAt) return false;
  let difference = pairing.code.length ^ code.length;
  for (let i = 0; i < pairing.code.length; i++) difference |= pairing.code.charCodeAt(i) ^ code.charCodeAt(i);
  return difference === 0;
}

/**
 * An `sms:` link that opens the phone's composer with number and code filled in; for WhatsApp a wa.me link.
 * RFC 5724 has `?body=`, which Android and current iOS both take.
 */
export function pairingLink(number: string, code: string): string {
  if (number.startsWith("whatsapp:")) return `https://wa.me/${number.slice(10)}?text=${code}`;
  return `sms:${number}?body=${code}`;
}
