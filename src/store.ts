import type { Annotation } from "./annotation.ts";
import type { SendOutcome } from "./carrier.ts";
import type { ConfirmationStore, PendingConfirmation } from "./confirmation.ts";
import type { Conversation } from "./conversation.ts";
import type { DepthStore } from "./depths.ts";
import type { DoubtStore } from "./doubt-store.ts";
import type { Explained } from "./errors.ts";
import type { EventStore, WebhookStore } from "./event-store.ts";
import type { JudgementStore } from "./judgement.ts";
import type {
  DeliveryState,
  InboundState,
  Media,
  Message,
  MessageEvent,
  NewOutbound,
  Route,
  StatusEvent,
} from "./message.ts";
import type { PairedAddress, Pairing } from "./pairing.ts";
import type { RetentionStore } from "./retention.ts";
import type { OfferOutcome, OfferSignal, SignalStore } from "./signal-store.ts";
import type { ReminderStore, ScheduleStore } from "./timed.ts";
import type { TokenStore } from "./token-store.ts";
import type { JournalEntry } from "./tool.ts";
import type { ClaimedTurn, HistoryEntry, TurnEnd } from "./turn.ts";
import type { TurnRecord } from "./turn-record.ts";
import type { HeldSlots } from "./turn-slots.ts";
import type { UsageStore } from "./usage.ts";

/**
 * What is kept on disk. Every method that writes resolves only after its transaction is durable; writes that
 * arrive together share one commit. All times are epoch milliseconds. A full or broken disk rejects with
 * AppError `unavailable`; nothing of that call is then kept.
 */
export interface Store
  extends AdmissionStore,
    TurnStore,
    OutboxStore,
    DoubtStore,
    PairingStore,
    MessageStore,
    ConversationStore,
    ConfirmationStore,
    ReminderStore,
    ScheduleStore,
    SignalStore,
    JudgementStore,
    EventStore,
    WebhookStore,
    TokenStore,
    UsageStore,
    DepthStore,
    RetentionStore {
  /** Takes over what a dead process left: its turns are queued again, its cut sends become `unknown`. */
  recover(now: number): Promise<{ readonly turns: number; readonly sends: number }>;
  /**
   * Removes a little of what has expired: idempotency keys and unclaimed callbacks after a day, pairing attempts,
   * locks, held replies, events after a week; gives up sends pending for longer than GIVE_UP_AFTER; and gives free space back to the
   * disk. Answers whether there is more to do: call it again, a little later.
   */
  sweep(now: number): Promise<boolean>;
  /** Rejects when the database cannot be written. */
  ping(): Promise<void>;
  /** Commits what waits and closes; later calls reject with AppError `unavailable`. */
  close(): Promise<void>;
}

export interface AdmissionStore {
  senderFacts(query: { channel: string; address: string; now: number }): Promise<SenderFacts>;
  /** One transaction: the message and all of its effects, or nothing. */
  admit(admission: Admission): Promise<AdmitOutcome>;
  /** Which of these carrier ids have been admitted already. */
  knownSids(sids: readonly string[]): Promise<ReadonlySet<string>>;
  /** When the database was put in the place of another from a backup, epoch ms; undefined when it never was. */
  restoredAt(): Promise<number | undefined>;
}

/** What dispatch must know about a sender before it decides. */
export interface SenderFacts {
  /** The sender's own pairing with this channel. */
  readonly paired?: PairedAddress;
  /** All paired addresses of the channel. */
  readonly pairedAddresses: readonly string[];
  readonly optedOut: boolean;
  /** The channel's unspent code, expired or not. */
  readonly pairing?: Pairing;
  /** Set while the sender may not try codes. */
  readonly pairingLockedUntil?: number;
  /** Parts of the last reply that wait for `MORE`. */
  readonly held?: HeldReply;
  /** Calls of the sender's turns that wait for a texted code; absent when there is none. */
  readonly confirmations?: readonly PendingConfirmation[];
}

