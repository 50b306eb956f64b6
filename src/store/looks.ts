import { AUDIT_AFTER, afterLook } from "../doubt.ts";
import type { ClaimedLook, LookOutcome, SettleLook, Undecided } from "../doubt-store.ts";
import { type DoubtfulTry, LOOK_BACK, matchSent, sightingOf } from "../sent-match.ts";
import type { Claim } from "../store.ts";
import type { Attempts } from "./attempts.ts";
import { type Delivery, deliveryOf } from "./delivery.ts";
import { type DoubtRow, type Doubts, doubtOf } from "./doubts.ts";
import type { MessageRow, Messages } from "./messages.ts";
import { earliest, type Outbox } from "./outbox.ts";

/** The queue of readings of the carrier's list. All methods run inside a write, but `nextDue`. */
export interface Looks {
  claim(claim: Claim): { readonly looks: readonly ClaimedLook[]; readonly undecided: readonly Undecided[] };
  nextDue(channels: readonly string[]): number | undefined;
  settle(settle: SettleLook): LookOutcome;
}

export interface LooksParts {
  readonly messages: Messages;
  readonly attempts: Attempts;
  readonly doubts: Doubts;
  readonly outbox: Outbox;
  readonly delivery: Delivery;
}

/** Most that are told of at once; more are told right after. */
const TOLD = 100;

export function createLooks({ messages, attempts, doubts, outbox, delivery }: LooksParts): Looks {
  /** All doubtful attempts of the same sender to the same recipient: each may be what the list has. */
  function rivals(target: DoubtRow, from: string): readonly DoubtfulTry[] {
    return doubts.to(target.recipient).flatMap((row) => {
      const message = messages.bySeq(row.message);
      return message.from === from ? [tryOf(row, message)] : [];
    });
  }

  function settle({ messageId, attempt, lookedAt, at, listed }: SettleLook): LookOutcome {
    const message = messages.byId(messageId);
    const row = message && doubts.get(message.seq, attempt);
    if (message === undefined || row === undefined) return { kind: "gone", found: [] };
    if (listed === undefined) return after(row, lookedAt, at, undefined);
    const sent = listed.filter(({ sid }) => attempts.ofSid(sid) === undefined);
    const tries = rivals(row, message.from);
    const matches = matchSent(tries, sent);
    const sighting = sightingOf(row.message, tries, sent, matches);
    const found = matches.flatMap(({ message: seq, attempt: number, sent: match }) => {
      const explained = listed.find(({ sid }) => sid === match.sid) ?? match;
      const { doubled } = delivery.adopt(seq, number, explained, at);
      const { id, channel, ...other } = messages.bySeq(seq);
      return [
        { messageId: id, channel, sid: match.sid, state: deliveryOf({ id, channel, ...other }), doubled },
      ];
    });
    if (doubts.get(row.message, attempt) === undefined) return { kind: "found", found };
    return { ...after(row, lookedAt, at, sighting), found };
  }

  /** What follows for the attempt that was looked for. */
  function after(
    row: DoubtRow,
    lookedAt: number,
    at: number,
    sighting: Parameters<typeof afterLook>[3],
  ): LookOutcome {
    const kind = sighting ?? "failed";
    const none = { found: [] };
    switch (row.state) {
      case "looking": {
        const next = afterLook(doubtOf(row), lookedAt, at, sighting);
        if (next.kind === "found") return { kind: "found", ...none };
        // Out of the queue, its successors may have gone: it is not sent behind them.
        if (next.kind === "absent" && !outbox.has(row.message)) {
          doubts.giveUp(row.message);
          return { kind, ...none };
        }
        if (next.kind === "absent") {
          delivery.miss(row.message, row.attempt, at);
          return { kind: "absent", ...none };
        }
        doubts.defer(row, next.dueAt, next.missedAt);
        return { kind, ...none };
      }
      case "again":
        if (sighting === undefined && at < row.until)
          doubts.defer(row, at + AUDIT_AFTER, row.missedAt ?? undefined);
        else if (doubts.get(row.message, row.attempt)?.state === "again")
          doubts.end(row.message, row.attempt);
        return { kind, ...none };
      case "untold":
      case "undecided":
        return { kind, ...none };
    }
  }

  return {
    claim(claim) {
      outbox.expire(claim.now);
      const undecided = doubts.takeUntold(TOLD).map(({ message }) => {
        const { id: messageId, channel, to } = messages.bySeq(message);
        return { messageId, channel, to };
      });
      const looks = doubts.claim(claim).map((row) => {
        const { id: messageId, from } = messages.bySeq(row.message);
        const { attempt, channel, recipient: to, startedAt } = row;
        return { messageId, attempt, channel, to, from, since: startedAt - LOOK_BACK };
      });
      return { looks, undecided };
    },
    nextDue: (channels) => earliest([doubts.nextDue(channels), outbox.nextDue([])]),
    settle,
  };
}

function tryOf({ message, attempt, startedAt }: DoubtRow, row: MessageRow): DoubtfulTry {
  return {
    message,
    attempt,
    startedAt,
    text: row.text ?? "",
    media: row.media?.length ?? 0,
    ...(row.contentSid === null ? {} : { template: valuesOf(row.contentVariables) }),
  };
}

/** The values of a template's variables, `{"1": "Ann"}`. */
function valuesOf(variables: string | null): readonly string[] {
  if (variables === null) return [];
  try {
    const parsed: unknown = JSON.parse(variables);
    const values = typeof parsed === "object" && parsed !== null ? Object.values(parsed) : [];
    return values.filter((value) => typeof value === "string");
  } catch {
    return [];
  }
}
