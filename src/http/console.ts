import type { OpenAPIHono } from "@hono/zod-openapi";

/** One file of the console's page, as it is served. */
export interface ConsoleFile {
  /** On the admin listener: `/`, `/console.js`. */
  readonly path: string;
  readonly contentType: string;
  readonly body: string;
}

/**
 * Nothing but the listener's own files and API is ever loaded, no inline script or style runs, and no other page may
 * frame it. So a text with markup in it stays a text even if the page had a hole.
 */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  // Another binary brings another page; it is small and near.
  "cache-control": "no-cache",
} as const;

/** The page itself holds nothing of the service, so it needs no credential: it is also the login page. */
export function consoleRoutes(app: OpenAPIHono, files: () => Promise<readonly ConsoleFile[]>): void {
  for (const path of ["/", "/console.js", "/console.css", "/icon.svg"])
    app.get(path, async (c) => {
      const file = (await files()).find((candidate) => candidate.path === path);
      return file === undefined
        ? c.notFound()
        : c.body(file.body, 200, { ...HEADERS, "content-type": file.contentType });
    });
}