/** What is left of a reply. It outlives the conversation and the turn that it is of. */
export interface HeldReply {
  readonly id: string;
  readonly conversationId: string;
  readonly turnId: string;
  readonly parts: readonly string[];
  readonly expiresAt: number;
}

export interface Admission {
  readonly message: NewInbound;
  readonly effects: readonly Effect[];
}

export interface NewInbound {
  readonly id: string;
  readonly channel: string;
  readonly sid: string;
  /** Redacted already where the sender is denied. */
  readonly from: string;
  readonly to: string;
  /** Absent where the text must not be kept. */
  readonly text?: string | undefined;
  readonly media: readonly Media[];
  /** The raw parameters as JSON; absent where the text must not be kept. */
  readonly raw?: string | undefined;
  readonly route: Route;
  readonly state: InboundState;
  readonly policies: readonly string[];
  readonly error?: Explained | undefined;
  readonly segments?: number | undefined;
  /**
   * What was found in it, or that nobody has looked yet, which is done when it is asked for; absent where
   * `receive_signal` is denied or the text is not kept.
   */
  readonly annotation?: Annotation | "unread" | undefined;
  readonly late: boolean;
  readonly createdAt: number;
}

/** What an admission changes besides the message itself; applied in order, in the same transaction. */
export type Effect =
  /** Fails the admission as `stale` when the code was spent meanwhile. Replaces an earlier pairing's time. */
  | { readonly kind: "redeem_pairing"; readonly pairingId: string; readonly address: PairedAddress }
  /** Counts a wrong code; the fifth within ten minutes locks the sender out for an hour. */
  | {
      readonly kind: "pairing_attempt";
      readonly channel: string;
      readonly address: string;
      readonly at: number;
    }
  | { readonly kind: "opt_out"; readonly channel: string; readonly address: string; readonly at: number }
  | { readonly kind: "opt_in"; readonly channel: string; readonly address: string }
  | QueueTurn
  /** Closes the open conversation of the key, where there is one. */
  | { readonly kind: "end_conversation"; readonly key: string; readonly at: number }
  /** Cancels queued, running and parked turns of the key. */
  | {
      readonly kind: "cancel_turns";
      readonly key: string;
      /** Only the turns that answer this address; a shared conversation has others. */
      readonly address?: string;
      readonly at: number;
      readonly reason: string;
    }
  /** Replaces what is held for the address; empty `parts` drop it. With `expected`, `stale` when it changed. */
  | {
      readonly kind: "hold";
      readonly channel: string;
      readonly address: string;
      readonly held: HeldReply | undefined;
      readonly expected?: string;
    }
  /**
   * With `ifOpen`, it is a part of the reply of its conversation and turn, and belongs to them only while that
   * conversation is the open one of the key.
   */
  | { readonly kind: "send"; readonly outbound: NewOutbound; readonly ifOpen?: OpenConversation }
  /** The open conversation of the key has gone on, by a text that begins no turn. Opens none. */
  | ({ readonly kind: "go_on" } & OpenConversation)
  /** Lets a call run whose code came back, and queues its turn; `stale` when it no longer waits. */
  | { readonly kind: "confirm_call"; readonly turnId: string; readonly callId: string; readonly at: number }
  /** Counts a wrong code against the sender's waiting calls; the fifth gives them up. */
  | {
      readonly kind: "wrong_confirmation";
      readonly channel: string;
      readonly address: string;
      readonly at: number;
    }
  | OfferSignal;

/**
 * Joins the queued turn of the same key, channel and address, or makes one. Sets the message's turn and
 * conversation; opens a conversation where none is open, or the open one has been idle for too long or
 * belongs to another agent. Does nothing when an `offer_signal` before it took the message from the agent.
 */
