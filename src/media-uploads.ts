import { AppError } from "./errors.ts";
import type { NewId } from "./ids.ts";
import type { Log } from "./log.ts";
import { MAX_MEDIA_BYTES, MEDIA_TYPES, type MediaShelf, sniffMedia } from "./media.ts";
import { namedChannel } from "./named-channel.ts";
import type { Settings } from "./settings.ts";

/** A file that can now be sent as one of `media_urls`. */
export interface UploadedMedia {
  readonly id: string;
  readonly url: string;
}

export interface MediaUploads {
  /**
   * Takes a file in and answers where the carrier of `channel` (of any channel when none is named) fetches it.
   * Rejects with AppError: `invalid` for what is no file of a type that is sent, `too_large`, `not_found` for the
   * channel, `conflict` where nobody could fetch it, `unavailable`.
   */
  upload(bytes: Uint8Array<ArrayBuffer>, channel?: string): Promise<UploadedMedia>;
  /** Tells a file of ours by its content, since it has another URL each time it is uploaded; undefined for others. */
  digestOf(url: string): Promise<string | undefined>;
}

export function createMediaUploads(seams: {
  readonly settings: () => Settings;
  /** Where the public listener is reached from this machine; undefined until it listens. */
  readonly listener: () => string | undefined;
  readonly shelf: MediaShelf;
  /** A digest that nobody can make two files have. */
  readonly digest: (bytes: Uint8Array) => string;
  readonly newId: NewId;
  readonly log: Log;
}): MediaUploads {
  /** A simulated carrier runs inside and fetches from the listener itself; a real one needs the public URL. */
  function baseUrl(channel: string | undefined): string {
    const settings = seams.settings();
    const { channels, server } = settings;
    const served = channel === undefined ? Object.values(channels) : [namedChannel(settings, channel)];
    const simulated = served.every(({ provider }) => provider === "simulator");
    const base = simulated ? seams.listener() : server.publicUrl;
    if (base === undefined)
      throw new AppError("conflict", "Files cannot be sent: there is no public URL to fetch them from.", {
        fix: "Set server.public_url to the https address under which Twilio reaches server.listen, or send the URL of a file that lies elsewhere.",
      });
    return base;
  }

  return {
    async upload(bytes, channel) {
      const base = baseUrl(channel);
      if (bytes.byteLength > MAX_MEDIA_BYTES)
        throw new AppError("too_large", `A file is at most ${MAX_MEDIA_BYTES} bytes (5 MB).`, {
          fix: "Send a smaller one.",
        });
      if (bytes.byteLength === 0)
        throw new AppError("invalid", "The file is empty.", { fix: "Send the file's bytes as the body." });
      const contentType = sniffMedia(bytes);
      if (contentType === undefined)
        throw new AppError(
          "invalid",
          "The file is of no type that can be sent; its bytes decide, not its name.",
          {
            fix: `Send one of: ${Object.keys(MEDIA_TYPES).join(", ")}.`,
          },
        );
      const token = await seams.shelf.add({ contentType, bytes });
      const id = seams.newId("media");
      seams.log.info("media.stored", { id, type: contentType, bytes: bytes.byteLength });
      return { id, url: `${base}/media/${token}` };
    },
    async digestOf(url) {
      const token = /\/media\/([^/?#]+)$/.exec(url)?.[1];
      const file = token === undefined ? undefined : await seams.shelf.read(token);
      return file === undefined ? undefined : seams.digest(file.bytes);
    },
  };
}
