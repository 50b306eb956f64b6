import { type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { AppError } from "../../errors.ts";
import type { MediaUploads } from "../../media-uploads.ts";
import { type Caller, demand } from "../../token.ts";
import { ok, problems } from "./responses.ts";

const uploadedSchema = z
  .object({ id: z.string(), url: z.string().openapi({ description: "For `media_urls`; good for 24 hours" }) })
  .openapi("UploadedMedia");

const file = z.string().openapi({ format: "binary" });

/** Files on their way out: the only way by which they come in. */
export function mediaRoutes(api: OpenAPIHono, uploads: MediaUploads, callerOf: (c: Context) => Caller): void {
  // Registered by hand: the generated validators would parse the body before its size and kind are looked at.
  api.openAPIRegistry.registerPath({
    method: "post",
    path: "/media",
    summary: "Upload a file to send: as the body itself, or as the one file of a form; 5 MB at most",
    request: {
      query: z.object({
        channel: z.string().optional().openapi({ description: "The channel it will be sent from" }),
      }),
      body: {
        required: true,
        content: {
          "application/octet-stream": { schema: file },
          "multipart/form-data": { schema: z.object({ file }) },
        },
      },
    },
    responses: { 201: ok("Where it is fetched", uploadedSchema), ...problems },
  });
  api.post("/media", async (c) => {
    const channel = c.req.query("channel");
    demand(callerOf(c), "messages:send", channel);
    const bytes = await fileOf(c.req.raw);
    const { id, url } = await uploads.upload(bytes, channel);
    return c.json({ id, url }, 201);
  });
}

async function fileOf(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const contentType = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (contentType === "application/json" || contentType === "application/x-www-form-urlencoded")
    throw new AppError("invalid", "A file is uploaded by its bytes; paths and URLs are not taken.", {
      fix: "Send the file itself as the body (Content-Type: image/jpeg), or as a file of multipart/form-data.",
    });
  if (contentType !== "multipart/form-data") return new Uint8Array(await request.arrayBuffer());
  const form = await request.formData().catch(() => {
    throw new AppError("invalid", "The form cannot be read.", {
      fix: "Send multipart/form-data with its boundary, or the file itself as the body.",
    });
  });
  const values = [...form.values()];
  const [only] = values;
  if (values.length !== 1 || !(only instanceof Blob))
    throw new AppError("invalid", "The form must hold exactly one file, and nothing else.", {
      problems: [{ path: "file", message: "One file; upload several one after the other." }],
    });
  return new Uint8Array(await only.arrayBuffer());
}
