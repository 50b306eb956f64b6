import type { Context } from "hono";
import { MEDIA_TYPES, type MediaFile } from "../media.ts";

/**
 * Serves an uploaded file to whoever knows its token: the carrier, which asks with GET and HEAD. It is handed out
 * as a file, never as a page, and not kept by caches beyond its time.
 */
export async function serveMedia(
  c: Context,
  token: string,
  read: (token: string) => Promise<MediaFile | undefined>,
): Promise<Response> {
  if (c.req.method !== "GET" && c.req.method !== "HEAD")
    return c.text("only GET and HEAD", 405, { allow: "GET, HEAD" });
  const file = await read(token);
  if (file === undefined) return c.text("not found", 404);
  return c.body(file.bytes, 200, {
    "content-type": file.contentType,
    "content-length": String(file.bytes.byteLength),
    "content-disposition": `attachment; filename="file.${MEDIA_TYPES[file.contentType]}"`,
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "no-store",
  });
}
