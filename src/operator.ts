import { addressKind, isSendable } from "./address.ts";
import type { ConnectOutcome } from "./carrier.ts";
import { type ChannelState, channelNumber, policyChannel, principalOf } from "./channel.ts";
import type { Channels } from "./channels.ts";
import type { Clock } from "./clock.ts";
import type { ChannelChange, Configuration, ConfigurationError } from "./configuration.ts";
import type { Conversation } from "./conversation.ts";
import { AppError } from "./errors.ts";
import { carrierFindings, type Finding } from "./finding.ts";
import { openHome } from "./home.ts";
import type { NewId } from "./ids.ts";
import type { DeliveryState, Message, MessageEvent } from "./message.ts";
import { type PairedAddress, type Pairing, pairingLink } from "./pairing.ts";
import type { PolicyDecision, PolicyEngine, PolicyInfo } from "./policy.ts";
import type { Readiness } from "./readiness.ts";
import { type ResendCommand, resend } from "./resend.ts";
import type { ChannelSettings, Mode, Settings } from "./settings.ts";
import type { MessageQuery, Page, Store } from "./store.ts";
import { MAX_BODY, type TextTools } from "./text.ts";
import type { TurnRecord } from "./turn-record.ts";
import { costOf, createLocalDays, type DayUsage } from "./usage.ts";

/**
 * What the operator can see and do, for every door that leads here (REST, CLI, console). Rejects with
 * AppError only: `not_found` for ids that do not exist, `invalid` with the field for bad input.
 */
export interface Operator {
  channels(): Promise<readonly ChannelView[]>;
  channel(id: string): Promise<ChannelView>;
  /** Switches a channel, in the configuration file too; `conflict` says why it cannot be, and what to do. */
  changeChannel(id: string, change: ChannelChange): Promise<ChannelView>;
  /** Asks the channel's carrier whether all is as it should be; changes nothing. */
  testChannel(id: string): Promise<readonly Finding[]>;
  beginPairing(channel: string): Promise<PairingView>;
  cancelPairing(channel: string): Promise<void>;
  addresses(channel: string): Promise<readonly PairedAddress[]>;
  labelAddress(channel: string, address: string, label: string | undefined): Promise<PairedAddress>;
  revokeAddress(channel: string, address: string): Promise<void>;
  messages(query: MessageQuery): Promise<Page<Message>>;
  message(id: string): Promise<MessageView>;
  send(request: SendCommand): Promise<{ readonly id: string; readonly state: DeliveryState }>;
  /**
   * Sends again what came to a bad or unknown end, or has the agent answer a text that has failed; `conflict` says why
   * not, and what to do.
   */
  resend(request: ResendCommand): ReturnType<typeof resend>;
  /** The channel of the home phone, where one is configured. */
  homeChannel(): string | undefined;
  /** Texts the home phone; `conflict` when there is none, or it has opted out. */
  notify(command: NotifyCommand): Promise<{ readonly id: string; readonly state: DeliveryState }>;
  /** Of the last `days` local days, today included. */
  usage(days: number): Promise<UsageView>;
  conversations(query: Parameters<Store["conversations"]>[0]): Promise<Page<Conversation>>;
  conversation(id: string): Promise<Conversation & { readonly turns: readonly TurnRecord[] }>;
  endConversation(id: string): Promise<Conversation>;
  policies(): readonly PolicyInfo[];
  checkPolicy(question: PolicyCheck): Promise<PolicyDecision>;
  configuration(): ConfigurationView;
  ready(): Promise<Readiness>;
}

/** The configuration file, and why what it says is not in force. */
export interface ConfigurationView {
  /** As it was named at the start; absent when there was none. */
  readonly file?: string;
  readonly error?: ConfigurationError;
}

export type MessageView = Message & {
  readonly events: readonly MessageEvent[];
  /** The agent run that it was answered in, or that made it. */
  readonly turn?: TurnRecord;
};

export interface ChannelView {
  readonly id: string;
  readonly provider: "twilio" | "simulator";
  /** A number, or the Messaging Service's sid until its numbers are known. */
  readonly number: string;
  readonly mode: Mode;
  readonly agent?: string;
  readonly enabled: boolean;
  readonly state: ChannelState;
  readonly pairedAddresses: number;
  readonly pairing?: PairingView;
}

export interface PairingView {
  readonly code: string;
  readonly expiresAt: number;
  readonly number: string;
  readonly smsUri: string;
}

