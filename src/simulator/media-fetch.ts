import type { Log } from "../log.ts";
import type { Ledger, StoredMessage } from "./ledger.ts";
import { MAX_MEDIA_BYTES, type MediaFiles } from "./media.ts";
import type { Fetch } from "./webhook.ts";
import type { Work } from "./work.ts";

/**
 * Fetches the media of an outbound message before it is sent, as Twilio does, and keeps them. Resolves to the
 * error code the message fails with, or undefined. Only URLs that `allowed` admits are fetched: the service
 * that carries a simulator inside must not fetch what a model or an API caller names.
 */
export type FetchOutboundMedia = (message: StoredMessage) => Promise<number | undefined>;

const TIMEOUT = 15_000;
/** HTTP retrieval failure; media too large for the network; WhatsApp could not download the media. */
const UNREACHABLE = 11_200;
const TOO_LARGE = 11_751;
const WHATSAPP_UNREACHABLE = 63_019;

export function createMediaFetch(options: {
  readonly fetch: Fetch;
  readonly work: Work;
  readonly ledger: Ledger;
  readonly media: MediaFiles;
  readonly allowed: (url: string) => boolean;
  readonly log: Log;
}): FetchOutboundMedia {
  const { work, media, log } = options;

  async function load(
    url: string,
  ): Promise<{ readonly contentType: string; readonly bytes: Uint8Array } | "too_large" | undefined> {
    const limit = new AbortController();
    const cancel = work.clock.after(TIMEOUT, () => limit.abort());
    const onClose = () => limit.abort();
    work.signal.addEventListener("abort", onClose, { once: true });
    try {
      const response = await options.fetch(url, { signal: limit.signal });
      if (!response.ok) return undefined;
      if (Number(response.headers.get("Content-Length") ?? 0) > MAX_MEDIA_BYTES) {
        await response.body?.cancel();
        return "too_large";
      }
      const bytes = await response.bytes();
      if (bytes.byteLength > MAX_MEDIA_BYTES) return "too_large";
      return { contentType: response.headers.get("Content-Type") ?? "application/octet-stream", bytes };
    } catch {
      return undefined;
    } finally {
      cancel();
      work.signal.removeEventListener("abort", onClose);
    }
  }

  return async (message) => {
    const kept = [];
    for (const item of message.media) {
      if (item.link === undefined || !options.allowed(item.link)) {
        kept.push(item);
        continue;
      }
      const file = await load(item.link);
      if (file === undefined || file === "too_large") {
        log.warn("simulator.media_failed", { sid: message.sid, reason: file ?? "not fetched" });
        if (file === "too_large") return TOO_LARGE;
        return message.to.startsWith("whatsapp:") ? WHATSAPP_UNREACHABLE : UNREACHABLE;
      }
      kept.push(media.store(file.contentType, file.bytes));
    }
    options.ledger.change(message, { media: kept });
    return undefined;
  };
}