export interface QueueTurn {
  readonly kind: "queue_turn";
  readonly key: string;
  /** Used when a new turn is made. */
  readonly turnId: string;
  /** Used when a new conversation is opened. */
  readonly conversationId: string;
  readonly channel: string;
  readonly address: string;
  readonly agent: string;
  readonly debounce: number;
  readonly idleTimeout: number;
  /** Turns a sender may start within a minute; a further turn becomes due later. */
  readonly perMinute: number;
  /** The channel is disabled or failed: the turn is marked, and later shown instead of run when too old. */
  readonly held: boolean;
  readonly at: number;
}

/** The conversation that a text belongs to: the open one of its key, or a fresh one as `queue_turn` opens it. */
export type JoinConversation = Pick<
  QueueTurn,
  "key" | "conversationId" | "channel" | "address" | "agent" | "idleTimeout" | "at"
>;

/** The open conversation of a key, where there is one that is not idle at `at`. */
export type OpenConversation = Pick<QueueTurn, "key" | "idleTimeout" | "at">;

export type AdmitOutcome =
  | {
      readonly kind: "admitted";
      readonly turnDueAt?: number;
      readonly sends: number;
      /** What `offer_signal` came to, where it was among the effects. */
      readonly offered?: OfferOutcome;
    }
  /** A message with this sid is there already; nothing was changed. */
  | { readonly kind: "duplicate"; readonly messageId: string }
  /** The facts changed since they were read; nothing was changed. Decide again. */
  | { readonly kind: "stale" };

/** A queue claim: rows become this process's for `lease` ms and free themselves if it dies. */
export interface Claim {
  readonly now: number;
  readonly lease: number;
  readonly limit: number;
  /** Only rows of these channels; those of disabled and failed channels wait. */
  readonly channels: readonly string[];
}

export interface TurnClaim extends Claim {
  /**
   * The slots that agents hold already, while `limit` are free: no agent is given more than its share of them
   * (`mayTakeSlot`). Absent: whoever has waited longest is given all.
   */
  readonly held?: HeldSlots;
}

export interface TurnStore {
  /** Due turns whose key has none running, oldest first; each becomes `running`. */
  claimTurns(claim: TurnClaim): Promise<readonly ClaimedTurn[]>;
  /**
   * When to claim next: no queued turn of these channels may start before that; with `full`, none of these agents. One
   * that texts have joined may be due later than that; a claim finds out.
   */
  nextTurnDue(channels: readonly string[], full?: readonly string[]): Promise<number | undefined>;
  /** Queues a turn again that a clean stop has cut: it runs once more after the start, and this was no crash. */
  releaseTurn(turnId: string): Promise<void>;
  /** Gives a text that is `failed` a fresh turn, which no other text joins; due at once. */
  replayText(replay: ReplayText): Promise<ReplayOutcome>;
  /** Keeps running turns this process's. */
  extendTurns(turnIds: readonly string[], until: number): Promise<void>;
  /** Marks the channel's waiting turns as held: it is disabled or failed, so they may be too old when it is back. */
  holdTurns(channel: string): Promise<void>;
  /**
   * The newest `limit` messages of a conversation, oldest first: what was sent, and the texts that are handled
   * or failed. Texts of turns still queued or running are left out, the caller has those of its own turn.
   */
  history(conversationId: string, limit: number): Promise<readonly HistoryEntry[]>;
  /** What the agent's tools did in this turn so far. */
  journal(turnId: string): Promise<readonly JournalEntry[]>;
  /** Rejects with AppError `conflict` when the turn is not running (cancelled meanwhile). */
  appendJournal(turnId: string, entries: readonly JournalEntry[]): Promise<void>;
  /**
   * Adds the answer to a parked call and queues its turn again, as the next of its conversation. A turn that is
   * just being parked is queued by its end. False when the turn has ended.
   */
  resumeTurn(turnId: string, entries: readonly JournalEntry[], at: number): Promise<boolean>;
  /**
   * One transaction: the turn's end, the texts it handled, its reply into the outbox, the conversation's
   * `lastAt`. Does nothing and answers false when the turn is no longer running (cancelled meanwhile).
   */
  finishTurn(finish: FinishTurn): Promise<boolean>;
  /**
   * Ends a running turn as failed, and gives these of its texts a turn each: next in the conversation, in their order,
   * and before what was texted since. False when it is no longer running.
   */
  splitTurn(split: SplitTurn): Promise<boolean>;
  /** True when a text of the turn, which was split, has failed alone. */
  failedApart(splitFrom: string): Promise<boolean>;
}

