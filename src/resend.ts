import { type Clock, rfc3339 } from "./clock.ts";
import type { WellState } from "./doubt-store.ts";
import { AppError } from "./errors.ts";
import type { DeliveryState, InboundState } from "./message.ts";
import { type ReplaySeams, replay } from "./replay.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";

export interface ResendCommand {
  readonly id: string;
  /** The same key is one request, however often it is made. */
  readonly idempotencyKey?: string;
}

export interface ResendSeams extends ReplaySeams {
  readonly settings: () => Settings;
  readonly store: Pick<Store, "message" | "resend"> & ReplaySeams["store"];
  readonly clock: Clock;
  /** Told when something was put into the outbox. */
  readonly onSend: () => void;
}

/**
 * Sends a message again that came to a bad or unknown end, or has the agent answer a text that came in. Rejects with AppError `not_found`, or `conflict` with what to
 * do instead.
 */
export async function resend(
  { id, idempotencyKey }: ResendCommand,
  seams: ResendSeams,
): Promise<{ readonly id: string; readonly state: DeliveryState | InboundState }> {
  const message = await seams.store.message(id);
  if (message === undefined) throw new AppError("not_found", `There is no message ${id}.`);
  switch (message.direction) {
    case "inbound":
      return replay(message, idempotencyKey, seams);
    case "outbound":
      return resendOutbound(id, message.channel, idempotencyKey, seams);
  }
}

async function resendOutbound(
  id: string,
  channel: string,
  idempotencyKey: string | undefined,
  seams: ResendSeams,
): ReturnType<typeof resend> {
  if (!(channel in seams.settings().channels))
    throw new AppError("conflict", `The channel ${channel}, which sent ${id}, is not configured any more.`, {
      fix: "Send its text on another channel with sms-agent send.",
    });
  const outcome = await seams.store.resend(
    id,
    seams.clock.now(),
    idempotencyKey === undefined ? undefined : { key: idempotencyKey, fingerprint: `resend ${id}` },
  );
  switch (outcome?.kind) {
    case undefined:
      throw new AppError("not_found", `There is no message ${id}.`);
    case "queued":
      seams.onSend();
      return { id, state: outcome.state };
    case "replayed":
      return { id, state: outcome.state };
    case "looking":
      throw new AppError("conflict", `What became of ${id} is being found out from the carrier's list.`, {
        fix: `Wait until ${rfc3339(outcome.until)}: by then it is settled, sent again by itself, or left to you.`,
      });
    case "state":
      throw new AppError("conflict", STATE_SAYS[outcome.state](id), {
        fix: "To text the same again on purpose, use sms-agent send.",
      });
    case "erased":
      throw new AppError("conflict", `The text of ${id} is not kept any more.`, {
        fix: "Write it again with sms-agent send.",
      });
    case "opted_out":
      throw new AppError(
        "conflict",
        `The recipient of ${id} has opted out with STOP, so nothing is sent to it.`,
        {
          fix: "Only the recipient can lift this, by texting START. Send it again after that.",
        },
      );
    case "forbidden":
      throw new AppError("conflict", `A policy forbade ${id}, so it was never sent.`, {
        fix: `See which one with sms-agent messages ${id}; text the recipient yourself with sms-agent send.`,
      });
    case "key_conflict":
      throw new AppError("conflict", "This Idempotency-Key was used for another request.", {
        fix: "Use a new key for a new request, or repeat the first one exactly.",
      });
  }
}

/** Why a message in this state is not sent again. */
const STATE_SAYS: Readonly<Record<WellState, (id: string) => string>> = {
  pending: (id) => `${id} waits to be sent already.`,
  sending: (id) => `${id} is being sent at this moment.`,
  queued: (id) => `The carrier has ${id} and will send it.`,
  sent: (id) => `The carrier has sent ${id}; whether it arrived is not told yet.`,
  delivered: (id) => `${id} has arrived.`,
  read: (id) => `${id} has arrived and was read.`,
};
