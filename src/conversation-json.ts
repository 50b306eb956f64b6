import { rfc3339 } from "./clock.ts";
import type { Conversation } from "./conversation.ts";

/** A conversation as every door shows it. */
export function conversationJson(conversation: Conversation) {
  const { id, channel, address, agent, startedAt, lastAt, endedAt, messages } = conversation;
  return {
    id,
    channel,
    address,
    agent,
    started_at: rfc3339(startedAt),
    last_at: rfc3339(lastAt),
    ...(endedAt === undefined ? {} : { ended_at: rfc3339(endedAt) }),
    messages,
  };
}
