import type { Media } from "./message.ts";

/** What composes replies. One implementation per `type` of sms.yaml. */
export interface Agent {
  /**
   * Answers one turn. Rejects with an AgentFailure; stops its work when `signal` aborts.
   * May be called again with the same `turnId` after a crash.
   */
  run(request: TurnRequest, signal: AbortSignal): Promise<AgentReply>;
  /** Ends child processes and connections. */
  close?(): Promise<void>;
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
  readonly media: readonly Media[];
  /** The conversation, oldest first, the texts of this turn included as its last entries. */
  readonly messages: readonly ChatMessage[];
  /** IANA name. */
  readonly timezone: string;
  readonly now: number;
}

export interface ChatMessage {
  readonly role: "user" | "assistant";
  readonly text: string;
  readonly media: readonly Media[];
}

/** Neither text nor media: the agent has decided to say nothing. */
export interface AgentReply {
  readonly text?: string;
  readonly mediaUrls?: readonly string[];
  readonly usage?: { readonly inputTokens: number; readonly outputTokens: number };
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

  constructor(
    readonly kind: "timeout" | "provider" | "output" | "cancelled",
    message: string,
    options?: { cause?: unknown; fix?: string },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.fix = options?.fix;
  }
}
