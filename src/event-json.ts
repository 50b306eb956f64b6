import { rfc3339 } from "./clock.ts";
import { conversationJson } from "./conversation-json.ts";
import { type EventType, eventChannel, type ServiceEvent } from "./event.ts";
import { messageJson, statusJson } from "./message-json.ts";
import { signalJson } from "./signal-json.ts";
import { type Caller, can, maskMessage, maskSignal, reaches } from "./token.ts";

/** An event as webhooks and the event stream tell it. */
export interface EventJson {
  readonly id: string;
  readonly type: EventType;
  readonly at: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** True when the caller may be told of it: `read`, or for a signal `signals:await`, on its channel. */
export function maySee(caller: Caller, event: ServiceEvent): boolean {
  const channel = eventChannel(event);
  if (channel === undefined ? caller.channels !== undefined : !reaches(caller, channel)) return false;
  return can(caller, "read") || (event.type === "signal.matched" && can(caller, "signals:await"));
}

/** The event as this caller may see it: codes and the texts of signals only with `signals:await`. */
export function eventJson(caller: Caller, event: ServiceEvent): EventJson {
  return { id: event.id, type: event.type, at: rfc3339(event.at), data: dataOf(caller, event) };
}

function dataOf(caller: Caller, event: ServiceEvent): EventJson["data"] {
  switch (event.type) {
    case "message.received":
      return messageJson(maskMessage(caller, event.message));
    case "message.status":
      return statusJson(event.message, event.state);
    case "signal.matched":
      return {
        watch_id: event.watchId,
        channel: event.signal.channel,
        signal: { ...signalJson(maskSignal(caller, event.signal)) },
      };
    case "channel.status":
      return {
        id: event.channel,
        channel: event.channel,
        status: event.status,
        ...(event.reason === undefined ? {} : { reason: event.reason }),
        ...(event.fix === undefined ? {} : { fix: event.fix }),
      };
    case "conversation.ended":
      return conversationJson(event.conversation);
    case "alert":
      return {
        cause: event.cause,
        message: event.message,
        fix: event.fix,
        ...(event.channel === undefined ? {} : { channel: event.channel }),
      };
  }
}
