import { type Annotation, annotate } from "./annotation.ts";

/** An inbound message offered to watches, with what was found in it. */
export interface Signal {
  /** `sig_…`: the message's id under another prefix, so that a signal and its message name each other. */
  readonly id: string;
  readonly messageId: string;
  readonly channel: string;
  readonly from: string;
  readonly receivedAt: number;
  readonly text: string;
  readonly numMedia: number;
  readonly annotation: Annotation;
}

/** The signal, whose annotation is made when somebody first asks for it: most texts are of interest to no watch. */
export function annotatedLater(signal: Omit<Signal, "annotation">): Signal {
  let known: Annotation | undefined;
  const { id, messageId, channel, from, receivedAt, text, numMedia } = signal;
  return {
    id,
    messageId,
    channel,
    from,
    receivedAt,
    text,
    numMedia,
    get annotation() {
      known ??= annotate(text, from);
      return known;
    },
  };
}

export function signalId(messageId: string): string {
  return messageId.startsWith("msg_") ? `sig_${messageId.slice("msg_".length)}` : messageId;
}