export interface SendCommand {
  readonly channel: string;
  readonly to: string;
  readonly body?: string;
  readonly mediaUrls?: readonly string[];
  readonly contentSid?: string;
  readonly contentVariables?: string;
  readonly idempotencyKey?: string;
}

export interface NotifyCommand {
  readonly text: string;
  readonly idempotencyKey?: string;
}

export interface UsageView {
  readonly currency: string;
  readonly days: readonly (DayUsage & { readonly cost: number })[];
  readonly limits: { readonly segmentsPerDay: number; readonly usedToday: number };
}

export interface PolicyCheck {
  readonly action: "receive_message" | "receive_signal" | "send_message";
  readonly channel: string;
  readonly from: string;
  readonly agent?: string;
}

export interface OperatorSeams {
  readonly settings: () => Settings;
  /** What keeps the service from its work. */
  readonly readiness: () => Promise<Readiness>;
  readonly configuration: Pick<Configuration, "file" | "change" | "error">;
  readonly policy: () => PolicyEngine;
  readonly channels: Channels;
  /** Looks at a channel's carrier without setting anything; undefined where there is none at the moment. */
  readonly probe: (channel: string) => Promise<ConnectOutcome | undefined>;
  readonly countryOf: (address: string) => string;
  readonly store: Store;
  readonly text: TextTools;
  readonly newId: NewId;
  readonly clock: Clock;
  /** Tells an uploaded file by its content; undefined for other URLs. */
  readonly mediaDigest: (url: string) => Promise<string | undefined>;
  /** Told when something was put into the outbox. */
  readonly onSend: () => void;
  /** Told when a turn was queued. */
  readonly onTurn: () => void;
  /** Told when a conversation was ended, so that its running turn stops. */
  readonly onEnded: (conversation: Conversation) => void;
}

