import { lookup } from "node:dns/promises";
import type { Carrier } from "../carrier.ts";
import { type Clock, sleep } from "../clock.ts";
import type { Log } from "../log.ts";
import type { MediaOutcome } from "../media.ts";
import type { ChannelSettings } from "../settings.ts";
import { networkFailure } from "./network.ts";
import { isLoopback, isPrivateHost } from "./private-host.ts";
import { authorizationOf, type Fetch } from "./rest.ts";
import { mediaUrl } from "./urls.ts";

export interface MediaFetchSeams {
  readonly settings: Pick<ChannelSettings, "id" | "provider" | "account">;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly log: Log;
  /** The addresses of a host name; rejects where it has none. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

/** For one file, redirects and second try included, milliseconds. */
const TIMEOUT = 15_000;
/** Twilio sends on to its CDN, and that may send on to its storage. */
const MAX_REDIRECTS = 2;
/** A file may be there a moment after its text; ms until the second and last try. */
const RETRY_AFTER = 1_000;

/**
 * Fetches what came with a text. The credentials go into the one request to `api_url` and into nothing that
 * follows. A redirect leads over https to a public host, or nowhere: a media resource cannot make us call
 * machines of our own network. Only where `api_url` itself is plain http on loopback may it lead to loopback.
 */
export function createMediaFetch(seams: MediaFetchSeams): Carrier["fetchMedia"] {
  const { settings, clock, log, resolve = addressesOf } = seams;
  const { account } = settings;

  async function load(start: string, maxBytes: number, signal: AbortSignal): Promise<Attempt> {
    let url = start;
    for (let redirects = 0; ; redirects++) {
      const response = await seams.fetch(url, requestInit(url === start && redirects === 0, signal));
      if (!REDIRECTS.has(response.status)) return read(response, maxBytes);
      discard(response);
      if (redirects === MAX_REDIRECTS) return failed("it is redirected too often");
      const location = response.headers.get("location") ?? "";
      if (location === "" || !URL.canParse(location, url)) return failed("it is redirected to nowhere");
      const next = new URL(location, url);
      next.username = next.password = "";
      if (!(await mayFollow(next))) {
        log.warn("twilio.media_redirect", { channel: settings.id, host: next.host });
        return failed("it is redirected to a place that is not asked");
      }
      url = next.href;
    }
  }

  function requestInit(ownApi: boolean, signal: AbortSignal): RequestInit {
    const init: BunFetchRequestInit = {
      // Compressed bodies are refused: a small one can be a large one.
      headers: {
        "accept-encoding": "identity",
        ...(ownApi ? { authorization: authorizationOf(account) } : {}),
      },
      decompress: false,
      redirect: "manual",
      signal,
    };
    return init;
  }

  async function mayFollow(next: URL): Promise<boolean> {
    const api = new URL(account.apiUrl);
    const local = api.protocol === "http:" && isLoopback(api.hostname);
    if (local && isLoopback(next.hostname)) {
      // Where the phones are simulated, the callers of our own API choose where a redirect leads.
      const port = settings.provider !== "simulator" || next.port === api.port;
      return port && (next.protocol === "http:" || next.protocol === "https:");
    }
    if (next.protocol !== "https:" || settings.provider === "simulator") return false;
    if (isPrivateHost(api.hostname)) return true;
    if (isPrivateHost(next.hostname)) return false;
    // A name that cannot be looked up here may be known to a proxy; else the request fails by itself.
    const addresses = await resolve(next.hostname).catch(() => []);
    return !addresses.some(isPrivateHost);
  }

  async function attempt(url: string, maxBytes: number, signal: AbortSignal): Promise<Attempt> {
    try {
      return await load(url, maxBytes, signal);
    } catch (error) {
      if (signal.aborted) return failed("it took too long");
      log.debug("twilio.media_failed", { reason: networkFailure(error, new URL(url).host).reason });
      return failed("the carrier could not be reached", true);
    }
  }

  return async (given, maxBytes, signal) => {
    const url = mediaUrl(account, given);
    if (url === undefined) return { kind: "failed", reason: "it does not lie at the carrier" };
    const abort = new AbortController();
    const cancel = clock.after(TIMEOUT, () => abort.abort());
    const onAbort = () => abort.abort();
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    const called = clock.now();
    // A body that never ends must not hold up the turn, whatever the fetch does with its signal.
    const over = new Promise<Attempt>((done) => {
      const late = () => done(failed("it took too long"));
      if (abort.signal.aborted) late();
      abort.signal.addEventListener("abort", late, { once: true });
    });
    try {
      let outcome = await Promise.race([attempt(url, maxBytes, abort.signal), over]);
      if (outcome.kind === "failed" && outcome.again) {
        await sleep(clock, RETRY_AFTER, abort.signal).catch(() => {});
        outcome = await Promise.race([attempt(url, maxBytes, abort.signal), over]);
      }
      const ms = clock.now() - called;
      if (outcome.kind === "loaded") {
        log.debug("twilio.media", {
          channel: settings.id,
          path: new URL(url).pathname,
          bytes: outcome.bytes.byteLength,
          ms,
        });
        return outcome;
      }
      log.warn("twilio.media", {
        channel: settings.id,
        path: new URL(url).pathname,
        reason: outcome.reason,
        ms,
      });
      return { kind: "failed", reason: outcome.reason };
    } finally {
      cancel();
      abort.abort();
      signal.removeEventListener("abort", onAbort);
    }
  };
}

type Attempt =
  | Extract<MediaOutcome, { kind: "loaded" }>
  | { readonly kind: "failed"; readonly reason: string; readonly again: boolean };

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Reads the body, and stops at the first byte that is too many. */
async function read(response: Response, maxBytes: number): Promise<Attempt> {
  const { status } = response;
  if (status !== 200) {
    discard(response);
    if (status === 401 || status === 403) return failed("the carrier does not give it out");
    if (status === 410) return failed("the carrier no longer has it");
    if (status === 404) return failed("the carrier does not have it", true);
    return failed(`the carrier answers ${status}`, status === 429 || status >= 500);
  }
  const encoding = response.headers.get("content-encoding") ?? "identity";
  if (encoding.trim().toLowerCase() !== "identity") {
    discard(response);
    return failed("it came compressed");
  }
  if (Number(response.headers.get("content-length") ?? 0) > maxBytes) {
    discard(response);
    return failed("it is too large");
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  for (let step = await reader?.read(); step !== undefined && !step.done; step = await reader?.read()) {
    size += step.value.byteLength;
    if (size > maxBytes) {
      reader?.cancel().catch(() => {});
      return failed("it is too large");
    }
    chunks.push(step.value);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return { kind: "loaded", bytes };
}

function failed(reason: string, again = false): Extract<Attempt, { kind: "failed" }> {
  return { kind: "failed", reason, again };
}

function discard(response: Response): void {
  response.body?.cancel().catch(() => {});
}

async function addressesOf(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
