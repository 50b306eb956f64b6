import type { ServerContext } from "@modelcontextprotocol/server";
import type { CancelTimer, Clock } from "../clock.ts";

/** How often a client that waits hears that we do too, ms; well under the time-outs clients have. */
const INTERVAL = 5_000;

/**
 * Tells a client that asked for it (with a progress token) every few seconds that its call still waits, from now
 * until the returned function is called.
 */
export function reportProgress(context: ServerContext, clock: Clock, message: string): CancelTimer {
  const progressToken = context.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return () => {};
  const started = clock.now();
  let cancel: CancelTimer = () => {};
  let over = false;
  const tell = () => {
    if (over) return;
    const progress = Math.round((clock.now() - started) / 1_000);
    // A client that does not hear it is gone, which ends the call anyway.
    context.mcpReq
      .notify({ method: "notifications/progress", params: { progressToken, progress, message } })
      .catch(() => {});
    cancel = clock.after(INTERVAL, tell);
  };
  tell();
  return () => {
    over = true;
    cancel();
  };
}
