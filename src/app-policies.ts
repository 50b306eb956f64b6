import { AppError } from "./errors.ts";
import { loadPolicyFolder } from "./policy/folder.ts";
import { policySettings } from "./policy/settings.ts";
import { formatPolicyProblems, type PolicyEngine } from "./policy.ts";
import type { Settings } from "./settings.ts";

/**
 * Policies as `settings` and the policy folder say. Throws AppError `invalid` with every problem formatted; then
 * `previous`, which they were to replace, works on.
 */
export function policiesOf(settings: Settings, previous?: PolicyEngine): PolicyEngine {
  const loaded = loadPolicyFolder({
    folder: settings.policiesDir,
    settings: policySettings(settings),
    ...(previous === undefined ? {} : { previous }),
  });
  if (loaded.kind === "ok") return loaded.engine;
  throw new AppError("invalid", formatPolicyProblems(loaded.problems), {
    fix:
      previous === undefined
        ? "Correct the policies; nothing was started."
        : "Correct the policies; those in force stay as they are.",
  });
}
