import type { ConnectOutcome } from "./carrier.ts";

/** One thing that was probed, and what a person can do about it. For `doctor` and the test of a channel. */
export interface Finding {
  /** What was looked at: `channel sms`, `agent assistant`, `disk`. */
  readonly name: string;
  /** `warn`: it works, and will surprise. */
  readonly status: "ok" | "warn" | "fail";
  readonly detail: string;
  readonly fix?: string;
}

/** What a look at a channel's carrier found, in findings: one for the channel, one for each surprise. */
export function carrierFindings(name: string, outcome: ConnectOutcome): readonly Finding[] {
  switch (outcome.kind) {
    case "failed":
    case "unreachable":
      return [{ name, status: "fail", detail: outcome.reason, fix: outcome.fix }];
    case "ready":
      return [
        { name, status: "ok", detail: `the carrier has ${outcome.numbers.join(", ")}` },
        ...outcome.warnings.map((detail) => ({ name, status: "warn" as const, detail })),
      ];
  }
}
