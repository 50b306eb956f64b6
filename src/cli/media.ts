import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { MAX_MEDIA, MAX_MEDIA_BYTES } from "../media.ts";
import { call, type Target } from "./client.ts";
import { CliError, EXIT } from "./exit.ts";

const uploadedShape = z.looseObject({ id: z.string(), url: z.string() });

/** The URLs of what `--media` names: URLs as they are, files by uploading them. All are read before any is sent. */
export async function uploaded(
  target: Target,
  channel: string,
  named: readonly string[],
): Promise<readonly string[]> {
  if (named.length > MAX_MEDIA)
    throw new CliError(
      EXIT.usage,
      `--media names ${named.length} files; a message has at most ${MAX_MEDIA}.`,
    );
  const parts = named.map((name) => (/^https?:\/\//i.test(name) ? name : contentsOf(name)));
  const urls: string[] = [];
  for (const part of parts) {
    if (typeof part === "string") urls.push(part);
    else {
      const path = `/media?channel=${encodeURIComponent(channel)}`;
      urls.push((await call(target, "POST", path, uploadedShape, { bytes: part })).url);
    }
  }
  return urls;
}

function contentsOf(name: string): Uint8Array<ArrayBuffer> {
  try {
    const path = /^file:\/\//i.test(name) ? fileURLToPath(name) : name;
    const info = statSync(path);
    if (!info.isFile()) throw new CliError(EXIT.usage, `--media ${name} is no file.`);
    if (info.size > MAX_MEDIA_BYTES)
      throw new CliError(
        EXIT.usage,
        `--media ${name} has ${info.size} bytes; at most ${MAX_MEDIA_BYTES} are sent.`,
      );
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    if (error instanceof CliError) throw error;
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    const why = missing ? "there is no such file" : error instanceof Error ? error.message : String(error);
    throw new CliError(EXIT.usage, `--media ${name} cannot be read: ${why}.`);
  }
}
