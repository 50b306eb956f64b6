import type { Clock } from "../clock.ts";
import type { RandomBytes } from "../ids.ts";
import type { StoredMedia } from "./ledger.ts";
import { newSid } from "./numbers.ts";

/** Twilio's limit for one MMS, in bytes. */
export const MAX_MEDIA_BYTES = 5 * 1024 * 1024;
export const MAX_MEDIA = 10;

/** The files of messages, held in memory up to a total size; the oldest go first. */
export interface MediaFiles {
  store(contentType: string, bytes: Uint8Array): StoredMedia;
  /** A file that lies elsewhere. Its type is guessed from the URL, since nothing is fetched. */
  link(url: string): StoredMedia;
  file(sid: string): { readonly contentType: string; readonly bytes: Uint8Array } | undefined;
  drop(sid: string): void;
}

export function createMediaFiles(options: {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly maxBytes: number;
}): MediaFiles {
  const files = new Map<string, { readonly contentType: string; readonly bytes: Uint8Array }>();
  let total = 0;
  const drop = (sid: string) => {
    total -= files.get(sid)?.bytes.byteLength ?? 0;
    files.delete(sid);
  };
  const created = () => ({ sid: newSid("ME", options.random), createdAt: options.clock.now() });
  return {
    store(contentType, bytes) {
      const media = { ...created(), contentType };
      files.set(media.sid, { contentType, bytes });
      total += bytes.byteLength;
      for (const sid of files.keys()) {
        if (total <= options.maxBytes || sid === media.sid) break;
        drop(sid);
      }
      return media;
    },
    link: (url) => ({ ...created(), contentType: guessType(url), link: url }),
    file: (sid) => files.get(sid),
    drop,
  };
}

const TYPES = new Map([
  ["jpg", "image/jpeg"],
  ["jpeg", "image/jpeg"],
  ["png", "image/png"],
  ["gif", "image/gif"],
  ["webp", "image/webp"],
  ["heic", "image/heic"],
  ["mp3", "audio/mpeg"],
  ["ogg", "audio/ogg"],
  ["amr", "audio/amr"],
  ["wav", "audio/wav"],
  ["mp4", "video/mp4"],
  ["3gp", "video/3gpp"],
  ["pdf", "application/pdf"],
  ["vcf", "text/vcard"],
  ["txt", "text/plain"],
]);

function guessType(url: string): string {
  const path = URL.canParse(url) ? new URL(url).pathname : "";
  return (
    TYPES.get(/\.([A-Za-z0-9]{2,4})$/.exec(path)?.[1]?.toLowerCase() ?? "") ?? "application/octet-stream"
  );
}

/** The file inside a `data:` URL; undefined when it is none. */
export function parseDataUrl(
  url: string,
): { readonly contentType: string; readonly bytes: Uint8Array } | undefined {
  const comma = url.indexOf(",");
  if (!/^data:/i.test(url) || comma < 0) return undefined;
  const header = url.slice(5, comma);
  const base64 = /;\s*base64\s*$/i.test(header);
  const contentType = header.replace(/;\s*base64\s*$/i, "").trim() || "text/plain";
  const data = url.slice(comma + 1);
  try {
    const bytes = base64
      ? Buffer.from(decodeURIComponent(data), "base64")
      : Buffer.from(decodeURIComponent(data));
    return { contentType, bytes };
  } catch {
    return undefined;
  }
}
