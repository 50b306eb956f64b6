import type { DeliveryState } from "./message.ts";
import type { TurnState } from "./turn.ts";

/** What a write has changed in the life of a text on its way out or of a turn; told once it is on disk. */
export type Change =
  | {
      readonly kind: "delivery";
      readonly messageId: string;
      readonly channel: string;
      readonly to: string;
      readonly turnId?: string;
      readonly state: DeliveryState;
      /** Why, in words for people. */
      readonly meaning?: string;
    }
  /** The carrier has taken a text, and bills it. */
  | { readonly kind: "carried"; readonly channel: string; readonly segments: number }
  | {
      readonly kind: "turn";
      readonly turnId: string;
      readonly channel: string;
      readonly agent: string;
      readonly conversationId: string;
      readonly state: Extract<TurnState, "done" | "failed" | "cancelled" | "shown">;
      readonly meaning?: string;
      readonly usage?: { readonly inputTokens: number; readonly outputTokens: number };
    };

/** Whose write it was: those of a worker are told by the worker itself, with more than the store knows. */
export type ChangeOrigin = "send" | "callback" | "turn" | "other";

/** Told after each write that changed something. Must not throw. */
export type OnChanges = (changes: readonly Change[], origin: ChangeOrigin) => void;
