import { isIPv4, isIPv6 } from "node:net";
import { isE164, isSendable } from "../address.ts";
import { cronProblem } from "../cron.ts";
import { formatDuration, parseDuration } from "../duration.ts";
import { nearest } from "../nearest.ts";
import type { ListenAddress } from "../settings.ts";

/** A value of the file read completely, or what is wrong with it. `fix` begins with a verb: "write …". */
export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string; readonly fix: string };

const right = <T>(value: T): Read<T> => ({ ok: true, value });
const wrong = (message: string, fix: string): { ok: false; message: string; fix: string } => ({
  ok: false,
  message,
  fix,
});

/** Whole milliseconds, from `least` to `most`. */
export function readDuration(value: string | number, least: number, most: number): Read<number> {
  const parsed = parseDuration(value);
  if (!parsed.ok) return parsed;
  if (parsed.ms < least) return wrong("is too short", `write at least ${formatDuration(least)}`);
  if (parsed.ms > most) return wrong("is too long", `write at most ${formatDuration(most)}`);
  return right(parsed.ms);
}

/** A number of ours: `+E164`, or `whatsapp:+E164`. */
export function readSenderNumber(text: string): Read<string> {
  const bare = text.startsWith("whatsapp:") ? text.slice(9) : text;
  if (isE164(bare)) return right(text);
  return wrong("is not a phone number in international form", internationalForm(text));
}

/** An address that can be answered: a number, a WhatsApp address, a short code, an RCS agent. */
export function readAddress(text: string): Read<string> {
  if (isSendable(text)) return right(text);
  if (/[A-Za-z]/.test(text) && !/^(whatsapp|rcs|sms|tel):/i.test(text)) {
    return wrong("is a name, and nothing can be sent to a name", internationalForm(text));
  }
  return wrong("is not a phone number in international form", internationalForm(text));
}

/** Proposes the number with its usual decorations (spaces, dashes, brackets, 00, a missing +) taken off. */
function internationalForm(text: string): string {
  const prefix = /^whatsapp:/i.test(text) ? "whatsapp:" : "";
  const bare = text
    .replace(/^(whatsapp|sms|tel):/i, "")
    .replace(/[\s().\-/]/g, "")
    .replace(/^00/, "+");
  // Without + only what is too long to be a national number.
  const number = bare.startsWith("+") ? bare : bare.length >= 11 ? `+${bare}` : "";
  if (isE164(number)) return `write "${prefix}${number}"`;
  return `write it with + and country code, in quotes: "${prefix}+15551234567"`;
}

