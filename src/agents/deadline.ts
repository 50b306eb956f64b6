import { AgentFailure } from "../agent.ts";
import type { Clock } from "../clock.ts";
import { formatDuration } from "../duration.ts";

/** The time one turn has. */
export interface Deadline {
  /** Aborts with an AgentFailure, `timeout` or `cancelled`, as its reason. */
  readonly signal: AbortSignal;
  /** Milliseconds left. */
  remaining(): number;
  /** Must be called when the work is over. */
  end(): void;
}

/**
 * Runs from now for `timeout` ms, or until `outer` aborts. `subject` begins the message of the time-out:
 * "http://…/sms" gives "http://…/sms did not answer within 30s".
 */
export function startDeadline(clock: Clock, timeout: number, outer: AbortSignal, subject: string): Deadline {
  const abort = new AbortController();
  const over = clock.now() + timeout;
  const cancelTimer = clock.after(timeout, () =>
    abort.abort(
      new AgentFailure("timeout", `${subject} did not answer within ${formatDuration(timeout)}`, {
        fix: "Find out why it is slow, or raise the agent's timeout.",
      }),
    ),
  );
  const onOuter = () =>
    abort.abort(new AgentFailure("cancelled", "the turn was cancelled", { cause: outer.reason }));
  if (outer.aborted) onOuter();
  else outer.addEventListener("abort", onOuter, { once: true });
  return {
    signal: abort.signal,
    remaining: () => Math.max(0, over - clock.now()),
    end() {
      cancelTimer();
      outer.removeEventListener("abort", onOuter);
    },
  };
}

/** What `work` gives, or the signal's reason as soon as it aborts, whatever `work` does meanwhile. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
