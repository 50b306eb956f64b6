import type { Annotation } from "./annotation.ts";

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

export function signalId(messageId: string): string {
  return messageId.replace(/^msg_/, "sig_");
}
