import { addressKind, isSendable, redactAddress } from "./address.ts";
import { type ChannelState, policyChannel } from "./channel.ts";
import type { Clock } from "./clock.ts";
import { sessionKey } from "./conversation.ts";
import type { Explained } from "./errors.ts";
import type { NewId } from "./ids.ts";
import type { Log } from "./log.ts";
import { channelsOf } from "./loop.ts";
import { unknownChannel } from "./named-channel.ts";
import { allows, type PolicyDecision, type PolicyEngine } from "./policy.ts";
import type { ChannelSettings, Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import { MAX_BODY, type TextTools } from "./text.ts";
import { type Tool, type ToolContext, ToolFailure } from "./tool.ts";

export interface SendMessageSeams {
  readonly settings: () => Settings;
  readonly policy: () => PolicyEngine;
  readonly countryOf: (address: string) => string;
  readonly channelState: (channel: string) => ChannelState;
  readonly store: Pick<Store, "senderFacts" | "addresses" | "inConversation" | "enqueue" | "journal">;
  readonly text: TextTools;
  readonly newId: NewId;
  readonly clock: Clock;
  readonly log: Log;
  /** Told when something was put into the outbox. */
  readonly onSend: () => void;
}

/** Messages that one turn may send to others: what a text talks the model into stays affordable. */
const MAX_PER_TURN = 5;

interface Contact {
  readonly label: string;
  readonly address: string;
}

/** The agents' `send_message`: one text to somebody else than the person the turn answers. */
export function createSendMessage(seams: SendMessageSeams): Tool {
  const { store, clock } = seams;

  /** Those the operator gave a name, as far as this channel reaches them. */
  async function contactsOf(channel: ChannelSettings): Promise<readonly Contact[]> {
    const { home } = seams.settings();
    const named = [
      ...(await store.addresses(channel.id)),
      ...channel.allowedSenders,
      ...(home?.channel === channel.id ? [home] : []),
    ];
    return named.flatMap(({ address, label }) => (label === undefined ? [] : { label, address }));
  }

  async function decide(
    address: string,
    channel: ChannelSettings,
    agent: string,
    dryRun: boolean,
  ): Promise<{ readonly decision: PolicyDecision; readonly paired: boolean }> {
    const now = clock.now();
    const facts = await store.senderFacts({ channel: channel.id, address, now });
    // A conversation on the channel of another agent is that agent's.
    const own = channel.agent === agent;
    const paired = facts.paired !== undefined;
    const decision = seams.policy().decide(
      {
        action: "send_message",
        agent,
        channel: policyChannel(channel),
        recipient: {
          address,
          kind: addressKind(address) ?? "alphanumeric",
          country: seams.countryOf(address),
          paired,
          inConversation: own && (await store.inConversation(channel.id, address)),
        },
        pairedAddresses: facts.pairedAddresses,
        now,
      },
      { dryRun },
    );
    return { decision, paired };
  }

  /** The names the agent may text, for a model that used another one. */
  async function known(channel: ChannelSettings, agent: string): Promise<string> {
    const names: string[] = [];
    for (const { label, address } of await contactsOf(channel)) {
      if (!names.includes(label) && allows((await decide(address, channel, agent, true)).decision))
        names.push(label);
    }
    return names.length === 0
      ? "Nobody on this channel has a name you may text."
      : `Known: ${names.join(", ")}.`;
  }

  function channelNamed(name: string): ChannelSettings {
    const { channels } = seams.settings();
    const found = Object.values(channels).find(({ id }) => id === name);
    if (found?.mode === "signal") throw new ToolFailure(`The channel ${name} only receives.`);
    if (found !== undefined) return found;
    const sending = Object.values(channels).filter(({ mode }) => mode === "message");
    throw new ToolFailure(
      unknownChannel(
        name,
        sending.map(({ id }) => id),
      ),
    );
  }

  /** Whom and through which channel. The home phone, named by its label, is reached through its own channel. */
  async function recipientOf(to: string, named: string | undefined, context: ToolContext) {
    const channel = channelNamed(named ?? context.channel);
    const number = asNumber(to);
    if (number !== undefined) return { channel, address: onNetworkOf(channel, number), name: to };
    const { home } = seams.settings();
    const found = new Set(
      (await contactsOf(channel)).filter(({ label }) => isSame(label, to)).map(({ address }) => address),
    );
    if (found.size > 1) throw new ToolFailure(`${to} is the name of several phones; ask for the number.`);
    const [address] = found;
    if (address !== undefined) return { channel, address, name: to };
    if (named === undefined && home?.label !== undefined && isSame(home.label, to))
      return { channel: channelNamed(home.channel), address: home.address, name: to };
    throw new ToolFailure(`Nobody is called ${to}. ${await known(channel, context.agent)}`);
  }

  function bodyOf(markdown: string, channel: ChannelSettings): string {
    const { segmentsPerReply } = seams.settings().limits;
    const tooLong = new ToolFailure(
      `The text is too long: at most ${MAX_BODY} characters and ${segmentsPerReply} SMS segments. Shorten it.`,
    );
    // No Markdown of this length becomes so short a text, and megabytes would take seconds to find that out.
    if (markdown.length > 10 * MAX_BODY) throw tooLong;
    const plain = seams.text.render(markdown, channel.reply.economy);
    const [body, ...more] = seams.text.split(plain, { segments: segmentsPerReply });
    if (body === undefined) throw new ToolFailure("The text is empty.");
    if (more.length > 0) throw tooLong;
    return body;
  }

  /** Counted in the journal, so that a restart does not begin anew. */
  async function checkCount({ turnId, callId }: ToolContext): Promise<void> {
    const calls = (await store.journal(turnId)).flatMap((entry) =>
      entry.kind === "call_started" && entry.tool === NAME ? entry.callId : [],
    );
    const before = calls.includes(callId) ? calls.indexOf(callId) : calls.length;
    if (before >= MAX_PER_TURN)
      throw new ToolFailure(`At most ${MAX_PER_TURN} messages may be sent for one text of the person.`);
  }

  return {
    name: NAME,
    description:
      "Sends one text message to somebody else than the person you are answering. Name the recipient by the " +
      "name they are known under, or by their number in the form +15551234567. To answer the person themself, " +
      "just write your reply.",
    inputSchema: INPUT,
    async call(input, context) {
      const to = stringOf(input, "to", true);
      const text = stringOf(input, "text", true);
      const named = stringOf(input, "channel", false);
      await checkCount(context);
      const { channel, address, name } = await recipientOf(to, named, context);
      // It would come back as somebody's text.
      if (channelsOf(address, Object.values(seams.settings().channels), seams.channelState).length > 0)
        throw new ToolFailure(`${name} is a number of this service itself.`);
      if (channel.id === context.channel && address === context.from)
        throw new ToolFailure("That is the person you are answering: write it in your reply.");
      const body = bodyOf(text, channel);
      const now = clock.now();
      const { decision, paired } = await decide(address, channel, context.agent, false);
      const forbidden = allows(decision) ? undefined : refusalOf(decision);
      const outcome = await store.enqueue(
        {
          id: seams.newId("msg"),
          channel: channel.id,
          to: address,
          text: body,
          mediaUrls: [],
          segments: seams.text.segments(body),
          turnId: context.turnId,
          policies: decision.policies,
          ...(forbidden === undefined ? {} : { forbidden }),
          createdAt: now,
        },
        {
          key: `turn/${context.turnId}/${context.callId}`,
          fingerprint: JSON.stringify([channel.id, address, body]),
        },
        // Whoever answers is understood: what was asked stands in their own conversation.
        {
          key: sessionKey(channel, address, paired),
          conversationId: seams.newId("conv"),
          channel: channel.id,
          address,
          agent: channel.agent ?? context.agent,
          idleTimeout: channel.idleTimeout,
          at: now,
        },
      );
      if (outcome.kind === "key_conflict")
        throw new ToolFailure("This call has sent another message already; its outcome stands.");
      seams.log.info("tool.message", {
        turn: context.turnId,
        message: outcome.id,
        channel: channel.id,
        to: redactAddress(address),
        state: outcome.state,
      });
      if (outcome.state === "suppressed")
        throw new ToolFailure(
          forbidden === undefined
            ? `${name} has opted out with STOP, so nothing is sent. Only they can lift that, by texting START.`
            : `You may not text ${name}: no policy permits it, or one forbids it.`,
        );
      seams.onSend();
      return { kind: "done", text: JSON.stringify({ id: outcome.id, state: outcome.state }) };
    },
  };
}

const NAME = "send_message";

function stringOf(input: Readonly<Record<string, unknown>>, field: string, required: true): string;
function stringOf(
  input: Readonly<Record<string, unknown>>,
  field: string,
  required: false,
): string | undefined;
function stringOf(input: Readonly<Record<string, unknown>>, field: string, required: boolean) {
  const value = input[field];
  if (typeof value === "string" && value.trim() !== "") return value.trim();
  if (!required && (value === undefined || value === null || value === "")) return undefined;
  throw new ToolFailure(`${field} must be a text that is not empty.`);
}

/** A number as people write it; undefined for what is a name. */
function asNumber(to: string): string | undefined {
  const bare = to.replace(/[\s().\u00a0-]/g, "");
  return isSendable(bare) ? bare : undefined;
}

/** A WhatsApp sender reaches WhatsApp addresses only, and no other sender does. */
function onNetworkOf(channel: ChannelSettings, address: string): string {
  const whatsapp = channel.sender.kind === "number" && channel.sender.number.startsWith("whatsapp:");
  if (whatsapp && addressKind(address) === "mobile") return `whatsapp:${address}`;
  const reached = channel.sender.kind === "service" || whatsapp === address.startsWith("whatsapp:");
  if (!reached) throw new ToolFailure(`The channel ${channel.id} does not reach ${address}.`);
  return address;
}

function isSame(label: string, name: string): boolean {
  const plain = (text: string) => text.normalize("NFKC").trim().toLowerCase();
  return plain(label) === plain(name);
}

function refusalOf(decision: PolicyDecision): Explained {
  const rules = [...decision.policies, ...decision.errors].join(", ") || "no policy permits send_message";
  return {
    meaning: `An agent's message may not be sent: ${rules}.`,
    fix: "To let the agent text this recipient, pair it or permit send_message in a policy.",
  };
}

const INPUT = {
  type: "object",
  properties: {
    to: { type: "string", description: "The recipient's name, or number in the form +15551234567." },
    text: { type: "string", description: "What to say, briefly; it is charged by length." },
    channel: { type: "string", description: "Send through this channel instead of the one you are on." },
  },
  required: ["to", "text"],
  additionalProperties: false,
} as const;
