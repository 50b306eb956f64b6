import type { Dispatch } from "./dispatch.ts";
import type { Explained } from "./errors.ts";

/**
 * A text from before the restore that the backup does not know. It may have been answered, and its command done, by
 * the database that was replaced; so it is kept and shown, and nothing follows from it but an opt-out or its end.
 */
export function heldBack(decided: Dispatch): Dispatch {
  const { route, state, keepText, policies } = decided;
  if (decided.action === "opt_out" || decided.action === "opt_in")
    return { ...decided, signal: false, wrongCode: false };
  const held = keepText && (state === "queued" || route === "command" || route === "pairing");
  return {
    action: "none",
    route,
    keepText,
    policies,
    signal: false,
    wrongCode: false,
    ...(held
      ? { state: "failed", error: BEFORE_RESTORE }
      : { state, ...(decided.error === undefined ? {} : { error: decided.error }) }),
  };
}

const BEFORE_RESTORE: Explained = {
  meaning:
    "It came before the database was restored from a backup that does not know it, so it may have been answered already. It was not given to the agent.",
  fix: "If it was not, answer it yourself (sms-agent send), or ask the sender to text again.",
};
