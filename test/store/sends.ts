import type { SendOutcome } from "../../src/carrier.ts";
import type { ClaimedSend } from "../../src/store.ts";
import { present, type TestStore } from "./support.ts";

/** What the carrier may answer to a send. */
export const AMBIGUOUS: SendOutcome = { kind: "ambiguous", reason: "time-out" };
export const REFUSED: SendOutcome = {
  kind: "refused",
  error: { code: 21211, meaning: "not a number", fix: "use a number" },
  optedOut: false,
};

/** Ends a claimed send; `dueAt`: when it is to be tried again. */
export function settle(
  t: TestStore,
  send: ClaimedSend,
  outcome: SendOutcome,
  dueAt?: number,
): Promise<unknown> {
  return t.store.settleSend({
    messageId: send.message.id,
    attempt: send.attempt,
    outcome,
    at: t.clock.now(),
    ...(dueAt === undefined ? {} : { dueAt }),
  });
}

/** The next send. */
export async function claimOne(t: TestStore): Promise<ClaimedSend> {
  return present((await t.claimSends(1))[0]);
}