/** `host:port` and `[ipv6]:port`; port 0 lets the system choose. */
export function readListen(text: string): Read<ListenAddress> {
  const form = "write host:port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080";
  const bare = text.replace(/^[a-z]+:\/\//i, "").replace(/\/.*$/, "");
  const match = /^(\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(bare);
  const [, host = "", port = ""] = match ?? [];
  const everywhere = (p: string) =>
    `write 127.0.0.1:${p} for this machine alone, or 0.0.0.0:${p} for every network it is in`;
  if (/^\d{1,5}$/.test(text)) return wrong("is a port without a host", everywhere(text));
  if (match !== null && (host === "" || host === "*")) return wrong("has no host", everywhere(port));
  if (match === null) {
    if (isIPv4(bare) || isHostName(bare)) return wrong("has no port", `write ${bare}:8080`);
    const ipv6 = /^(.*):(\d{1,5})$/.exec(bare);
    if (ipv6?.[1] !== undefined && isIPv6(ipv6[1])) {
      return wrong("has an IPv6 address without brackets", `write [${ipv6[1]}]:${ipv6[2]}`);
    }
    if (isIPv6(bare)) return wrong("has no port", `write [${bare}]:8080`);
    return wrong("is not a listen address", form);
  }
  if (Number(port) > 65_535) return wrong("has a port above 65535", form);
  if (bare !== text) return wrong("is a URL", `write ${bare}`);
  if (host.startsWith("[")) {
    const inside = host.slice(1, -1);
    return isIPv6(inside)
      ? right({ host: inside, port: Number(port) })
      : wrong("has no IPv6 address in []", form);
  }
  if (isIPv4(host) || isHostName(host)) return right({ host, port: Number(port) });
  return wrong("has a host that is no address and no name", form);
}

/** A DNS name, not one that is only numbers and dots. */
function isHostName(host: string): boolean {
  if (host.length > 253 || /^[\d.]+$/.test(host)) return false;
  return host.split(".").every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(label));
}

/** True for addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  return bare === "localhost" || bare === "::1" || (isIPv4(bare) && bare.startsWith("127."));
}

/** An http(s) URL without fragment. Kept as written, less slashes at its end. */
export function readUrl(text: string): Read<string> {
  const form = "write a whole URL, such as https://sms.example.com";
  if (/[\s\\]/.test(text)) return wrong("is a URL with a space or backslash in it", form);
  if (!URL.canParse(text) || !/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    const completed = `https://${text}`;
    return wrong(
      "is not a URL",
      /^[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?(\/[^\s?]*)?$/i.test(text) && URL.canParse(completed)
        ? `write ${completed}`
        : form,
    );
  }
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return wrong("is not an http or https URL", form);
  }
  if (text.includes("#")) return wrong("has a fragment (#…)", "write it without the part from # on");
  return right(text.replace(/\/+$/, ""));
}

/**
 * The URL Twilio calls: as `readUrl`, and such that Twilio takes it for a status callback. A fragment is left out, since
 * no request carries one.
 */
export function readPublicUrl(written: string): Read<string> {
  const text = written.replace(/#.*$/s, "");
  const read = readUrl(text);
  if (!read.ok) return read;
  const url = new URL(text);
  const host = text.replace(/^[a-z]+:\/\/([^/?]*@)?/i, "").replace(/[/?].*$/, "");
  if (text.includes("?")) return wrong("has a query (?…)", "write it without the part from ? on");
  if (url.hostname.includes("_")) {
    return wrong(
      "has a host with _ in it, which Twilio refuses for status callbacks",
      "write a host name without _",
    );
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
  if (/[^\x00-\x7F]/.test(host))
    return wrong("has a host that is not ASCII", `write its ASCII form ${url.host}`);
  return read;
}

/** A host as the `Host` header names it, without scheme and port. */
export function readHost(text: string): Read<string> {
  if (isHostName(text) || isIPv4(text)) return right(text.toLowerCase());
  const bare = text.replace(/^[a-z]+:\/\//i, "").replace(/[:/].*$/, "");
  return wrong(
    "is not a host name",
    isHostName(bare) ? `write ${bare}` : "write the name alone, without scheme, port or *",
  );
}

const SID_NAMES: Readonly<Record<string, string>> = {
  AC: "the account's sid",
  SK: "an API key's sid",
  MG: "a Messaging Service's sid",
  PN: "a phone number's sid",
  SM: "a message's sid",
};

/** A Twilio sid: two letters and 32 hexadecimal digits. */
export function readSid(text: string, prefix: "AC" | "SK" | "MG"): Read<string> {
  if (new RegExp(`^${prefix}[0-9a-fA-F]{32}$`).test(text)) return right(text);
  const fix = `write ${SID_NAMES[prefix]}, ${prefix} and 32 hexadecimal digits, from the Twilio console`;
  const other = text.slice(0, 2);
  if (other !== prefix && Object.hasOwn(SID_NAMES, other)) return wrong(`is ${SID_NAMES[other]}`, fix);
  return wrong(`is not ${SID_NAMES[prefix]}`, fix);
}

/** A cron expression of five fields, as written. */
export function readCron(text: string): Read<string> {
  const problem = cronProblem(text);
  return problem === undefined ? right(text.trim()) : wrong(problem.message, problem.fix);
}

/** An IANA time zone this system knows. */
export function readTimezone(text: string): Read<string> {
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    if (/^[A-Za-z]/.test(text)) return right(text);
  } catch {
    // explained below
  }
  const near = nearest(text, Intl.supportedValuesOf("timeZone"));
  return wrong("is not a time zone", `write ${near ?? "an IANA name such as Europe/Berlin or UTC"}`);
}

/** A folder or file. `~` is the shell's, not the system's. */
export function readPath(text: string): Read<string> {
  if (text === "" || text.includes("\0")) return wrong("is not a path", "write a path");
  if (/^~/.test(text))
    return wrong("begins with ~, which only a shell expands", `write \${HOME} or the whole path`);
  return right(text);
}

/** An ISO 4217 code. */
export function readCurrency(text: string): Read<string> {
  if (/^[A-Z]{3}$/.test(text)) return right(text);
  const upper = text.toUpperCase();
  return wrong(
    "is not a currency code",
    `write ${/^[A-Z]{3}$/.test(upper) ? upper : "three capitals such as USD"}`,
  );
}
