import { rfc3339 } from "./clock.ts";
import type { DeliveryState, Message } from "./message.ts";

/** A message as every door shows it. Absent means not applicable. */
export function messageJson(message: Message) {
  const { text } = message;
  return { ...envelopeJson(message, message.state), ...(text === undefined ? {} : { text }) };
}

/** What is told of a message when it comes to a state: all but what it says, which may hold codes. */
export function statusJson(message: Message, state: DeliveryState) {
  return envelopeJson(message, state);
}

function envelopeJson(message: Message, state: Message["state"]) {
  const { media, route, conversationId, turnId, providerSid, segments, policies, error, late } = message;
  return {
    id: message.id,
    channel: message.channel,
    direction: message.direction,
    from: message.from,
    to: message.to,
    media: media.map(({ url, contentType }) => ({ url, content_type: contentType })),
    state,
    ...(route === undefined ? {} : { route }),
    ...(conversationId === undefined ? {} : { conversation_id: conversationId }),
    ...(turnId === undefined ? {} : { turn_id: turnId }),
    ...(providerSid === undefined ? {} : { provider_sid: providerSid }),
    ...(segments === undefined ? {} : { segments }),
    ...(policies === undefined ? {} : { policies: [...policies] }),
    // Of a state it has left behind, the error says nothing.
    ...(error === undefined || state !== message.state ? {} : { error: { ...error } }),
    ...(late === true ? { late } : {}),
    created_at: rfc3339(message.createdAt),
  };
}
