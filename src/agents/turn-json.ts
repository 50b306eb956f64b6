import type { TurnRequest } from "../agent.ts";
import type { Media } from "../message.ts";

/**
 * One turn as `http` agents get it in the body and `command` agents on stdin. A contract with programs of
 * others: fields may be added, none may change. `label` is absent when the sender's phone has no name, `split_from` but in
 * a turn for one text of an earlier one.
 */
export function turnJson(request: TurnRequest): string {
  return JSON.stringify({
    turn_id: request.turnId,
    split_from: request.splitFrom,
    channel: request.channel,
    agent: request.agent,
    conversation_id: request.conversationId,
    from: request.from,
    label: request.label,
    timezone: request.timezone,
    text: request.text,
    media: request.media.map(mediaJson),
    messages: request.messages.map(({ role, text, media }) => ({ role, text, media: media.map(mediaJson) })),
  });
}

function mediaJson({ url, contentType }: Media) {
  return { url, content_type: contentType };
}
