import type { Target } from "./engine.ts";
import { CONFIG_TARGETS } from "./targets-config.ts";
import { REQUEST_TARGETS } from "./targets-request.ts";
import { TEXT_TARGETS } from "./targets-text.ts";

/** Everything that reads what others write. */
export const TARGETS: readonly Target[] = [...REQUEST_TARGETS, ...CONFIG_TARGETS, ...TEXT_TARGETS];
