import { Webhook } from "standardwebhooks";
import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { PostEvent, PostOutcome } from "../event-webhooks.ts";
import type { WebhookSettings } from "../settings.ts";
import { BAD_SECRET, signingKeys } from "../signing-key.ts";

/** The part of `fetch` that webhooks use. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface PostSeams {
  readonly fetch: Fetch;
  readonly clock: Clock;
}

/** A consumer that has not answered by then has failed, ms. */
const TIMEOUT = 15_000;

/**
 * Posts events signed as Standard Webhooks are (https://www.standardwebhooks.com): `webhook-id` is the event's id, the
 * same on every repetition. What key a secret is says `signingKeys`. Redirects are not followed: the operator has
 * named where events go, and nobody else decides that.
 */
export function createPostEvent({ fetch, clock }: PostSeams): PostEvent {
  return async (webhook, event, signal) => {
    const abort = new AbortController();
    const stop = () => abort.abort(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    const cancel = clock.after(TIMEOUT, () => abort.abort(TIME_OVER));
    try {
      const body = JSON.stringify(event);
      const response = await fetch(webhook.url, {
        method: "POST",
        headers: headersOf(webhook, event.id, body, clock.now()),
        body,
        redirect: "manual",
        signal: abort.signal,
      });
      // What it says is of no use.
      response.body?.cancel().catch(() => {});
      return outcomeOf(response, clock.now());
    } catch (error) {
      return { kind: "failed", reason: reasonOf(error, abort.signal) };
    } finally {
      cancel();
      signal.removeEventListener("abort", stop);
    }
  };
}

const TIME_OVER = new Error(`it did not answer within ${TIMEOUT / 1_000} s`);

function headersOf(webhook: WebhookSettings, id: string, body: string, now: number): Record<string, string> {
  const at = new Date(now);
  return {
    "content-type": "application/json",
    "user-agent": "sms-agent",
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now / 1_000)),
    "webhook-signature": signature(webhook.secret, id, at, body),
  };
}

/** One signature for each key the secret may stand for. */
function signature(secret: string, id: string, at: Date, body: string): string {
  return signingKeys(secret)
    .map((key) => new Webhook(key, { format: "raw" }).sign(id, at, body))
    .join(" ");
}

/** Throws AppError `invalid` where no signature can be made with a webhook's secret. */
export function checkSecrets(webhooks: readonly WebhookSettings[]): void {
  for (const [index, { secret }] of webhooks.entries()) {
    if (signingKeys(secret).length > 0) continue;
    throw new AppError("invalid", "The secret of a webhook cannot be used.", {
      problems: [{ path: `webhooks[${index}].secret`, message: `${BAD_SECRET.message} — ${BAD_SECRET.fix}` }],
    });
  }
}

function outcomeOf(response: Response, now: number): PostOutcome {
  const { status } = response;
  if (status >= 200 && status < 300) return { kind: "ok" };
  if (status === 410) return { kind: "gone" };
  if (status >= 300 && status < 400)
    return { kind: "failed", reason: `it answered ${status}, a redirect, which is not followed` };
  const retryAfter = retryAfterOf(response.headers.get("retry-after"), now);
  return {
    kind: "failed",
    reason: `it answered ${status}`,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
}

/** Seconds, or a date. */
function retryAfterOf(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

/** Without the URL, which may hold a secret. */
function reasonOf(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return signal.reason instanceof Error ? signal.reason.message : "it was stopped";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? `it could not be reached (${code})` : "it could not be reached";
}
