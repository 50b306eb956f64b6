import { createHash, timingSafeEqual } from "node:crypto";
import type { FormParams } from "./form.ts";

/**
 * `X-Twilio-Signature`: base64(HMAC-SHA1(auth token, URL + every parameter's name and value)), after
 * https://www.twilio.com/docs/usage/security. A JSON body is not in the signed text; its SHA-256 is, as
 * `bodySHA256` in the URL's query.
 */
export type SignedPayload =
  | { readonly kind: "form"; readonly params: FormParams }
  | { readonly kind: "body"; readonly body: string | Uint8Array };

/**
 * True when `header` is the signature of `payload` under one of `tokens` at one of `urls`. An absent or empty
 * header, and an empty token, never verify. Takes constant time in how much of the signature is right.
 */
export function verify(
  header: string | null | undefined,
  urls: readonly string[],
  payload: SignedPayload,
  tokens: readonly (string | undefined)[],
): boolean {
  if (header === null || header === undefined || header === "") return false;
  for (const tail of signedTails(payload)) {
    for (const token of tokens) {
      if (token === undefined || token === "") continue;
      for (const url of urls) {
        if (payload.kind === "body" && !bodyMatches(url, payload.body)) continue;
        if (sameSignature(hmac(token, url + tail), header)) return true;
      }
    }
  }
  return false;
}

/** The signature Twilio would send for these form parameters at `url`. */
export function sign(token: string, url: string, params: FormParams): string {
  return hmac(token, url + canonical(params, true));
}

/**
 * The URLs Twilio may have signed for a request to `path` (canonical, without a proxy's prefix) with `query`
 * (as sent, byte for byte, without the `?`; empty when there is none). They come from the configured
 * `publicUrl` alone, never from the request's own host: as written, without its port, and with the port its
 * scheme implies. User name, password, query and fragment of `publicUrl` are not part of what is signed.
 * Empty when `publicUrl` is no absolute URL.
 */
export function signedUrls(publicUrl: string, path: string, query: string): readonly string[] {
  const parts = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)/i.exec(publicUrl);
  if (parts === null) return [];
  const [, scheme = "", authority = "", prefix = ""] = parts;
  const hostPort = authority.slice(authority.lastIndexOf("@") + 1);
  // A colon inside the brackets of an IPv6 address starts no port.
  const colon = hostPort.indexOf(":", hostPort.lastIndexOf("]") + 1);
  const host = colon < 0 ? hostPort : hostPort.slice(0, colon);
  const rest = prefix.replace(/\/+$/, "") + path + (query === "" ? "" : `?${query}`);
  const implied = scheme.toLowerCase() === "https" ? ":443" : ":80";
  const ports = colon < 0 ? ["", implied] : [hostPort.slice(colon), ""];
  const urls = ports.map((port) => `${scheme}://${host}${port}${rest}`);
  const lower = `${scheme}://${host}`.toLowerCase();
  if (lower === `${scheme}://${host}`) return urls;
  return [...urls, ...ports.map((port) => lower + port + rest)];
}

function hmac(token: string, text: string): string {
  return new Bun.CryptoHasher("sha1", token).update(text).digest("base64");
}

/** SHA-1 as base64. */
const SIGNATURE_BYTES = 28;
/** Written anew for each comparison: to make two buffers of each request takes longer than to compare them. */
const right = Buffer.alloc(SIGNATURE_BYTES);
const given = Buffer.alloc(SIGNATURE_BYTES);

function sameSignature(computed: string, header: string): boolean {
  if (header.length !== SIGNATURE_BYTES) return false;
  // Fewer bytes are written where the last character has no room, and the rest would be of the request before.
  if (given.write(header, "utf8") !== SIGNATURE_BYTES) return false;
  if (right.write(computed, "utf8") !== SIGNATURE_BYTES) return false;
  return timingSafeEqual(right, given);
}

function equal(left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}

function bodyMatches(url: string, body: string | Uint8Array): boolean {
  const query = url.slice(url.indexOf("?") + 1);
  const expected = new URLSearchParams(query).get("bodySHA256");
  if (!url.includes("?") || expected === null) return false;
  const hash = createHash("sha256").update(body).digest("hex");
  return equal(Buffer.from(hash, "utf8"), Buffer.from(expected.toLowerCase(), "utf8"));
}

/**
 * What follows the URL in the signed text. Names (and the values of a repeated name) are sorted by their
 * bytes. Twilio's own libraries disagree where characters outside the BMP are among them: some sort by bytes,
 * some by UTF-16 units. Only then there are two forms, and either is accepted.
 */
function signedTails(payload: SignedPayload): readonly string[] {
  if (payload.kind === "body") return [""];
  const { params } = payload;
  return ordersDiffer(params) ? [canonical(params, true), canonical(params, false)] : [inOrder(params)];
}

function canonical(params: FormParams, byBytes: boolean): string {
  let text = "";
  for (const name of sorted([...params.keys()], byBytes))
    for (const value of sorted([...new Set(params.get(name))], byBytes)) text += name + value;
  return text;
}

/** As `canonical` by UTF-16 units; the order of names that came before is known. */
function inOrder(params: FormParams): string {
  const { names, values } = params;
  if (params.size < names.length) return canonical(params, false);
  let text = "";
  for (const place of orderOf(names).places) text += (names[place] ?? "") + (values[place] ?? "");
  return text;
}

/** Where the names are, sorted by UTF-16 units. A carrier sends the same ones again and again, so the last is kept. */
function orderOf(names: readonly string[]): Order {
  if (lastOrder.names === names) return lastOrder;
  const places = names
    .map((name, place) => ({ name, place }))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .map(({ place }) => place);
  lastOrder = { names, places, surrogates: names.some(hasSurrogate) };
  return lastOrder;
}

interface Order {
  readonly names: readonly string[];
  readonly places: readonly number[];
  readonly surrogates: boolean;
}

let lastOrder: Order = { names: [], places: [], surrogates: false };

function sorted(texts: string[], byBytes: boolean): string[] {
  return byBytes && texts.some(hasSurrogate) ? texts.sort(compareBytes) : texts.sort();
}

function compareBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left, "utf8"), Buffer.from(right, "utf8"));
}

function ordersDiffer(params: FormParams): boolean {
  if (orderOf(params.names).surrogates) return true;
  return params.size < params.names.length && params.values.some(hasSurrogate);
}

/** UTF-16 order differs from byte order only where a surrogate pair takes part. */
function hasSurrogate(text: string): boolean {
  return /[\ud800-\udfff]/.test(text);
}
