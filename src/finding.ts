import type { ConnectOutcome } from "./carrier.ts";

/** One thing that was probed, and what a person can do about it. For `doctor` and the test of a channel. */
export type Finding =
  | (Found & { readonly status: "ok"; readonly fix?: string })
  /** `warn`: it works, and will surprise. */
  | (Found & { readonly status: "warn" | "fail"; readonly fix: string });

interface Found {
  /** What was looked at: `channel sms`, `agent assistant`, `disk`. */
  readonly name: string;
  readonly detail: string;
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
        ...outcome.warnings.map((warning) => ({ name, status: "warn" as const, ...warning })),
      ];
  }
}
