import type { ConnectOutcome } from "./carrier.ts";
import { type ChannelView, channelView, type PairingView, pairingView } from "./channel-view.ts";
import type { Channels } from "./channels.ts";
import type { Clock } from "./clock.ts";
import type { ChannelChange, Configuration, ConfigurationError } from "./configuration.ts";
import type { Conversation } from "./conversation.ts";
import { AppError } from "./errors.ts";
import { carrierFindings, type Finding } from "./finding.ts";
import { openHome } from "./home.ts";
import type { NewId } from "./ids.ts";
import type { DeliveryState, Message, MessageEvent } from "./message.ts";
import { namedChannel } from "./named-channel.ts";
import type { PairedAddress } from "./pairing.ts";
import type { PolicyDecision, PolicyEngine, PolicyInfo } from "./policy.ts";
import { checkPolicy, type PolicyCheck } from "./policy-check.ts";
import type { Readiness } from "./readiness.ts";
import { type ResendCommand, resend } from "./resend.ts";
import { checkSend, type SendCommand, sendFingerprint } from "./send-command.ts";
import type { ChannelSettings, Settings } from "./settings.ts";
import type { MessageQuery, Page, Store } from "./store.ts";
import type { TextTools } from "./text.ts";
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

export interface NotifyCommand {
  readonly text: string;
  readonly idempotencyKey?: string;
}

export interface UsageView {
  readonly currency: string;
  readonly days: readonly (DayUsage & { readonly cost: number })[];
  readonly limits: { readonly segmentsPerDay: number; readonly usedToday: number };
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
    return namedChannel(seams.settings(), channel);
  }

  const view = (settings: ChannelSettings) => channelView(settings, channels);

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
        : { key: command.idempotencyKey, fingerprint: await sendFingerprint(command, seams.mediaDigest) },
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
      const detail = reason === undefined ? `it is ${status}` : `it is ${status}: ${reason}`;
      const now: Finding =
        status === "connected" || status === "pairing"
          ? { name, status: "ok", detail, ...(fix === undefined ? {} : { fix }) }
          : { name, status: "warn", detail, fix: fix ?? "See the log." };
      const outcome = await seams.probe(id);
      return outcome === undefined ? [now] : [now, ...carrierFindings(name, outcome)];
    },
    async beginPairing(channel) {
      const settings = settingsOf(channel);
      const pairing = await channels.beginPairing(channel);
      return found(pairingView(settings, channels.state(channel), pairing), "pairing code");
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
      return checkPolicy(check, settingsOf(check.channel), seams);
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
