import type { AddressKind } from "./address.ts";
import type { Mode } from "./settings.ts";

/** The principal for a channel without an agent and for whoever waits through API, MCP or CLI. */
export const API_AGENT = "api";

/** Tools every LLM agent has; policies name them without a server. */
export const BUILT_IN_TOOLS = ["await_signal", "send_message", "remind"] as const;

export interface PolicySender {
  readonly address: string;
  readonly kind: AddressKind;
  /** ISO 3166 alpha-2 of the number, "" where it has none (short codes, names). */
  readonly country: string;
  readonly paired: boolean;
}

export interface PolicyChannel {
  readonly id: string;
  readonly mode: Mode;
  readonly provider: "twilio" | "simulator";
}

/** A question to the policy engine; one variant per action of the schema. */
export type PolicyQuestion =
  | {
      readonly action: "receive_message" | "receive_signal";
      readonly agent: string;
      readonly channel: PolicyChannel;
      readonly sender: PolicySender;
      readonly numMedia: number;
      readonly pairedAddresses: readonly string[];
      readonly now: number;
    }
  | {
      readonly action: "send_message";
      readonly agent: string;
      readonly channel: PolicyChannel;
      readonly recipient: PolicySender & { readonly inConversation: boolean };
      readonly pairedAddresses: readonly string[];
      readonly now: number;
    }
  | {
      readonly action: "invoke_tool";
      readonly agent: string;
      /** `server.tool` for a tool of an MCP server, the bare name for a built-in one. */
      readonly tool: string;
      readonly server?: string;
      readonly sender: PolicySender;
      readonly channel: string;
      readonly now: number;
    };

/** `error` means that a policy could not be evaluated; callers treat it as a deny and show `errors`. */
export interface PolicyDecision {
  readonly decision: "allow" | "deny" | "error";
  /**
   * Ids of the policies that decided: the permits that matched, or the forbids, or for `error` the policies
   * that failed. Empty for the default deny. In the order of `list()`.
   */
  readonly policies: readonly string[];
  /** One sentence for each policy that failed, with its id and place; empty unless `decision` is `error`. */
  readonly errors: readonly string[];
}

export interface PolicyInfo {
  readonly id: string;
  readonly effect: "permit" | "forbid";
  /** `default`, `generated`, or `file:line`. */
  readonly source: string;
  /** As it was written, from its first annotation to the semicolon. */
  readonly text: string;
  /** Decisions this policy took part in since the service started. */
  readonly hits: number;
}

/** Synchronous, unlike the other ports: evaluation is pure computation, and admission must not interleave. */
export interface PolicyEngine {
  /** Never throws. A `dryRun` ("would this sender get through?") is decided alike but not counted in `hits`. */
  decide(question: PolicyQuestion, options?: { readonly dryRun?: boolean }): PolicyDecision;
  list(): readonly PolicyInfo[];
}

/** True for the one answer that lets something through. */
export function allows(decision: PolicyDecision): boolean {
  return decision.decision === "allow";
}

/** What is wrong with a policy file, where, and what to write instead. */
export interface PolicyProblem {
  /** As the caller named it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units, as editors count. */
  readonly column: number;
  /** The `@id` of the policy, where it has one. */
  readonly policyId?: string;
  readonly message: string;
  readonly fix: string;
}

/** One problem after the other, each as `file:line:column: message` with the fix on a line of its own. */
export function formatPolicyProblems(problems: readonly PolicyProblem[]): string {
  return problems
    .map(({ file, line, column, policyId, message, fix }) => {
      const policy = policyId === undefined ? "" : `policy "${policyId}": `;
      return `${file}:${line}:${column}: ${policy}${message}\n  ${fix}`;
    })
    .join("\n");
}
