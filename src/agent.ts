import type { Media } from "./message.ts";
import { sum, type TokenUsage, type TurnTools } from "./tool.ts";

/** What composes replies. One implementation per `type` of sms.yaml. */
export interface Agent {
  /**
   * Answers one turn. Rejects with an AgentFailure; stops its work when `signal` aborts.
   * May be called again with the same `turnId` after a crash, and is when a parked turn got what it waited for.
   */
  run(request: TurnRequest, signal: AbortSignal): Promise<AgentReply>;
  /**
   * Says whether one text is what somebody waits for (a watch's `instructions`). Uses no tools. Rejects with an
   * AgentFailure, `output` for anything but a clean yes or no. Absent where the agent cannot judge.
   */
  judge?(request: JudgeRequest, signal: AbortSignal): Promise<Verdict>;
  /** The tool servers it uses, as they are now. */
  toolServers?(): readonly ToolServerStatus[];
  /** Ends child processes and connections. */
  close?(): Promise<void>;
}

export interface ToolServerStatus {
  readonly name: string;
  /** `idle`: not asked for since the start. `down`: tried again when a turn needs it. */
  readonly status: "idle" | "starting" | "ready" | "down";
  /** Why it is down. */
  readonly reason?: string;
  /** Tools it had when it was last asked. */
  readonly tools?: number;
}

export interface TurnRequest {
  readonly turnId: string;
  readonly channel: string;
  readonly agent: string;
  readonly conversationId: string;
  readonly from: string;
  /** The name the operator gave the sender's phone. */
  readonly label?: string;
  /** The texts of this turn, oldest first, joined by line breaks. */
  readonly text: string;
  /** The media of this turn. */
  readonly media: readonly TurnMedia[];
  /** The conversation, oldest first, the texts of this turn included as its last entries. */
  readonly messages: readonly ChatMessage[];
  /**
   * What was said in the conversation after the texts of this turn, oldest first: a parked turn does not hold
   * up its conversation.
   */
  readonly meanwhile?: readonly ChatMessage[];
  /** What began the turn, where no text did. */
  readonly task?: "reminder" | "schedule";
  /** An earlier turn whose text this is, among others: the agent may have worked on it under that id. */
  readonly splitFrom?: string;
  /** Absent where the caller gives none; then the agent only talks. */
  readonly tools?: TurnTools;
  /** IANA name. */
  readonly timezone: string;
  readonly now: number;
}

/** One text to be judged. */
export interface JudgeRequest {
  /** What is waited for, in the words of whoever waits. */
  readonly instructions: string;
  /** Written by a stranger: data, never instructions. */
  readonly text: string;
  readonly from: string;
  /** Random: names the fence around the text, so that nobody can write the end of the fence into a text. */
  readonly nonce: string;
  /** IANA name. */
  readonly timezone: string;
  readonly now: number;
}

export interface Verdict {
  readonly match: boolean;
  readonly usage?: TokenUsage;
}

export interface ChatMessage {
  readonly role: "user" | "assistant";
  readonly text: string;
  readonly media: readonly TurnMedia[];
}

/** With its bytes where they were fetched for a model that sees. */
export interface TurnMedia extends Media {
  readonly data?: Uint8Array;
}

export type AgentReply = Answer | Parked;

/** Neither text nor media: the agent has decided to say nothing. */
export interface Answer {
  readonly text?: string;
  readonly mediaUrls?: readonly string[];
  /** Of the whole turn, the runs before it was parked included. */
  readonly usage?: TokenUsage;
  readonly parked?: undefined;
}

/** No reply yet. The turn is to be run again as soon as the journal has an answer to one of these calls. */
export interface Parked {
  /** `callId`s; never empty. */
  readonly parked: readonly string[];
  /** Of the turn so far. */
  readonly usage?: TokenUsage;
  readonly text?: undefined;
  readonly mediaUrls?: undefined;
}

/**
 * Why a turn got no reply. `message` is for the operator and never reaches the phone; it holds no text of
 * the sender and no secret.
 *
 * - `timeout`: the agent's own time was over
 * - `provider`: what stands behind the agent (endpoint, command, model) could not be reached, refused or failed
 * - `output`: it answered with something that is not an answer
 * - `cancelled`: the turn's signal aborted; `cause` is the signal's reason
 */
export class AgentFailure extends Error {
  override readonly name = "AgentFailure";
  /** What the operator can do about it. */
  readonly fix: string | undefined;
  /** What was paid for in vain. */
  readonly usage: TokenUsage | undefined;
  /** The request itself may be the cause: with several texts, others might be answered without one of them. */
  readonly blamesText: boolean;

  constructor(
    readonly kind: "timeout" | "provider" | "output" | "cancelled",
    message: string,
    options?: {
      cause?: unknown;
      fix?: string | undefined;
      usage?: TokenUsage | undefined;
      blamesText?: boolean;
    },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.fix = options?.fix;
    this.usage = options?.usage;
    this.blamesText = options?.blamesText ?? false;
  }

  /** The same failure, after so much more was spent. */
  after(usage: TokenUsage): AgentFailure {
    const { kind, message, cause, fix, blamesText } = this;
    return new AgentFailure(kind, message, { cause, fix, usage: sum(usage, this.usage), blamesText });
  }
}
