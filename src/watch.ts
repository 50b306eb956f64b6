import type { Annotation, Category } from "./annotation.ts";
import type { Signal } from "./signal.ts";

/** Someone waiting for a signal: an agent's turn, an API, MCP or CLI call, or a standing subscription. */
export interface Watch {
  readonly id: string;
  readonly state: WatchState;
  readonly filters: WatchFilters;
  /** `once` ends with its first signal. */
  readonly mode: "once" | "continuous";
  /** `claim` takes a signal so that no other claiming watch and no agent gets it; `peek` only looks. */
  readonly consume: "claim" | "peek";
  /** Messages that arrived up to this long before the watch was made are considered too. Milliseconds. */
  readonly backfill: number;
  readonly owner: WatchOwner;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly signals: readonly Signal[];
}

/** What a text can be, as `category` names it. */
export const CATEGORIES = [
  "verification_code",
  "confirmation_link",
  "delivery",
  "appointment",
  "payment",
  "other",
] as const satisfies readonly Category[];

export type WatchState = "pending" | "matched" | "expired" | "cancelled";

/** All that are given must pass. */
export interface WatchFilters {
  readonly channel?: string;
  /** Any of these senders; a trailing `*` makes a prefix. */
  readonly from?: readonly string[];
  /** A regular expression, found anywhere in the text. */
  readonly match?: string;
  readonly category?: Category;
  /** A host name, as in `@example.com #123456`. */
  readonly origin?: string;
  /** Judged by the owner's agent, over what the other filters let through. */
  readonly instructions?: string;
}

/** Who waits; as whom policies see it (`receive_signal`) and who is told. */
export type WatchOwner =
  | {
      readonly kind: "api";
      /** The agent that judges `instructions`; set exactly when there are any. */
      readonly judge?: string;
      /**
       * The watch belongs to a call that cannot be repeated: when its connection ends, also by a restart, nobody
       * is left to take a signal, and the watch is cancelled.
       */
      readonly attached?: true;
      /** The id of the token that made it, or `admin`. */
      readonly token?: string;
    }
  | {
      readonly kind: "agent";
      readonly agent: string;
      readonly turnId: string;
      readonly callId: string;
      /** Who asked, and where: what they text themselves is never what they wait for. */
      readonly channel: string;
      readonly address: string;
    };

export const MAX_BACKFILL = 10 * 60_000;
export const DEFAULT_BACKFILL = 120_000;

/** The principal of `receive_signal` for a watch's owner. */
export function watchPrincipal(owner: WatchOwner, apiAgent: string): string {
  return owner.kind === "agent" ? owner.agent : apiAgent;
}

/** The agent that judges the `instructions` of an owner's watch. */
export function watchJudge(owner: WatchOwner): string | undefined {
  return owner.kind === "agent" ? owner.agent : owner.judge;
}

/** A pattern that runs in time linear in the text, whatever the pattern. */
export interface Pattern {
  test(text: string): boolean;
}

/** Compiles `match`; a pattern that cannot be run in bounded time is refused with the reason. */
export type CompilePattern = (source: string) => Pattern | { readonly refused: string };

/** True when every hard filter passes; `instructions` is not one of them. */
export function passesFilters(filters: WatchFilters, pattern: Pattern | undefined, signal: Signal): boolean {
  if (filters.channel !== undefined && filters.channel !== signal.channel) return false;
  if (filters.from !== undefined && !filters.from.some((from) => isFrom(from, signal.from))) return false;
  if (filters.category !== undefined && filters.category !== signal.annotation.category) return false;
  if (filters.origin !== undefined && !isOrigin(filters.origin, signal.annotation.origin)) return false;
  return pattern === undefined || pattern.test(signal.text);
}

function isFrom(wanted: string, from: string): boolean {
  if (wanted.endsWith("*")) return from.toLowerCase().startsWith(wanted.slice(0, -1).toLowerCase());
  return wanted.toLowerCase() === from.toLowerCase();
}

function isOrigin(wanted: string, origin: string | undefined): boolean {
  return origin !== undefined && wanted.replace(/^@/, "").toLowerCase() === origin.toLowerCase();
}

/**
 * A watch may take a text from the agent it was meant for only when there is something to take, and never on
 * a model's word.
 */
export function mayClaimFromAgent(watch: Watch, annotation: Annotation): boolean {
  return (
    watch.consume === "claim" &&
    watch.mode === "once" &&
    watch.filters.instructions === undefined &&
    (annotation.code !== undefined || annotation.link !== undefined)
  );
}