export function createOperator(seams: OperatorSeams): Operator {
  const { store, channels, clock } = seams;
  const localDay = createLocalDays(() => seams.settings().timezone);

  function settingsOf(channel: string): ChannelSettings {
    const settings = seams.settings().channels[channel];
    if (settings === undefined) throw new AppError("not_found", `There is no channel ${channel}.`);
    return settings;
  }

  function numberOf(settings: ChannelSettings): string {
    const known = channelNumber(settings, channels.state(settings.id));
    return known ?? (settings.sender.kind === "service" ? settings.sender.sid : settings.sender.number);
  }

  function pairingView(settings: ChannelSettings, pairing: Pairing): PairingView {
    const number = numberOf(settings);
    return {
      code: pairing.code,
      expiresAt: pairing.expiresAt,
      number,
      smsUri: pairingLink(number, pairing.code),
    };
  }

  function view(settings: ChannelSettings): ChannelView {
    const pairing = channels.pairing(settings.id);
    return {
      id: settings.id,
      provider: settings.provider,
      number: numberOf(settings),
      mode: settings.mode,
      ...(settings.agent === undefined ? {} : { agent: settings.agent }),
      enabled: settings.enabled,
      state: channels.state(settings.id),
      pairedAddresses: channels.pairedCount(settings.id),
      ...(pairing === undefined ? {} : { pairing: pairingView(settings, pairing) }),
    };
  }

  function found<T>(thing: T | undefined, what: string): T {
    if (thing === undefined) throw new AppError("not_found", `There is no ${what}.`);
    return thing;
  }

  async function send(command: SendCommand): ReturnType<Operator["send"]> {
    const checked = checkSend(command, seams);
    const now = clock.now();
    const outcome = await store.enqueue(
      {
        id: seams.newId("msg"),
        channel: checked.channel,
        to: checked.to,
        text: checked.body ?? "",
        mediaUrls: checked.mediaUrls ?? [],
        ...(checked.contentSid === undefined ? {} : { contentSid: checked.contentSid }),
        ...(checked.contentVariables === undefined ? {} : { contentVariables: checked.contentVariables }),
        segments: seams.text.segments(checked.body ?? ""),
        createdAt: now,
      },
      command.idempotencyKey === undefined
        ? undefined
        : { key: command.idempotencyKey, fingerprint: await fingerprint(command, seams.mediaDigest) },
    );
    if (outcome.kind === "key_conflict")
      throw new AppError("conflict", "This Idempotency-Key was used for another message.", {
        fix: "Use a new key for a new message, or repeat the first request exactly.",
      });
    if (outcome.kind === "created") seams.onSend();
    return { id: outcome.id, state: outcome.state };
  }

  return {
    async channels() {
      return Object.values(seams.settings().channels).map(view);
    },
    async channel(id) {
      return view(settingsOf(id));
    },
    async changeChannel(id, change) {
      settingsOf(id);
      await seams.configuration.change(id, change);
      return view(settingsOf(id));
    },
    async testChannel(id) {
      settingsOf(id);
      const name = `channel ${id}`;
      const { status, reason, fix } = channels.state(id);
      const now: Finding = {
        name,
        status: status === "connected" || status === "pairing" ? "ok" : "warn",
        detail: reason === undefined ? `it is ${status}` : `it is ${status}: ${reason}`,
        ...(fix === undefined ? {} : { fix }),
      };
      const outcome = await seams.probe(id);
      return outcome === undefined ? [now] : [now, ...carrierFindings(name, outcome)];
    },
    async beginPairing(channel) {
      const settings = settingsOf(channel);
      return pairingView(settings, await channels.beginPairing(channel));
    },
    async cancelPairing(channel) {
      settingsOf(channel);
      if (!(await channels.cancelPairing(channel)))
        throw new AppError("not_found", `No pairing code is pending on ${channel}.`);
    },
    async addresses(channel) {
      settingsOf(channel);
      return store.addresses(channel);
    },
    async labelAddress(channel, address, label) {
      settingsOf(channel);
      if (!(await store.labelAddress(channel, address, label)))
        throw new AppError("not_found", `${address} is not paired with ${channel}.`);
      const all = await store.addresses(channel);
      return found(
        all.find((paired) => paired.address === address),
        `paired address ${address}`,
      );
    },
    async revokeAddress(channel, address) {
      settingsOf(channel);
      if (!(await store.revokeAddress(channel, address)))
        throw new AppError("not_found", `${address} is not paired with ${channel}.`);
      await channels.addressesChanged(channel);
    },
    async messages(query) {
      if (query.channel !== undefined) settingsOf(query.channel);
      return store.messages(query);
    },
    async message(id) {
      const message = found(await store.message(id), `message ${id}`);
      const turn = message.turnId === undefined ? undefined : await store.turn(message.turnId);
      // What an agent sends through another channel was done in a conversation of that one.
      return turn?.channel === message.channel ? { ...message, turn } : message;
    },
    send,
    resend: (request) => resend(request, { ...seams, channelState: channels.state }),
    homeChannel: () => seams.settings().home?.channel,
    async notify({ text, idempotencyKey }) {
      const { channel, address } = await openHome(seams.settings(), store);
      const key = idempotencyKey === undefined ? {} : { idempotencyKey };
      return send({ channel, to: address, body: text, ...key }).catch((error: unknown) => {
        throw renamed(error, "body", "text");
      });
    },
    async usage(days) {
      const { prices, limits } = seams.settings();
      const now = clock.now();
      const since = localDay(now - (days - 1) * DAY).day;
      const rows = await store.usage(since);
      return {
        currency: prices.currency,
        days: rows.map((row) => ({ ...row, cost: costOf(row, prices) })),
        limits: { segmentsPerDay: limits.segmentsPerDay, usedToday: await store.segmentsUsed(now) },
      };
    },
    async conversations(query) {
      if (query.channel !== undefined) settingsOf(query.channel);
      return store.conversations(query);
    },
    async conversation(id) {
      const conversation = found(await store.conversation(id), `conversation ${id}`);
      return { ...conversation, turns: await store.turnsOf(id, TURNS_SHOWN) };
    },
    async endConversation(id) {
      const conversation = found(await store.conversation(id), `conversation ${id}`);
      if (!(await store.endConversation(id, clock.now())))
        throw new AppError("conflict", `Conversation ${id} has ended already.`);
      seams.onEnded(conversation);
      return found(await store.conversation(id), `conversation ${id}`);
    },
    policies: () => seams.policy().list(),
    async checkPolicy(check) {
      const settings = settingsOf(check.channel);
      const kind = addressKind(check.from);
      if (kind === undefined)
        throw new AppError("invalid", "from is not a phone address.", {
          problems: [
            { path: "from", message: 'Write "+15551234567", a short code, a sender name or "whatsapp:+1…".' },
          ],
        });
      const agent = check.agent ?? principalOf(settings);
      if (agent !== "api" && !(agent in seams.settings().agents))
        throw new AppError("invalid", `There is no agent ${agent}.`, {
          problems: [
            { path: "agent", message: `Configured are: ${Object.keys(seams.settings().agents).join(", ")}.` },
          ],
        });
      const now = clock.now();
      const facts = await store.senderFacts({ channel: check.channel, address: check.from, now });
      const party = {
        address: check.from,
        kind,
        country: seams.countryOf(check.from),
        paired: facts.paired !== undefined,
      };
      const common = { agent, channel: policyChannel(settings), pairedAddresses: facts.pairedAddresses, now };
      if (check.action === "send_message") {
        const inConversation = await store.inConversation(check.channel, check.from);
        return seams
          .policy()
          .decide(
            { ...common, action: "send_message", recipient: { ...party, inConversation } },
            { dryRun: true },
          );
      }
      return seams
        .policy()
        .decide({ ...common, action: check.action, sender: party, numMedia: 0 }, { dryRun: true });
    },
    configuration() {
      const { file } = seams.configuration;
      const error = seams.configuration.error();
      return { ...(file === undefined ? {} : { file }), ...(error === undefined ? {} : { error }) };
    },
    ready: seams.readiness,
  };
}

