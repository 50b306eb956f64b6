import type { DoubtStore, ResendOutcome } from "../doubt-store.ts";
import type { Attempts } from "./attempts.ts";
import { deliveryOf } from "./delivery.ts";
import type { Doubts } from "./doubts.ts";
import type { MessageRow, Messages } from "./messages.ts";
import { OPTED_OUT, type Outbox } from "./outbox.ts";
import type { Requests } from "./requests.ts";
import type { Senders } from "./senders.ts";

export interface ResendParts {
  readonly messages: Messages;
  readonly attempts: Attempts;
  readonly doubts: Doubts;
  readonly outbox: Outbox;
  readonly senders: Senders;
  readonly requests: Requests;
}

/** Twilio's "attempt to send to unsubscribed recipient", https://www.twilio.com/docs/api/errors/21610 */
const UNSUBSCRIBED = 21610;

type Resend = (...request: Parameters<DoubtStore["resend"]>) => Awaited<ReturnType<DoubtStore["resend"]>>;

/** Puts an outbound message into the outbox again, where that makes sense. Runs inside a write. */
export function createResend(parts: ResendParts): Resend {
  const { messages, attempts, doubts, outbox, senders, requests } = parts;

  /** Why not, where it is not. */
  function refusal(row: MessageRow): ResendOutcome | undefined {
    const state = deliveryOf(row);
    switch (state) {
      case "unknown": {
        const looking = doubts.looking(row.seq);
        if (looking !== undefined) return { kind: "looking", until: looking.until };
        break;
      }
      case "suppressed":
        if (row.error?.code !== UNSUBSCRIBED && row.error?.meaning !== OPTED_OUT.meaning)
          return { kind: "forbidden" };
        break;
      case "failed":
      case "undelivered":
      case "canceled":
        break;
      case "pending":
      case "sending":
      case "queued":
      case "sent":
      case "delivered":
      case "read":
        return { kind: "state", state };
    }
    if (senders.optedOut(row.channel, row.to)) return { kind: "opted_out" };
    const empty = (row.text ?? "") === "" && row.media === null && row.contentSid === null;
    return empty ? { kind: "erased" } : undefined;
  }

  return (id, at, idempotency) => {
    const row = messages.byId(id);
    if (row?.direction !== "outbound") return undefined;
    const known = idempotency && requests.known(idempotency.key);
    if (known !== undefined) {
      const same = known.fingerprint === idempotency?.fingerprint && known.message === row.seq;
      return same ? { kind: "replayed", state: deliveryOf(row) } : { kind: "key_conflict" };
    }
    const refused = refusal(row);
    if (refused !== undefined) return refused;
    doubts.again(row.seq, at);
    messages.reopen(row.seq, at, "To be sent again, as the operator wished.");
    outbox.again(row, attempts.last(row.seq), at);
    if (idempotency !== undefined) requests.remember(idempotency.key, idempotency.fingerprint, row.seq, at);
    return { kind: "queued", state: "pending" };
  };
}
