import type { Clock } from "./clock.ts";
import type { Explained } from "./errors.ts";
import type { NewId } from "./ids.ts";
import type { Log } from "./log.ts";
import type { NewOutbound } from "./message.ts";
import { allows } from "./policy.ts";
import { askRecipient, type RecipientSeams } from "./recipient.ts";
import type { ChannelSettings } from "./settings.ts";
import type { TextTools } from "./text.ts";
import type { ClaimedTurn } from "./turn.ts";

export interface TurnReplySeams extends RecipientSeams {
  readonly text: TextTools;
  readonly newId: NewId;
  readonly clock: Clock;
  readonly log: Log;
}

/** A reply is a send like any other: `send_message` may forbid it, and then it is shown, not sent. */
export async function addressed(
  claimed: ClaimedTurn,
  channel: ChannelSettings,
  bodies: readonly string[],
  media: readonly string[],
  seams: TurnReplySeams,
): Promise<readonly NewOutbound[]> {
  const { clock, log } = seams;
  if (bodies.length === 0) return [];
  const { turn } = claimed;
  const now = clock.now();
  const { decision } = await askRecipient(channel, turn.address, now, seams);
  const forbidden: Explained | undefined = allows(decision)
    ? undefined
    : {
        meaning: `The reply may not be sent: ${[...decision.policies, ...decision.errors].join(", ") || "no policy permits send_message"}.`,
        fix: "Change the policy that forbids send_message to this recipient.",
      };
  if (forbidden !== undefined) log.warn("reply.forbidden", { turn: turn.id, policies: decision.policies });
  return bodies.map((body, index) => ({
    id: seams.newId("msg"),
    channel: channel.id,
    to: turn.address,
    text: body,
    mediaUrls: index === 0 ? media : [],
    segments: seams.text.segments(body),
    conversationId: turn.conversationId,
    turnId: turn.id,
    policies: decision.policies,
    ...(forbidden === undefined ? {} : { forbidden }),
    createdAt: now,
  }));
}
