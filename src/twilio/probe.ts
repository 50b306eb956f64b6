import type { Warning } from "../carrier.ts";
import type { Clock } from "../clock.ts";
import { networkFailure } from "./network.ts";
import type { Fetch } from "./rest.ts";

/** What a look at our own public URL found. */
export type ProbeOutcome =
  | { readonly kind: "answers"; readonly warnings: readonly Warning[] }
  | { readonly kind: "silent"; readonly reason: string; readonly fix: string };

export interface ProbeSeams {
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** Milliseconds. */
  readonly timeout?: number;
}

const TIMEOUT = 5_000;

/** What a gateway or tunnel answers when it stands before nothing: 502–504, Cloudflare's 52x and 530. */
const GATEWAY_STATUS = /^(50[234]|52\d|530)$/;

const FIX =
  "Start the tunnel or reverse proxy for server.public_url and see that it forwards to server.listen; it is tried again by itself.";

/**
 * Asks `<publicUrl>/healthz` from here, as Twilio would from outside. A home router may refuse to route its
 * own public address from within; the fix says so, since then only the view from outside tells.
 */
export async function probePublicUrl(
  publicUrl: string,
  signal: AbortSignal,
  seams: ProbeSeams,
): Promise<ProbeOutcome> {
  const { fetch, clock, timeout = TIMEOUT } = seams;
  if (!URL.canParse(publicUrl))
    return {
      kind: "silent",
      reason: "server.public_url is no URL",
      fix: "Write it as https://sms.example.com.",
    };
  const url = new URL(publicUrl);
  const shown = `${url.origin}${url.pathname.replace(/\/+$/, "")}/healthz`;
  const abort = new AbortController();
  let timedOut = false;
  const cancel = clock.after(timeout, () => {
    timedOut = true;
    abort.abort();
  });
  const onAbort = () => abort.abort();
  if (signal.aborted) abort.abort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const response = await fetch(shown, {
      redirect: "manual",
      signal: abort.signal,
      keepalive: false,
      ...(url.username === "" ? {} : { headers: { authorization: basic(url) } }),
    });
    await response.body?.cancel();
    return judge(response, shown);
  } catch (error) {
    if (timedOut)
      return {
        kind: "silent",
        reason: `The public URL does not answer: no answer from ${shown} within ${timeout / 1000} s.`,
        fix: FIX,
      };
    const failure = networkFailure(error, url.host);
    return {
      kind: "silent",
      reason: `The public URL does not answer: ${failure.reason}.`,
      fix: `${FIX} ${HAIRPIN}`,
    };
  } finally {
    cancel();
    signal.removeEventListener("abort", onAbort);
  }
}

const HAIRPIN =
  "If it can be reached from outside but not from this network, let the router or DNS resolve it here too.";

function judge(response: Response, shown: string): ProbeOutcome {
  const { status } = response;
  // ngrok's edge answers 404 for a tunnel that is down, and says so in a header.
  const ngrok = response.headers.get("ngrok-error-code");
  if (status >= 500 || ngrok !== null) {
    const what = GATEWAY_STATUS.test(String(status)) || ngrok !== null ? "A gateway" : "Something";
    return {
      kind: "silent",
      reason: `The public URL does not reach this service: ${what.toLowerCase()} answers ${status}${
        ngrok === null ? "" : ` (${ngrok.slice(0, 40)})`
      } at ${shown}.`,
      fix: FIX,
    };
  }
  if (status >= 300)
    return {
      kind: "answers",
      warnings: [
        {
          detail: `${shown} answers ${status} instead of 200: a login page, a redirect or another server may stand in the way of Twilio's webhooks.`,
          fix: "Let the proxy or tunnel pass /healthz and /webhooks/ on to server.listen as they are, with no login and no redirect before them, or correct server.public_url.",
        },
      ],
    };
  return { kind: "answers", warnings: [] };
}

function basic(url: URL): string {
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return `Basic ${Buffer.from(pair, "utf8").toString("base64")}`;
}
