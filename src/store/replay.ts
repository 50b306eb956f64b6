import type { InboundState } from "../message.ts";
import type { ReplayOutcome, TurnStore } from "../store.ts";
import type { MessageRow, Messages } from "./messages.ts";
import type { Requests } from "./requests.ts";
import type { Turns } from "./turns.ts";

export interface ReplayParts {
  readonly messages: Messages;
  readonly turns: Pick<Turns, "queueAlone">;
  readonly requests: Requests;
}

type Replay = (...request: Parameters<TurnStore["replayText"]>) => ReplayOutcome;

/** Gives a text that has failed a turn of its own. Runs inside a write. */
export function createReplay({ messages, turns, requests }: ReplayParts): Replay {
  return ({ messageId, turn, idempotency }) => {
    const row = messages.byId(messageId);
    if (row?.direction !== "inbound") return { kind: "erased" };
    const state = stateOf(row);
    const known = idempotency && requests.known(idempotency.key);
    if (known !== undefined) {
      const same = known.fingerprint === idempotency?.fingerprint && known.message === row.seq;
      return same ? { kind: "replayed", state } : { kind: "key_conflict" };
    }
    if (state !== "failed") return { kind: "state", state };
    if (row.text === null) return { kind: "erased" };
    messages.requeue(row.seq, turn.at, "To be answered after all, as the operator wished.");
    turns.queueAlone(row.seq, turn);
    if (idempotency !== undefined)
      requests.remember(idempotency.key, idempotency.fingerprint, row.seq, turn.at);
    return { kind: "queued" };
  };
}

/** An inbound message is in no other state; the column holds those of both directions. */
function stateOf({ state }: MessageRow): InboundState {
  switch (state) {
    case "received":
    case "queued":
    case "handled":
    case "dropped":
    case "failed":
      return state;
    default:
      throw new Error(`an inbound message is ${state}`);
  }
}