export interface SplitTurn extends Pick<FinishTurn, "turnId" | "rerouted" | "usage" | "at"> {
  /** Oldest first, each with the id of its new turn. */
  readonly parts: readonly { readonly messageId: string; readonly turnId: string }[];
  /** Crashes that each new turn begins with. */
  readonly crashes: number;
  /** What is told of the turn that is split. */
  readonly error: Explained;
}

export interface ReplayText {
  readonly messageId: string;
  readonly turn: QueueTurn;
  readonly idempotency?: { readonly key: string; readonly fingerprint: string };
}

export type ReplayOutcome =
  | { readonly kind: "queued" }
  /** The same request was made before; what has become of the text since. */
  | { readonly kind: "replayed"; readonly state: InboundState }
  /** It has not failed, so there is nothing to try again. */
  | { readonly kind: "state"; readonly state: Exclude<InboundState, "failed"> }
  /** Nothing of it is kept any more. */
  | { readonly kind: "erased" }
  /** The key was used for another request. */
  | { readonly kind: "key_conflict" };

export interface FinishTurn {
  readonly turnId: string;
  readonly end: TurnEnd;
  readonly replies: readonly NewOutbound[];
  /** Replaces what was held for the address; undefined drops it, `keep` leaves it. */
  readonly held: HeldReply | undefined | "keep";
  /** Texts that were denied when they were checked again; erased unless `route` is `signal` on a signal channel. */
  readonly rerouted: readonly {
    readonly messageId: string;
    readonly route: Route;
    readonly keepText: boolean;
    readonly policies: readonly string[];
  }[];
  readonly usage?: { readonly inputTokens: number; readonly outputTokens: number };
  readonly at: number;
}

export interface ClaimedSend {
  readonly message: NewOutbound;
  /** 1 for the first try. */
  readonly attempt: number;
}

export interface SendClaim extends Claim {
  /** Segments that may go out on a local day, all channels together; a send that does not fit stays `pending`. */
  readonly segmentsPerDay?: number;
}

export interface OutboxStore {
  /**
   * Due messages, oldest first, at most one per (channel, recipient) and none whose predecessor to the same
   * recipient still holds the order (`holdsOrder`; `unknown` for at most UNKNOWN_HOLD). Each becomes
   * `sending` with its attempt recorded. Messages to opted-out addresses become `suppressed` instead, those
   * pending for longer than GIVE_UP_AFTER `failed`. Each counts in the day's usage until it is known that
   * nothing was sent.
   */
  claimSends(claim: SendClaim): Promise<readonly ClaimedSend[]>;
  /** Which of a channel's numbers an address has texted last. */
  lastTexted(channel: string, address: string): Promise<string | undefined>;
  nextSendDue(channels: readonly string[]): Promise<number | undefined>;
  /** When the day's segments do not suffice for the first due send: the start of the next local day. */
  sendsHeldUntil(
    channels: readonly string[],
    now: number,
    segmentsPerDay: number,
  ): Promise<number | undefined>;
  /**
   * What became of an attempt. A state that a callback has already carried further stays. `doubled`: the carrier is now
   * known to have taken the message twice.
   */
  settleSend(settle: SettleSend): Promise<{ readonly doubled: boolean }>;
  /**
   * Applies a callback: by its `ref`, else by its sid; kept for a sid that is not known yet and applied when
   * an attempt is settled with it. Answers the message it belongs to and whether its state moved.
   */
  recordStatus(event: StatusEvent & { readonly error?: Explained }): Promise<StatusOutcome>;
  /**
   * Puts a message into the outbox. With `idempotency`, the same key and fingerprint give the first message. With
   * `conversation`, what may be sent is entered there, as said by the agent.
   */
  enqueue(
    outbound: NewOutbound,
    idempotency?: { readonly key: string; readonly fingerprint: string },
    conversation?: JoinConversation,
  ): Promise<EnqueueOutcome>;
  /**
   * Messages of a channel that are with the carrier and not at a final state, oldest first, made at `since` or
   * later. With `after`, those that follow the message with this id: some never reach a final state, and must
   * not keep the others from being asked for.
   */
  openDeliveries(
    channel: string,
    since: number,
    limit: number,
    after?: string,
  ): Promise<readonly { id: string; sid: string }[]>;
}