const DAY = 24 * 3_600_000;
/** Turns that are shown with a conversation. */
const TURNS_SHOWN = 20;

/** The same refusal, where the caller knows the field under another name. */
function renamed(error: unknown, from: string, to: string): unknown {
  if (!(error instanceof AppError)) return error;
  const problems = error.problems.map(({ path, message }) => ({ path: path === from ? to : path, message }));
  return new AppError(error.code, error.message, {
    problems,
    ...(error.fix === undefined ? {} : { fix: error.fix }),
  });
}

/** Everything wrong with a send at once, each with its field. */
function checkSend(command: SendCommand, seams: Pick<OperatorSeams, "settings" | "channels">): SendCommand {
  const problems: { path: string; message: string }[] = [];
  const known = Object.keys(seams.settings().channels);
  if (!known.includes(command.channel))
    problems.push({
      path: "channel",
      message: `There is no channel ${command.channel}; there is: ${known.join(", ")}.`,
    });
  if (!isSendable(command.to))
    problems.push({
      path: "to",
      message: 'Write the number in E.164 form, "+15551234567" or "whatsapp:+15551234567".',
    });
  const settings = seams.settings().channels[command.channel];
  const own = settings === undefined ? [] : [...seams.channels.state(settings.id).numbers];
  if (settings?.sender.kind === "number") own.push(settings.sender.number);
  if (own.includes(command.to)) problems.push({ path: "to", message: "This is the channel's own number." });
  const media = command.mediaUrls ?? [];
  if (media.length > 10) problems.push({ path: "media_urls", message: "At most 10." });
  for (const [index, url] of media.entries()) {
    if (!/^https?:\/\/[^\s]+$/i.test(url))
      problems.push({
        path: `media_urls.${index}`,
        message: "Only http and https URLs; upload a file first and use its url.",
      });
  }
  const body = command.body ?? "";
  if (body.length > MAX_BODY)
    problems.push({ path: "body", message: `At most ${MAX_BODY} characters; this has ${body.length}.` });
  const odd = unprintable(body);
  if (odd !== undefined) problems.push({ path: "body", message: `${odd} cannot be sent in a text.` });
  if (body.trim() === "" && media.length === 0 && command.contentSid === undefined)
    problems.push({ path: "body", message: "A message needs a body, media_urls or content_sid." });
  if (command.contentSid !== undefined && !/^HX[0-9a-fA-F]{32}$/.test(command.contentSid))
    problems.push({ path: "content_sid", message: "A content SID is HX followed by 32 hexadecimal digits." });
  if (command.contentVariables !== undefined && command.contentSid === undefined)
    problems.push({ path: "content_variables", message: "Goes only with content_sid." });
  if (problems.length > 0)
    throw new AppError("invalid", "The message cannot be sent as given.", { problems });
  return command;
}

/** The first control character or half of a surrogate pair, named; line breaks and tabs are fine. */
function unprintable(text: string): string | undefined {
  const found = /[^\P{Cc}\n\r\t]|\p{Cs}/u.exec(text)?.[0];
  if (found === undefined) return undefined;
  return `The character U+${(found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Two requests under one key are the same when all that reaches the phone is. */
async function fingerprint(command: SendCommand, digestOf: OperatorSeams["mediaDigest"]): Promise<string> {
  const { idempotencyKey: _key, mediaUrls = [], ...rest } = command;
  const media = await Promise.all(mediaUrls.map(async (url) => (await digestOf(url)) ?? url));
  const fields = Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([fields, media]);
}
