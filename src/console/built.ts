import type { Bundle } from "./bundle.ts";

/**
 * The console's page as the build made it. The build replaces this module with one that holds it; run from source, the
 * page is bundled when it is first asked for.
 */
export const built: Bundle | undefined = undefined;