export interface SettleSend {
  readonly messageId: string;
  readonly attempt: number;
  readonly outcome: SendOutcome;
  /** For `retry`: when to try again. */
  readonly dueAt?: number;
  readonly at: number;
}

export type StatusOutcome =
  | {
      readonly kind: "applied";
      readonly messageId: string;
      readonly channel: string;
      readonly state: DeliveryState;
      readonly moved: boolean;
      /** The recipient's next message may go. */
      readonly freed: boolean;
      /** The carrier is now known to have taken the message twice. */
      readonly doubled: boolean;
    }
  /** No message of ours has this sid (yet). */
  | { readonly kind: "kept" };

export type EnqueueOutcome =
  | { readonly kind: "created" | "replayed"; readonly id: string; readonly state: DeliveryState }
  /** The key was used for another request. */
  | { readonly kind: "key_conflict" };

export interface PairingStore {
  /** Replaces the channel's pending code. */
  savePairing(pairing: Pairing): Promise<void>;
  deletePairing(channel: string): Promise<boolean>;
  /** The unspent code, expired or not. */
  pairing(channel: string): Promise<Pairing | undefined>;
  addresses(channel: string): Promise<readonly PairedAddress[]>;
  /** False when the address is not paired. */
  labelAddress(channel: string, address: string, label: string | undefined): Promise<boolean>;
  revokeAddress(channel: string, address: string): Promise<boolean>;
  optedOut(channel: string, address: string): Promise<boolean>;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Opaque; absent on the last page. */
  readonly nextCursor?: string;
}

export interface MessageQuery {
  readonly channel?: string;
  readonly direction?: "inbound" | "outbound";
  readonly state?: string;
  readonly route?: Route;
  /** Either side of the message. */
  readonly address?: string;
  readonly conversationId?: string;
  readonly limit: number;
  readonly cursor?: string;
}

export interface MessageStore {
  /** Newest first. A cursor that is not one of ours rejects with AppError `invalid`. */
  messages(query: MessageQuery): Promise<Page<Message>>;
  message(id: string): Promise<(Message & { readonly events: readonly MessageEvent[] }) | undefined>;
}

export interface ConversationStore {
  /** Newest activity first. */
  conversations(query: {
    readonly channel?: string;
    readonly open?: boolean;
    readonly limit: number;
    readonly cursor?: string;
  }): Promise<Page<Conversation>>;
  conversation(id: string): Promise<Conversation | undefined>;
  turn(id: string): Promise<TurnRecord | undefined>;
  /** The newest turns of a conversation, newest first. */
  turnsOf(conversationId: string, limit: number): Promise<readonly TurnRecord[]>;
  /** Ends it and cancels its turns; false when there is none or it has ended. */
  endConversation(id: string, at: number): Promise<boolean>;
  /**
   * Ends the channel's conversations idle for longer than `idleTimeout` with no turn queued or running; some hundreds at
   * most.
   */
  endIdle(channel: string, idleTimeout: number, now: number): Promise<readonly Conversation[]>;
  /**
   * The oldest `lastAt` of the channel's open conversations, of those that have gone on at `since` or later. What it
   * costs grows with how many of these have ended.
   */
  oldestActivity(channel: string, since: number): Promise<number | undefined>;
  /** True while a conversation is open in which this address has texted, for the `in_conversation` of a recipient. */
  inConversation(channel: string, address: string): Promise<boolean>;
}
