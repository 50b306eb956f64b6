import type { WebhookReader, WebhookRequest } from "../webhook.ts";
import { type FormParams, parseForm } from "./form.ts";
import { signedUrls, verify } from "./signature.ts";
import { parseInbound, parseStatus } from "./webhook.ts";

export interface WebhookReaderSeams {
  /** The public URL of a channel's webhooks as configured at this moment. Without one nothing is authentic. */
  readonly publicUrl: (channel: string) => string | undefined;
}

/** Reads Twilio's webhooks: what was signed, and what it says. */
export function createWebhookReader(seams: WebhookReaderSeams): WebhookReader {
  // A request is asked about twice, first whether it is authentic, then what it says; it is parsed once.
  const parsed = new WeakMap<WebhookRequest, FormParams>();

  /** Of a webhook without a query, which is always the same. */
  const urls = new Map<string, readonly string[]>();

  function urlsOf(publicUrl: string, { canonicalPath, rawQuery }: WebhookRequest): readonly string[] {
    if (rawQuery !== "")
      return queriesOf(rawQuery).flatMap((query) => signedUrls(publicUrl, canonicalPath, query));
    const key = `${publicUrl} ${canonicalPath}`;
    const known = urls.get(key) ?? signedUrls(publicUrl, canonicalPath, "");
    if (urls.size >= MAX_URLS) urls.clear(); // they follow the settings
    urls.set(key, known);
    return known;
  }

  function paramsOf(request: WebhookRequest): FormParams {
    const known = parsed.get(request);
    if (known !== undefined) return known;
    const params = parseForm(request.body);
    parsed.set(request, params);
    return params;
  }

  return {
    authentic(request) {
      const publicUrl = seams.publicUrl(request.channel.id);
      if (publicUrl === undefined) return false;
      const { authToken, authTokenPrevious } = request.channel.account;
      return verify(
        request.signature,
        urlsOf(publicUrl, request),
        isJson(request) ? { kind: "body", body: request.body } : { kind: "form", params: paramsOf(request) },
        [authToken, authTokenPrevious],
      );
    },
    readInbound: (request) =>
      isJson(request) ? NOT_A_FORM : parseInbound(paramsOf(request), request.receivedAt),
    readStatus: (request) =>
      isJson(request) ? NOT_A_FORM : parseStatus(paramsOf(request), request.rawQuery, request.receivedAt),
  };
}

const MAX_URLS = 100;

/**
 * The query as it may have been sent. The runtime hands it over as the URL standard writes it, with these
 * characters encoded, and what is signed is what was sent.
 */
function queriesOf(query: string): readonly string[] {
  const plain = query.replace(/%27|%22|%3C|%3E/g, (code) =>
    String.fromCharCode(Number.parseInt(code.slice(1), 16)),
  );
  const words = plain.replace(/(?:%[89A-F][0-9A-F])+/g, (bytes) => {
    try {
      return decodeURIComponent(bytes);
    } catch {
      return bytes;
    }
  });
  return [...new Set([query, plain, words])];
}

const NOT_A_FORM = {
  kind: "malformed",
  problems: [{ path: "Content-Type", message: "must be application/x-www-form-urlencoded for a text" }],
} as const;

function isJson(request: WebhookRequest): boolean {
  return /^\s*application\/json\s*(;|$)/i.test(request.contentType);
}
