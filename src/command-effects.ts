import type { ChannelState } from "./channel.ts";
import type { Command } from "./command.ts";
import { nextParts } from "./compose.ts";
import type { NewId } from "./ids.ts";
import type { InboundEvent, NewOutbound } from "./message.ts";
import type { ChannelSettings, Settings } from "./settings.ts";
import type { Effect, HeldReply } from "./store.ts";
import type { TextTools } from "./text.ts";

export interface OwnTextSeams {
  readonly newId: NewId;
  readonly text: TextTools;
}

/** What a command does, but for its answer. */
export function commandEffects(
  command: Command,
  key: string,
  event: Pick<InboundEvent, "from">,
  channel: ChannelSettings,
  now: number,
): readonly Effect[] {
  const cancel: Effect = { kind: "cancel_turns", key, at: now, reason: `The sender texted /${command}.` };
  const goOn: Effect = { kind: "go_on", key, idleTimeout: channel.idleTimeout, at: now };
  switch (command) {
    case "new":
      return [
        cancel,
        { kind: "end_conversation", key, at: now },
        { kind: "hold", channel: channel.id, address: event.from, held: undefined },
      ];
    case "stop":
      // In this order: a turn that has run for long may be all that keeps its conversation open.
      return [goOn, cancel];
    case "help":
    case "status":
      return [goOn];
  }
}

/** The next parts of a held reply, which belong to its conversation as long as that is open. */
export function moreEffects(
  held: HeldReply,
  key: string,
  event: Pick<InboundEvent, "from">,
  channel: ChannelSettings,
  now: number,
  seams: OwnTextSeams & { readonly settings: () => Settings },
): readonly Effect[] {
  const atOnce = {
    messages: channel.reply.maxMessages,
    segments: seams.settings().limits.segmentsPerReply,
  };
  const { bodies, rest } = nextParts(held, atOnce, seams.text);
  const { conversationId, turnId } = held;
  const ifOpen = { key, idleTimeout: channel.idleTimeout, at: now };
  return [
    { kind: "go_on", ...ifOpen },
    { kind: "hold", channel: channel.id, address: event.from, held: rest, expected: held.id },
    ...bodies.map((body): Effect => {
      const outbound = outboundTo(channel.id, event.from, body, now, seams);
      return { kind: "send", outbound: { ...outbound, conversationId, turnId }, ifOpen };
    }),
  ];
}

/** What a command is answered with: one segment, GSM-7. */
export function answerTo(command: Command, channel: ChannelSettings, state: ChannelState): string {
  switch (command) {
    case "new":
      return "New conversation. What can I do for you?";
    case "stop":
      return "Stopped.";
    case "help":
      return "/new starts a fresh conversation, /stop cancels what is running, /status shows how things are, MORE continues a long reply. STOP ends all texts.";
    case "status":
      return `${channel.id}: ${state.status}. Agent: ${channel.agent ?? "none"}.`;
  }
}

/** A text of our own, counted as it will be billed. */
export function outboundTo(
  channel: string,
  to: string,
  body: string,
  now: number,
  seams: OwnTextSeams,
): NewOutbound {
  return {
    id: seams.newId("msg"),
    channel,
    to,
    text: body,
    mediaUrls: [],
    segments: seams.text.segments(body),
    createdAt: now,
  };
}
