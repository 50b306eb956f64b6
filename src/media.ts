/**
 * Pictures, sounds and files: what they really are, how much of them is taken, and the ports by which they are
 * fetched and kept.
 */

/** One file is at most this large, bytes: Twilio's limit for a whole MMS. */
export const MAX_MEDIA_BYTES = 5 * 1024 * 1024;
/** A message has at most this many. */
export const MAX_MEDIA = 10;

/** A file as it was found to be; `contentType` is read from its bytes, never from what somebody says of it. */
export interface MediaFile {
  readonly contentType: MediaType;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What became of fetching one file. `reason` completes "it could not be loaded: …" and is our own words. */
export type MediaOutcome =
  | { readonly kind: "loaded"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "failed"; readonly reason: string };

/** Files on their way out, each under a token nobody can guess, for a limited time. */
export interface MediaShelf {
  /**
   * Keeps a file; resolves to its token. Rejects with AppError `unavailable` when the disk takes no more, or the
   * shelf is full.
   */
  add(file: MediaFile): Promise<string>;
  /** Undefined for a token that is none, and for a file whose time is over. */
  read(token: string): Promise<MediaFile | undefined>;
  /** Removes what has expired. */
  sweep(): Promise<void>;
}

/** The types that are sent and shown, and how a file of that type is named. */
export const MEDIA_TYPES = {
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/gif": "gif",
  "image/webp": "webp",
  "audio/mpeg": "mp3",
  "audio/ogg": "ogg",
  "audio/amr": "amr",
  "video/mp4": "mp4",
  "video/3gpp": "3gp",
  "application/pdf": "pdf",
  "text/vcard": "vcf",
} as const;

export type MediaType = keyof typeof MEDIA_TYPES;

/** The type by the first bytes (the formats' own signatures); undefined for everything that is none of the above. */
export function sniffMedia(bytes: Uint8Array): MediaType | undefined {
  const text = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  const starts = (...wanted: readonly number[]) => wanted.every((byte, index) => bytes[index] === byte);
  if (starts(0xff, 0xd8, 0xff)) return "image/jpeg";
  if (starts(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return "image/png";
  if (text(0, 6) === "GIF87a" || text(0, 6) === "GIF89a") return "image/gif";
  if (text(0, 4) === "RIFF" && text(8, 12) === "WEBP") return "image/webp";
  if (text(0, 4) === "OggS") return "audio/ogg";
  if (text(0, 5) === "#!AMR") return "audio/amr";
  if (text(0, 3) === "ID3" || isMp3Frame(bytes)) return "audio/mpeg";
  if (text(4, 8) === "ftyp") return brandType(text(8, 12));
  if (text(0, 5) === "%PDF-") return "application/pdf";
  if (/^(\xef\xbb\xbf)?BEGIN:VCARD\r?\n/i.test(text(0, 16))) return "text/vcard";
  return undefined;
}

export function isImageType(type: MediaType): boolean {
  return type.startsWith("image/");
}

/** MPEG audio layer III: sync bits, then a bit rate and a sampling rate that exist. */
function isMp3Frame(bytes: Uint8Array): boolean {
  const [first = 0, second = 0, third = 0] = bytes;
  const layer3 = first === 0xff && (second & 0xe6) === 0xe2 && (second & 0x18) !== 0x08;
  return layer3 && third >> 4 !== 15 && third >> 4 !== 0 && (third & 0x0c) !== 0x0c;
}

/** ISO base media files of which phones make video; others of that family (HEIC, AVIF) are none of ours. */
function brandType(brand: string): MediaType | undefined {
  if (/^3g[2epgrs]/.test(brand)) return "video/3gpp";
  return /^(isom|iso[2-9]|mp4[12]|avc1|M4V |MSNV|dash)$/.test(brand) ? "video/mp4" : undefined;
}
