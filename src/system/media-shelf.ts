import { readdirSync, rmSync, statSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { RandomBytes } from "../ids.ts";
import { MAX_MEDIA_BYTES, type MediaShelf, sniffMedia } from "../media.ts";

/** A file is served for this long, ms. The carrier fetches it within minutes; a send may wait for hours. */
const LIFETIME = 24 * 3_600_000;
/** All files together, bytes. */
const MAX_TOTAL = 512 * 1024 * 1024;
/** So many that looking at all of them takes a few milliseconds. */
const MAX_FILES = 2_000;
/** 256 random bits, base64url. Nothing else is ever made into a path. */
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

/**
 * Files in `<data_dir>/media` (0700), each 0600 under its token. Its time of change is when it was put there, and
 * so when it expires; its type is read from its bytes again whenever it is served. Nothing else is kept.
 */
export function createMediaShelf(seams: {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** All files together, bytes. */
  readonly maxTotal?: number;
}): MediaShelf {
  const { clock, random, maxTotal = MAX_TOTAL } = seams;
  const folder = join(seams.dataDir, "media");
  /** One after the other, so that two cannot both take the last room. */
  let adding: Promise<unknown> = Promise.resolve();

  const expired = (changed: number) => clock.now() - changed >= LIFETIME;

  /** The files with their sizes and times; none where there is no folder yet. */
  function list() {
    return namesIn(folder).flatMap((name) => {
      const path = join(folder, name);
      const info = statSync(path, { throwIfNoEntry: false });
      return info?.isFile() ? [{ path, size: info.size, at: info.mtimeMs }] : [];
    });
  }

  async function put(bytes: Uint8Array): Promise<string> {
    const kept = list();
    const total = kept.reduce((sum, file) => sum + file.size, bytes.byteLength);
    if (total > maxTotal || kept.length >= MAX_FILES)
      throw new AppError("unavailable", "Too many files were uploaded within a day.", {
        fix: `At most ${MAX_FILES} files and ${Math.floor(maxTotal / 1024 / 1024)} MB are kept, each for 24 hours; try again later.`,
      });
    const token = Buffer.from(random(32)).toString("base64url");
    const path = join(folder, token);
    const unfinished = `${path}.new`;
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const handle = await open(unfinished, "wx", 0o600);
      try {
        await handle.writeFile(bytes);
      } finally {
        await handle.close();
      }
      const now = clock.now() / 1_000;
      await utimes(unfinished, now, now);
      await rename(unfinished, path);
    } catch (error) {
      await rm(unfinished, { force: true }).catch(() => {});
      throw new AppError("unavailable", `The file cannot be kept in ${folder}: ${String(error)}`, {
        fix: "Check the disk that holds data_dir, and that the service's user may write there.",
        cause: error,
      });
    }
    return token;
  }

  return {
    add({ bytes }) {
      const added = adding.then(() => put(bytes));
      adding = added.catch(() => {});
      return added;
    },
    async read(token) {
      if (!TOKEN.test(token)) return undefined;
      const path = join(folder, token);
      const info = await stat(path).catch(() => undefined);
      if (info === undefined || !info.isFile() || expired(info.mtimeMs) || info.size > MAX_MEDIA_BYTES)
        return undefined;
      const bytes = await readFile(path).catch(() => undefined);
      if (bytes === undefined) return undefined;
      const contentType = sniffMedia(bytes);
      return contentType === undefined ? undefined : { contentType, bytes: new Uint8Array(bytes) };
    },
    async sweep() {
      for (const { path, at } of list()) if (expired(at)) rmSync(path, { force: true });
    },
  };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw new AppError("unavailable", `The media folder cannot be read: ${String(error)}`, {
      fix: "Give the service's user read and write access to data_dir.",
      cause: error,
    });
  }
}
