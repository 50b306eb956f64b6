import type { Clock } from "./clock.ts";

/** Cryptographically strong random bytes. */
export type RandomBytes = (count: number) => Uint8Array;

/** Makes ids that sort by the time they were made: `msg_` + 26 characters of Crockford's base 32. */
export type NewId = (
  prefix: "msg" | "turn" | "conv" | "pair" | "watch" | "sig" | "tok" | "evt" | "media" | "rem",
) => string;

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * 48 bits of milliseconds, then 80 random bits that are counted up within one millisecond, so that ids of one
 * process are strictly increasing (the ULID layout, https://github.com/ulid/spec). A clock that jumps back
 * does not break the order: the last time seen is kept.
 */
export function createIds(clock: Clock, random: RandomBytes): NewId {
  let last = 0;
  let time = "";
  /** All but the last two symbols, which are most of what changes. */
  let stem = "";
  const tail = new Uint8Array(16);
  return (prefix) => {
    const now = Math.max(clock.now(), last);
    if (now > last) {
      last = now;
      time = "";
      for (let i = 9, rest = last; i >= 0; i--, rest = Math.floor(rest / 32))
        time = ALPHABET[rest % 32] + time;
      const bytes = random(16);
      for (let i = 0; i < 16; i++) tail[i] = (bytes[i] ?? 0) & 31;
      tail[0] = (tail[0] ?? 0) & 15; // room to count up
      stem = "";
    } else {
      for (let i = 15; i >= 0; i--) {
        if (i < 14) stem = "";
        const next = (tail[i] ?? 0) + 1;
        tail[i] = next & 31;
        if (next < 32) break;
      }
    }
    if (stem === "") {
      stem = time;
      for (let i = 0; i < 14; i++) stem += ALPHABET[tail[i] ?? 0];
    }
    return `${prefix}_${stem}${ALPHABET[tail[14] ?? 0]}${ALPHABET[tail[15] ?? 0]}`;
  };
}
