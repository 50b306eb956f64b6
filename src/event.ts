import type { ChannelStatus } from "./channel.ts";
import type { Conversation } from "./conversation.ts";
import type { DeliveryState, Message } from "./message.ts";
import type { Signal } from "./signal.ts";

/** What webhooks and the event stream tell. */
export const EVENT_TYPES = [
  "message.received",
  "message.status",
  "signal.matched",
  "channel.status",
  "conversation.ended",
  "alert",
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/**
 * Something that has happened, with what it is about as that is now: the log of events keeps references only, so
 * that a text which is erased is erased from every event too.
 */
export type ServiceEvent = EventContent & {
  /** `evt_…`: the same whenever the event is told, and on each repetition. */
  readonly id: string;
  /** Its place in the log; counts up. */
  readonly position: number;
  readonly at: number;
};

export type EventContent =
  /** An admitted text of route `message`. */
  | { readonly type: "message.received"; readonly message: Message }
  /** An outbound message came to `state`; the message itself may be further by now. */
  | { readonly type: "message.status"; readonly message: Message; readonly state: DeliveryState }
  | { readonly type: "signal.matched"; readonly watchId: string; readonly signal: Signal }
  | ChannelStatusEvent
  | { readonly type: "conversation.ended"; readonly conversation: Conversation }
  | AlertEvent;

export interface ChannelStatusEvent {
  readonly type: "channel.status";
  readonly channel: string;
  readonly status: ChannelStatus;
  readonly reason?: string;
  readonly fix?: string;
}

/** Something the operator must know of. */
export interface AlertEvent {
  readonly type: "alert";
  /** Stable, and one per thing that can go wrong: `channel.failed/sms`. */
  readonly cause: string;
  readonly message: string;
  readonly fix: string;
  /** Where it concerns one channel only. */
  readonly channel?: string;
}

/** The channel an event is about; undefined for what concerns the whole service. */
export function eventChannel(event: EventContent): string | undefined {
  switch (event.type) {
    case "message.received":
    case "message.status":
      return event.message.channel;
    case "signal.matched":
      return event.signal.channel;
    case "conversation.ended":
      return event.conversation.channel;
    case "channel.status":
    case "alert":
      return event.channel;
  }
}
