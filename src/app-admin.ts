import type { AdminSeams } from "./http/admin.ts";

/**
 * The operator's listener, whose routes and schemas are loaded at its first request: that takes some 50 ms once, and
 * the start and a house where nobody asks are spared it.
 */
export function createLazyAdmin(seams: AdminSeams): (request: Request) => Promise<Response> {
  let made: Promise<(request: Request) => Response | Promise<Response>> | undefined;
  return async (request) => {
    made ??= import("./http/admin.ts").then(({ createAdminApp }) => createAdminApp(seams).fetch);
    return (await made)(request);
  };
}
