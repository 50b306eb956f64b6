import { type Clock, sleep } from "../clock.ts";
import type { Deadline } from "./deadline.ts";
import type { Fetch } from "./seams.ts";

/** What came back, whatever its status; redirects are not followed. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Requests it took. */
  readonly tries: number;
}

/** No whole answer came: refused, reset, unknown host. `code` as the system names it (`ECONNREFUSED`). */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
  constructor(
    readonly code: string,
    readonly tries: number,
  ) {
    super(`${REASONS[code] ?? code}${triesNote(tries)}`);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was closed before the whole answer came",
  ENOTFOUND: "the host name is not known",
  EHOSTUNREACH: "there is no route to the host",
  ENETUNREACH: "there is no network",
  ETIMEDOUT: "the connection timed out",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its TLS certificate is not trusted (UNABLE_TO_VERIFY_LEAF_SIGNATURE)",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its TLS certificate is self-signed (DEPTH_ZERO_SELF_SIGNED_CERT)",
  CERT_HAS_EXPIRED: "its TLS certificate has expired (CERT_HAS_EXPIRED)",
};

/** `, after 3 tries`: completes a message about the last of several. */
export function triesNote(tries: number): string {
  return tries > 1 ? `, after ${tries} tries` : "";
}

/** The answer is larger than its cap. */
export class OversizedAnswer extends Error {
  override readonly name = "OversizedAnswer";
}

export interface ExchangeOptions {
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly deadline: Deadline;
  /** Bytes, decompressed. */
  readonly maxAnswer: number;
  /** Told before each repetition; `reason` is a status or a system error code. */
  readonly onRetry: (reason: string, delay: number) => void;
}

const MAX_TRIES = 5;
const FIRST_DELAY = 500;

/**
 * POSTs until an answer comes that a repetition would not change: 429, 5xx and an unreachable server are
 * tried again, up to five requests in all, with delays of 0.5 s doubling or what `Retry-After` asks for.
 * Gives up early where the deadline would pass first. `headers` is called for each request.
 *
 * Rejects with Unreachable, OversizedAnswer, or the deadline's reason.
 */
export async function post(
  url: string,
  headers: () => Headers,
  body: string,
  options: ExchangeOptions,
): Promise<Answer> {
  const { deadline } = options;
  for (let tries = 1; ; tries++) {
    deadline.signal.throwIfAborted();
    const outcome = await postOnce(url, headers(), body, tries, options);
    if (outcome instanceof OversizedAnswer) throw outcome;
    const unreachable = outcome instanceof Unreachable;
    const passing = unreachable || outcome.status === 429 || outcome.status >= 500;
    const asked = unreachable ? 0 : retryAfter(outcome.headers, options.clock.now());
    const delay = Math.max(FIRST_DELAY * 2 ** (tries - 1), asked);
    if (!passing || tries === MAX_TRIES || delay >= deadline.remaining()) {
      if (unreachable) throw outcome;
      return outcome;
    }
    options.onRetry(unreachable ? outcome.code : String(outcome.status), delay);
    await sleep(options.clock, delay, deadline.signal);
  }
}

async function postOnce(
  url: string,
  headers: Headers,
  body: string,
  tries: number,
  { fetch, deadline, maxAnswer }: ExchangeOptions,
): Promise<Answer | Unreachable | OversizedAnswer> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body,
      redirect: "manual",
      timeout: false,
      signal: deadline.signal,
    });
    const answered = await readAtMost(response, maxAnswer);
    return { status: response.status, headers: response.headers, body: answered, tries };
  } catch (error) {
    deadline.signal.throwIfAborted();
    if (error instanceof OversizedAnswer) return error;
    return new Unreachable(errorCode(error), tries);
  }
}

async function readAtMost(response: Response, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > limit) throw new OversizedAnswer(`the answer is larger than ${limit / 1024} KiB`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

export function errorCode(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return error instanceof Error ? error.message.slice(0, 200) : String(error);
}

/** Milliseconds the server asks to wait: `retry-after-ms` (OpenAI's), or `Retry-After` as seconds or a date. */
function retryAfter(headers: Headers, now: number): number {
  const exact = Number(headers.get("retry-after-ms") ?? Number.NaN);
  if (Number.isFinite(exact)) return Math.max(0, exact);
  const value = headers.get("retry-after") ?? "";
  const asked = /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now;
  return Number.isFinite(asked) ? Math.max(0, asked) : 0;
}
