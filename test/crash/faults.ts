import type { Dice } from "./dice.ts";

/** A fault in the form in which the carrier takes it, and how often it comes beside the others. */
type Weighted = readonly [weight: number, fault: (dice: Dice) => Readonly<Record<string, unknown>>];

const ms = (dice: Dice, least: number, most: number) => `${Math.round(dice.between(least, most))}ms`;

/** Those after which nobody can tell whether the text was sent. */
const UNCLEAR: readonly Weighted[] = [
  [2, () => ({ on: "send", kind: "server_error" })],
  [2, () => ({ on: "send", kind: "server_error_after" })],
  [1, () => ({ on: "send", kind: "timeout_before" })],
  [1, () => ({ on: "send", kind: "timeout_after" })],
  [2, () => ({ on: "send", kind: "cut_before" })],
  [2, () => ({ on: "send", kind: "cut_after" })],
];

/** Every other kind that the simulator knows, so that a new one is missed in no place but this. */
const CLEAR: readonly Weighted[] = [
  [2, () => ({ on: "send", kind: "error", code: 21_211 })],
  [4, (dice) => ({ on: "send", kind: "throttle", retry_after: dice.chance(0.5) ? "1s" : "0s" })],
  [12, (dice) => ({ on: "send", kind: "slow", delay: ms(dice, 20, 1_500) })],
  [3, () => ({ on: "send", kind: "undelivered" })],
  [3, () => ({ on: "send", kind: "failed" })],
  [3, () => ({ on: "send", kind: "read" })],
  [6, (dice) => ({ on: "send", kind: "list_lag", delay: ms(dice, 500, 20_000) })],
  [12, () => ({ on: "callback", kind: "lost" })],
  [12, (dice) => ({ on: "callback", kind: "late", delay: ms(dice, 100, 5_000) })],
  [12, (dice) => ({ on: "callback", kind: "duplicate", count: Math.round(dice.between(2, 5)) })],
  [12, () => ({ on: "callback", kind: "reorder" })],
  [12, () => ({ on: "callback", kind: "before_answer" })],
  [8, () => ({ on: "inbound", kind: "lost" })],
  [10, (dice) => ({ on: "inbound", kind: "slow", delay: ms(dice, 50, 3_000) })],
  [12, () => ({ on: "inbound", kind: "duplicate", count: 3 })],
  [8, (dice) => ({ on: "inbound", kind: "list_lag", delay: ms(dice, 500, 10_000) })],
  [3, () => ({ on: "inbound", kind: "bad_signature" })],
  [1, () => ({ on: "request", kind: "throttle" })],
  [2, () => ({ on: "request", kind: "server_error" })],
  [1, () => ({ on: "request", kind: "timeout" })],
  [2, () => ({ on: "request", kind: "cut" })],
  [4, (dice) => ({ on: "request", kind: "slow", delay: ms(dice, 20, 800) })],
  [1, () => ({ on: "request", kind: "error", code: 20_500, status: 500 })],
];

/** One fault for the next message or request that it can happen to. */
export function nextFault(dice: Dice, unclear: number): Readonly<Record<string, unknown>> {
  return { ...dice.weighted(dice.chance(unclear) ? UNCLEAR : CLEAR)(dice), times: 1 };
}
