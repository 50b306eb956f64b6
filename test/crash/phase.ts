import type { Violation } from "./findings.ts";
import type { RigChannel } from "./rig.ts";

/** A part of a run with a carrier, a service and accounts of its own. */
export interface Phase {
  readonly name: string;
  readonly kills: number;
  /** What was done and seen, in words. */
  readonly lines: readonly string[];
  readonly violations: readonly Violation[];
  /** Why it was left out. */
  readonly skipped?: string;
}

/** A channel that answers every text with itself. */
export const ECHO: RigChannel = {
  name: "echoing",
  number: "+15550100001",
  mode: "message",
  inbound: "webhook",
  agent: "echo",
  debounce: "0s",
};

/** Nothing goes wrong at the carrier and behind the service: what goes wrong is what the phase is about. */
export const CALM = { moody: 0, lose: () => 0, consumer: false, faults: 0, unclear: 0, stopping: 0 } as const;
